#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "traceql/testing/memory_group_internal.h"
#include "traceql/testing/memory_source.h"

namespace gantry::traceql::testing {

namespace {

ColumnType type_of(const telemetry::AttributeValue& value) {
  switch (value.kind) {
    case telemetry::AttributeValue::Kind::String:
      return ColumnType::String;
    case telemetry::AttributeValue::Kind::Bool:
      return ColumnType::Bool;
    case telemetry::AttributeValue::Kind::Int:
      return ColumnType::Int;
    case telemetry::AttributeValue::Kind::Double:
      return ColumnType::Double;
    case telemetry::AttributeValue::Kind::Encoded:
      return ColumnType::Encoded;
  }
  return ColumnType::String;
}

class MemoryGroup final : public SpanGroup {
 public:
  explicit MemoryGroup(std::shared_ptr<const MemoryGroupData> data) : data_(std::move(data)) {}

  [[nodiscard]] const GroupCounts& counts() const override { return data_->counts; }

  Result<std::span<const std::uint32_t>> traces() override { return read(data_->traces); }

  Result<std::span<const telemetry::SpanId>> span_ids() override { return read(data_->span_ids); }

  Result<std::span<const telemetry::SpanId>> parent_ids() override {
    return read(data_->parent_ids);
  }

  Result<std::span<const std::int64_t>> starts_ns() override { return read(data_->starts); }

  Result<std::span<const std::int64_t>> durations_ns() override { return read(data_->durations); }

  Result<std::span<const std::uint8_t>> kinds() override { return read(data_->kinds); }

  Result<std::span<const std::uint8_t>> statuses() override { return read(data_->statuses); }

  Result<TextColumn> names() override { return read(data_->names); }

  Result<TextColumn> status_messages() override { return read(data_->status_messages); }

  Result<TextColumn> trace_states() override { return read(data_->trace_states); }

  Result<std::span<const std::uint32_t>> resources() override { return read(data_->resources); }

  Result<std::span<const std::uint32_t>> scopes() override { return read(data_->scopes); }

  Result<std::span<const telemetry::TraceId>> trace_ids() override {
    return read(data_->trace_ids);
  }

  Result<TextColumn> scope_names() override { return read(data_->scope_names); }

  Result<TextColumn> scope_versions() override { return read(data_->scope_versions); }

  Result<std::span<const std::uint32_t>> event_spans() override { return read(data_->event_spans); }

  Result<std::span<const std::int64_t>> event_times_ns() override {
    return read(data_->event_times);
  }

  Result<TextColumn> event_names() override { return read(data_->event_names); }

  Result<std::span<const std::uint32_t>> link_spans() override { return read(data_->link_spans); }

  Result<std::span<const telemetry::TraceId>> link_trace_ids() override {
    return read(data_->link_trace_ids);
  }

  Result<std::span<const telemetry::SpanId>> link_span_ids() override {
    return read(data_->link_span_ids);
  }

  Result<std::span<const std::string_view>> keys(Table table) override {
    return data_->keys[static_cast<std::size_t>(table)];
  }

  Result<std::span<const Column>> columns(const ColumnKey& key) override {
    const auto& columns = data_->columns[static_cast<std::size_t>(key.table)];
    const auto found = columns.find(key.key);
    if (found == columns.end()) return std::span<const Column>();
    for (const Column& column : found->second) count(&column, column.size() * 8);
    return std::span<const Column>(found->second);
  }

  [[nodiscard]] std::uint64_t bytes_read() const override { return bytes_; }

 private:
  template <class T>
  std::span<const T> read(const std::vector<T>& values) {
    count(&values, values.size() * sizeof(T));
    return values;
  }

  TextColumn read(const MemoryTextColumn& column) {
    count(&column, column.ids.size() * sizeof(std::uint32_t));
    return column.view();
  }

  void count(const void* column, std::size_t bytes) {
    if (seen_.insert(column).second) bytes_ += bytes;
  }

