#include "traces/table/span_table_group.h"

#include <algorithm>

namespace gantry::traces {

void SpanTableGroup::count(const void* column, std::size_t bytes) {
  if (std::ranges::find(counted_, column) != counted_.end()) return;
  counted_.push_back(column);
  bytes_read_ += bytes;
}

traceql::TextColumn SpanTableGroup::rows(const TextRows& column, std::uint32_t rows) {
  count(&column, rows * sizeof(std::uint32_t));
  return column.first(rows);
}

RareNumbers SpanTableGroup::rows(const RareRows& column, std::uint32_t rows) {
  const RareNumbers numbers = column.first(rows);
  count(&column, numbers.rows.size_bytes() + numbers.values.size_bytes());
  return numbers;
}

Result<std::span<const std::uint32_t>> SpanTableGroup::traces() {
  return rows(table_.spans.traces, counts_.spans);
}

Result<std::span<const telemetry::SpanId>> SpanTableGroup::span_ids() {
  return rows(table_.spans.ids, counts_.spans);
}

Result<std::span<const telemetry::SpanId>> SpanTableGroup::parent_ids() {
  return rows(table_.spans.parents, counts_.spans);
}

Result<std::span<const std::int64_t>> SpanTableGroup::starts_ns() {
  return rows(table_.spans.starts_ns, counts_.spans);
}

Result<std::span<const std::int64_t>> SpanTableGroup::durations_ns() {
  return rows(table_.spans.durations_ns, counts_.spans);
}

Result<std::span<const std::uint64_t>> SpanTableGroup::ends_ns() {
  return rows(table_.spans.ends_ns, counts_.spans);
}

Result<std::span<const std::uint8_t>> SpanTableGroup::kinds() {
  return rows(table_.spans.kinds, counts_.spans);
}

Result<std::span<const std::uint8_t>> SpanTableGroup::statuses() {
  return rows(table_.spans.statuses, counts_.spans);
}

Result<traceql::TextColumn> SpanTableGroup::names() {
  return rows(table_.spans.names, counts_.spans);
}

Result<traceql::TextColumn> SpanTableGroup::status_messages() {
  return rows(table_.spans.status_messages, counts_.spans);
}

Result<traceql::TextColumn> SpanTableGroup::trace_states() {
  return rows(table_.spans.trace_states, counts_.spans);
}

Result<std::span<const std::uint32_t>> SpanTableGroup::resources() {
  return rows(table_.spans.resources, counts_.spans);
}

Result<std::span<const std::uint32_t>> SpanTableGroup::scopes() {
  return rows(table_.spans.scopes, counts_.spans);
}

Result<RareNumbers> SpanTableGroup::flags() {
  return rows(table_.spans.flags, counts_.spans);
}

Result<RareNumbers> SpanTableGroup::dropped_attributes() {
  return rows(table_.spans.dropped_attributes, counts_.spans);
}

Result<RareNumbers> SpanTableGroup::dropped_events() {
  return rows(table_.spans.dropped_events, counts_.spans);
}

Result<RareNumbers> SpanTableGroup::dropped_links() {
  return rows(table_.spans.dropped_links, counts_.spans);
}

Result<std::span<const telemetry::TraceId>> SpanTableGroup::trace_ids() {
  return rows(table_.trace_ids, counts_.traces);
}

Result<traceql::TextColumn> SpanTableGroup::resource_schema_urls() {
  return rows(table_.resources.schema_urls, counts_.resources);
}

Result<RareNumbers> SpanTableGroup::resource_dropped_attributes() {
  return rows(table_.resources.dropped_attributes, counts_.resources);
}

Result<traceql::TextColumn> SpanTableGroup::scope_names() {
  return rows(table_.scopes.names, counts_.scopes);
}

Result<traceql::TextColumn> SpanTableGroup::scope_versions() {
  return rows(table_.scopes.versions, counts_.scopes);
}

Result<traceql::TextColumn> SpanTableGroup::scope_schema_urls() {
  return rows(table_.scopes.schema_urls, counts_.scopes);
}

Result<RareNumbers> SpanTableGroup::scope_dropped_attributes() {
  return rows(table_.scopes.dropped_attributes, counts_.scopes);
}

Result<std::span<const std::uint32_t>> SpanTableGroup::event_spans() {
  return rows(table_.events.spans, counts_.events);
}

Result<std::span<const std::int64_t>> SpanTableGroup::event_times_ns() {
  return rows(table_.events.times_ns, counts_.events);
}

Result<traceql::TextColumn> SpanTableGroup::event_names() {
  return rows(table_.events.names, counts_.events);
}

Result<RareNumbers> SpanTableGroup::event_dropped_attributes() {
  return rows(table_.events.dropped_attributes, counts_.events);
}

Result<std::span<const std::uint32_t>> SpanTableGroup::link_spans() {
  return rows(table_.links.spans, counts_.links);
}

Result<std::span<const telemetry::TraceId>> SpanTableGroup::link_trace_ids() {
  return rows(table_.links.trace_ids, counts_.links);
}

Result<std::span<const telemetry::SpanId>> SpanTableGroup::link_span_ids() {
  return rows(table_.links.span_ids, counts_.links);
}

Result<traceql::TextColumn> SpanTableGroup::link_trace_states() {
  return rows(table_.links.trace_states, counts_.links);
}

Result<RareNumbers> SpanTableGroup::link_flags() {
  return rows(table_.links.flags, counts_.links);
}

Result<RareNumbers> SpanTableGroup::link_dropped_attributes() {
  return rows(table_.links.dropped_attributes, counts_.links);
}

SpanTableGroup::Attributes& SpanTableGroup::attributes(traceql::Table table) {
  Attributes& attributes = attributes_[static_cast<std::size_t>(table)];
  if (attributes.is_made) return attributes;
  const auto columns = table_.attributes(table).columns();
  attributes.columns.assign(columns.begin(), columns.end());
  std::ranges::stable_sort(attributes.columns, {}, &AttributeColumn::key);
  for (const AttributeColumn* column : attributes.columns) {
    if (attributes.keys.empty() || attributes.keys.back() != column->key()) {
      attributes.keys.push_back(column->key());
    }
  }
  attributes.is_made = true;
  return attributes;
}

Result<std::span<const std::string_view>> SpanTableGroup::keys(traceql::Table table) {
  return attributes(table).keys;
}

Result<std::span<const traceql::Column>> SpanTableGroup::columns(const traceql::ColumnKey& key) {
  Attributes& attributes = this->attributes(key.table);
  const auto found =
      std::ranges::equal_range(attributes.columns, key.key, {}, &AttributeColumn::key);
  if (found.empty()) return std::span<const traceql::Column>();
  const auto [opened, is_new] = attributes.opened.try_emplace(found.front()->key());
  if (is_new) {
    for (const AttributeColumn* column : found) {
      const traceql::Column values = column->first(counts_.rows(key.table));
      if (values.size() == 0) continue;
      bytes_read_ += values.rows.size_bytes() + values.ids.size_bytes() + values.ints.size_bytes() +
                     values.doubles.size_bytes() + values.bools.size_bytes();
      opened->second.push_back(values);
    }
  }
  return opened->second;
}

}  // namespace gantry::traces
