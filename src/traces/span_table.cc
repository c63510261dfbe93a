#include "traces/span_table.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/hash.h"
#include "traces/table/span_table_group.h"
#include "traces/table/span_table_impl.h"
#include "traces/table/trace_id_hash.h"

namespace gantry::traces {
namespace {

using telemetry::BatchSpan;
using telemetry::SpanBatch;
using telemetry::TraceId;

/// Trace numbers are dense and span ids random, but a sender may choose both.
std::uint64_t hash_of_span(std::uint32_t trace, telemetry::SpanId id) {
  const std::uint64_t key[] = {trace, id};
  return core::hash64({reinterpret_cast<const char*>(key), sizeof key}, core::process_hash_seed());
}

std::int64_t clamp_ns(std::uint64_t ns) {
  constexpr auto kMax = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  return static_cast<std::int64_t>(std::min(ns, kMax));
}

void add_number(std::string& out, std::uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void add_text(std::string& out, std::string_view text) {
  add_number(out, text.size());
  out += text;
}

/// Equal for equal lists only.
void add_attributes(std::string& out, std::span<const telemetry::SpanAttribute> attributes) {
  for (const telemetry::SpanAttribute& attribute : attributes) {
    add_text(out, attribute.key);
    const telemetry::AttributeValue& value = attribute.value;
    out += static_cast<char>(value.kind);
    switch (value.kind) {
      case telemetry::AttributeValue::Kind::String:
      case telemetry::AttributeValue::Kind::Encoded:
        add_text(out, value.text);
        break;
      case telemetry::AttributeValue::Kind::Bool:
        out += value.boolean ? '\1' : '\0';
        break;
      case telemetry::AttributeValue::Kind::Int:
        add_number(out, static_cast<std::uint64_t>(value.integer));
        break;
      case telemetry::AttributeValue::Kind::Double:
        add_number(out, std::bit_cast<std::uint64_t>(value.number));
        break;
    }
  }
}

}  // namespace

SpanColumns::SpanColumns(TableMemory& memory)
    : traces(memory.array_bytes),
      ids(memory.array_bytes),
      parents(memory.array_bytes),
      starts_ns(memory.array_bytes),
      durations_ns(memory.array_bytes),
      ends_ns(memory.array_bytes),
      kinds(memory.array_bytes),
      statuses(memory.array_bytes),
      names(memory),
      status_messages(memory),
      trace_states(memory),
      resources(memory.array_bytes),
      scopes(memory.array_bytes),
      flags(memory),
      dropped_attributes(memory),
      dropped_events(memory),
      dropped_links(memory),
      attributes(memory) {}

ResourceColumns::ResourceColumns(TableMemory& memory)
    : schema_urls(memory),
      dropped_attributes(memory),
      attributes(memory),
      contents(memory.array_bytes),
      index(memory.array_bytes) {}

ScopeColumns::ScopeColumns(TableMemory& memory)
    : names(memory),
      versions(memory),
      schema_urls(memory),
      dropped_attributes(memory),
      attributes(memory),
      contents(memory.array_bytes),
      index(memory.array_bytes) {}

EventColumns::EventColumns(TableMemory& memory)
    : spans(memory.array_bytes),
      times_ns(memory.array_bytes),
      names(memory),
      dropped_attributes(memory),
      attributes(memory) {}

LinkColumns::LinkColumns(TableMemory& memory)
    : spans(memory.array_bytes),
      trace_ids(memory.array_bytes),
      span_ids(memory.array_bytes),
      trace_states(memory),
      flags(memory),
      dropped_attributes(memory),
      attributes(memory) {}

void SpanTable::Impl::begin_batch(const SpanBatch& batch) {
  resource_of.assign(batch.resources.size(), HashIndex::kNone);
  scope_of.assign(batch.scopes.size(), HashIndex::kNone);
}

std::uint32_t SpanTable::Impl::resource(const SpanBatch& batch, std::uint32_t index) {
  std::uint32_t& known = resource_of[index];
  if (known != HashIndex::kNone) return known;
  const telemetry::BatchResource& resource = batch.resources[index];
  content.clear();
  add_number(content, resource.dropped_attributes);
  add_text(content, resource.schema_url);
  add_attributes(content, batch.attributes_of(resource.attributes));
  const std::uint64_t hash = core::hash64(content, core::process_hash_seed());
  known = resources.index.find(
      hash, [&](std::uint32_t row) { return resources.contents[row] == content; });
  if (known != HashIndex::kNone) return known;
  known = appended.counts.resources++;
  resources.schema_urls.push_back(resource.schema_url);
  resources.dropped_attributes.add(known, resource.dropped_attributes);
  resources.attributes.add(known, batch.attributes_of(resource.attributes));
  resources.contents.push_back(memory.copy(content));
  resources.index.insert(hash, known);
  return known;
}

std::uint32_t SpanTable::Impl::scope(const SpanBatch& batch, std::uint32_t index) {
  std::uint32_t& known = scope_of[index];
  if (known != HashIndex::kNone) return known;
  const telemetry::BatchScope& scope = batch.scopes[index];
  content.clear();
  add_number(content, scope.dropped_attributes);
  add_text(content, scope.name);
  add_text(content, scope.version);
  add_text(content, scope.schema_url);
  add_attributes(content, batch.attributes_of(scope.attributes));
  const std::uint64_t hash = core::hash64(content, core::process_hash_seed());
  known =
      scopes.index.find(hash, [&](std::uint32_t row) { return scopes.contents[row] == content; });
  if (known != HashIndex::kNone) return known;
  known = appended.counts.scopes++;
  scopes.names.push_back(scope.name);
  scopes.versions.push_back(scope.version);
  scopes.schema_urls.push_back(scope.schema_url);
  scopes.dropped_attributes.add(known, scope.dropped_attributes);
  scopes.attributes.add(known, batch.attributes_of(scope.attributes));
  scopes.contents.push_back(memory.copy(content));
  scopes.index.insert(hash, known);
  return known;
}

std::uint32_t SpanTable::Impl::find_trace(const TraceId& id) const {
  return traces_by_id.find(hash_of(id),
                           [&](std::uint32_t trace) { return trace_ids[trace] == id; });
}

std::uint32_t SpanTable::Impl::find_or_make_trace(const BatchSpan& span) {
  if (newest_trace != HashIndex::kNone && trace_ids[newest_trace] == span.trace_id) {
    return newest_trace;
  }
  newest_trace = find_trace(span.trace_id);
  if (newest_trace != HashIndex::kNone) return newest_trace;
  newest_trace = appended.counts.traces++;
  trace_ids.push_back(span.trace_id);
  traces_by_id.insert(hash_of(span.trace_id), newest_trace);
  return newest_trace;
}

bool SpanTable::Impl::is_repeated(const BatchSpan& span, std::uint32_t trace,
                                  std::uint64_t hash) const {
  return spans_by_id.find(hash, [&](std::uint32_t row) {
    return spans.ids[row] == span.span_id && spans.traces[row] == trace &&
           spans.kinds[row] == static_cast<std::uint8_t>(span.kind) &&
           spans.starts_ns[row] == static_cast<std::int64_t>(span.start_ns) &&
           spans.ends_ns[row] == span.end_ns && spans.names.text(row) == span.name;
  }) != HashIndex::kNone;
}

/// Hot: per span.
bool SpanTable::Impl::append(const SpanBatch& batch, const BatchSpan& span) {
  const std::uint32_t traces_before = appended.counts.traces;
  const std::uint32_t trace = find_or_make_trace(span);
  const std::uint64_t hash = hash_of_span(trace, span.span_id);
  if (is_repeated(span, trace, hash)) return false;
  append_row(batch, span, trace);
  spans_by_id.insert(hash, appended.counts.spans);
  append_events(batch, span, appended.counts.spans);
  append_links(batch, span, appended.counts.spans);
  widen_bounds(span, trace == traces_before);
  ++appended.counts.spans;
  return true;
}

void SpanTable::Impl::append_row(const SpanBatch& batch, const BatchSpan& span,
                                 std::uint32_t trace) {
  const std::uint32_t row = appended.counts.spans;
  spans.traces.push_back(trace);
  spans.ids.push_back(span.span_id);
  spans.parents.push_back(span.parent_id);
  spans.starts_ns.push_back(static_cast<std::int64_t>(span.start_ns));
  spans.durations_ns.push_back(clamp_ns(span.duration_ns()));
  spans.ends_ns.push_back(span.end_ns);
  spans.kinds.push_back(static_cast<std::uint8_t>(span.kind));
  spans.statuses.push_back(static_cast<std::uint8_t>(span.status));
  spans.names.push_back(span.name);
  spans.status_messages.push_back(span.status_message);
  spans.trace_states.push_back(span.trace_state);
  spans.resources.push_back(resource(batch, span.resource));
  spans.scopes.push_back(scope(batch, span.scope));
  spans.flags.add(row, span.flags);
  spans.dropped_attributes.add(row, span.dropped_attributes);
  spans.dropped_events.add(row, span.dropped_events);
  spans.dropped_links.add(row, span.dropped_links);
  spans.attributes.add(row, batch.attributes_of(span.attributes));
}

void SpanTable::Impl::append_events(const SpanBatch& batch, const BatchSpan& span,
                                    std::uint32_t row) {
  for (const telemetry::BatchEvent& event : batch.events_of(span)) {
    const std::uint32_t event_row = appended.counts.events++;
    events.spans.push_back(row);
    events.times_ns.push_back(static_cast<std::int64_t>(event.time_ns));
    events.names.push_back(event.name);
    events.dropped_attributes.add(event_row, event.dropped_attributes);
    events.attributes.add(event_row, batch.attributes_of(event.attributes));
  }
}

void SpanTable::Impl::append_links(const SpanBatch& batch, const BatchSpan& span,
                                   std::uint32_t row) {
  for (const telemetry::BatchLink& link : batch.links_of(span)) {
    const std::uint32_t link_row = appended.counts.links++;
    links.spans.push_back(row);
    links.trace_ids.push_back(link.trace_id);
    links.span_ids.push_back(link.span_id);
    links.trace_states.push_back(link.trace_state);
    links.flags.add(link_row, link.flags);
    links.dropped_attributes.add(link_row, link.dropped_attributes);
    links.attributes.add(link_row, batch.attributes_of(link.attributes));
  }
}

void SpanTable::Impl::widen_bounds(const BatchSpan& span, bool is_new_trace) {
  const auto start_ns = static_cast<std::int64_t>(span.start_ns);
  const std::int64_t end_ns = clamp_ns(std::max(span.end_ns, span.start_ns));
  traceql::GroupBounds& bounds = appended.bounds;
  if (appended.counts.spans == 0) {
    bounds = {.start_ns_min = start_ns,
              .start_ns_max = start_ns,
              .end_ns_max = end_ns,
              .trace_start_ns_max = start_ns};
    return;
  }
  bounds.start_ns_min = std::min(bounds.start_ns_min, start_ns);
  bounds.start_ns_max = std::max(bounds.start_ns_max, start_ns);
  bounds.end_ns_max = std::max(bounds.end_ns_max, end_ns);
  // A trace's start can only become earlier by its later spans: this stays an upper bound.
  if (is_new_trace) bounds.trace_start_ns_max = std::max(bounds.trace_start_ns_max, start_ns);
}

const AttributeColumns& SpanTable::Impl::attributes(traceql::Table table) const {
  switch (table) {
    case traceql::Table::Span:
      break;
    case traceql::Table::Resource:
      return resources.attributes;
    case traceql::Table::Event:
      return events.attributes;
    case traceql::Table::Link:
      return links.attributes;
    case traceql::Table::Instrumentation:
      return scopes.attributes;
  }
  return spans.attributes;
}

SpanTable::SpanTable() : impl_(std::make_unique<Impl>()) {}

SpanTable::~SpanTable() = default;

bool SpanTable::append(const SpanBatch& batch, std::uint32_t span) {
  return append(batch, std::span(&span, 1)) == 1;
}

std::uint32_t SpanTable::append(const SpanBatch& batch, std::span<const std::uint32_t> spans) {
  impl_->begin_batch(batch);
  std::uint32_t count = 0;
  for (const std::uint32_t span : spans) {
    if (impl_->append(batch, batch.spans[span])) ++count;
  }
  return count;
}

bool SpanTable::has_room_for(const SpanBatch& batch) const {
  const traceql::GroupCounts& counts = impl_->appended.counts;
  return batch.spans.size() <= kRowsMax - counts.spans &&
         batch.events.size() <= kRowsMax - counts.events &&
         batch.links.size() <= kRowsMax - counts.links;
}

bool SpanTable::has_appended(const TraceId& id) const {
  return impl_->find_trace(id) != HashIndex::kNone;
}

void SpanTable::publish() {
  impl_->appended.bounds.spans = impl_->appended.counts.spans;
  impl_->appended.bounds.bytes = memory_bytes();
  const core::Lock lock(impl_->mutex);
  impl_->published = impl_->appended;
}

SpanTable::Mark SpanTable::mark() const {
  const core::Lock lock(impl_->mutex);
  return impl_->published;
}

std::uint64_t SpanTable::memory_bytes() const {
  return impl_->memory.bytes();
}

std::optional<std::uint32_t> SpanTable::find_trace(const TraceId& id) const {
  return find_trace(id, mark());
}

std::optional<std::uint32_t> SpanTable::find_trace(const TraceId& id, const Mark& mark) const {
  const std::uint32_t trace = impl_->find_trace(id);
  if (trace == HashIndex::kNone || trace >= mark.counts.traces) return std::nullopt;
  return trace;
}

std::unique_ptr<StoredGroup> SpanTable::snapshot() const {
  return snapshot(mark());
}

std::unique_ptr<StoredGroup> SpanTable::snapshot(const Mark& mark) const {
  return std::make_unique<SpanTableGroup>(*impl_, mark.counts);
}

}  // namespace gantry::traces