  std::shared_ptr<const MemoryGroupData> data_;
  std::set<const void*> seen_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

TextDictionary::TextDictionary() {
  add(kUnusedText);
}

std::uint32_t TextDictionary::add(std::string_view text) {
  const auto [at, is_new] = ids_.try_emplace(text, static_cast<std::uint32_t>(texts_.size()));
  if (is_new) texts_.push_back(text);
  return at->second;
}

Column MemoryColumn::view(std::uint32_t table_rows) const {
  const bool is_dense = rows.size() == table_rows;
  Column column;
  column.type = type;
  column.is_dense = is_dense;
  if (!is_dense) column.rows = rows;
  column.ids = ids;
  column.ints = ints;
  column.doubles = doubles;
  column.bools = bools;
  column.dictionary = dictionary.texts();
  return column;
}

void MemoryGroupBuilder::begin_trace(const telemetry::TraceId& id) {
  data_->trace_ids.push_back(id);
  trace_starts_.push_back(std::numeric_limits<std::int64_t>::max());
}

void MemoryGroupBuilder::add_attributes(Table table, std::uint32_t row,
                                        const telemetry::SpanBatch& batch,
                                        telemetry::BatchSlice slice) {
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(slice)) {
    auto& columns = data_->attributes[static_cast<std::size_t>(table)][attribute.key];
    const ColumnType type = type_of(attribute.value);
    auto column = std::ranges::find(columns, type, &MemoryColumn::type);
    if (column == columns.end()) {
      columns.emplace_back().type = type;
      column = columns.end() - 1;
    }
    column->rows.push_back(row);
    switch (type) {
      case ColumnType::String:
      case ColumnType::Encoded:
        column->ids.push_back(column->dictionary.add(attribute.value.text));
        break;
      case ColumnType::Int:
        column->ints.push_back(attribute.value.integer);
        break;
      case ColumnType::Double:
        column->doubles.push_back(attribute.value.number);
        break;
      case ColumnType::Bool:
        column->bools.push_back(attribute.value.boolean ? 1 : 0);
        break;
    }
  }
}

void MemoryGroupBuilder::add(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span) {
  MemoryGroupData& data = *data_;
  const auto row = data.counts.spans++;
  const auto start = static_cast<std::int64_t>(span.start_ns);
  trace_starts_.back() = std::min(trace_starts_.back(), start);
  data.traces.push_back(static_cast<std::uint32_t>(data.trace_ids.size() - 1));
  data.span_ids.push_back(span.span_id);
  data.parent_ids.push_back(span.parent_id);
  data.starts.push_back(start);
  data.durations.push_back(static_cast<std::int64_t>(span.duration_ns()));
  data.kinds.push_back(static_cast<std::uint8_t>(span.kind));
  data.statuses.push_back(static_cast<std::uint8_t>(span.status));
  data.names.add(span.name);
  data.status_messages.add(span.status_message);
  data.trace_states.add(span.trace_state);
  add_attributes(Table::Span, row, batch, span.attributes);

  const auto [resource, is_new_resource] =
      resources_.try_emplace({&batch, span.resource}, data.counts.resources);
  if (is_new_resource) {
    ++data.counts.resources;
    add_attributes(Table::Resource, resource->second, batch,
                   batch.resources[span.resource].attributes);
  }
  data.resources.push_back(resource->second);

  const auto [scope, is_new_scope] = scopes_.try_emplace({&batch, span.scope}, data.counts.scopes);
  if (is_new_scope) {
    ++data.counts.scopes;
    const telemetry::BatchScope& from = batch.scopes[span.scope];
    data.scope_names.add(from.name);
    data.scope_versions.add(from.version);
    add_attributes(Table::Instrumentation, scope->second, batch, from.attributes);
  }
  data.scopes.push_back(scope->second);

  for (const telemetry::BatchEvent& event : batch.events_of(span)) {
    data.event_spans.push_back(row);
    data.event_times.push_back(static_cast<std::int64_t>(event.time_ns));
    data.event_names.add(event.name);
    add_attributes(Table::Event, data.counts.events++, batch, event.attributes);
  }
  for (const telemetry::BatchLink& link : batch.links_of(span)) {
    data.link_spans.push_back(row);
    data.link_trace_ids.push_back(link.trace_id);
    data.link_span_ids.push_back(link.span_id);
    add_attributes(Table::Link, data.counts.links++, batch, link.attributes);
  }
}

std::shared_ptr<const MemoryGroupData> MemoryGroupBuilder::finish() && {
  MemoryGroupData& data = *data_;
  data.counts.traces = static_cast<std::uint32_t>(data.trace_ids.size());
  GroupBounds& bounds = data.bounds;
  bounds.start_ns_min = std::ranges::min(data.starts);
  bounds.start_ns_max = std::ranges::max(data.starts);
  bounds.trace_start_ns_max = std::ranges::max(trace_starts_);
  bounds.end_ns_max = std::numeric_limits<std::int64_t>::min();
  for (std::size_t row = 0; row < data.starts.size(); ++row) {
    bounds.end_ns_max = std::max(bounds.end_ns_max, data.starts[row] + data.durations[row]);
  }
  bounds.spans = data.counts.spans;
  bounds.bytes = std::uint64_t{100} * data.counts.spans;

  for (std::size_t table = 0; table < kTableCount; ++table) {
    for (const auto& [key, columns] : data.attributes[table]) {
      data.keys[table].push_back(key);
      for (const MemoryColumn& column : columns) {
        data.columns[table][key].push_back(
            column.view(data.counts.rows(static_cast<Table>(table))));
      }
    }
    // A key whose values are gone: whoever lists keys must look at the rows.
    data.keys[table].insert(data.keys[table].begin(), kUnusedText);
    std::ranges::sort(data.keys[table]);
  }
  return std::move(data_);
}

std::unique_ptr<SpanGroup> make_memory_group(std::shared_ptr<const MemoryGroupData> data) {
  return std::make_unique<MemoryGroup>(std::move(data));
}

}  // namespace gantry::traceql::testing
