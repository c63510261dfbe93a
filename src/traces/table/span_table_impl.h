#pragma once

// What a span table and its snapshots share. Included by them only.

#include <cstdint>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "traces/span_table.h"
#include "traces/table/table_columns.h"

namespace gantry::traces {

struct SpanColumns {
  explicit SpanColumns(TableMemory& memory);

  GrowingArray<std::uint32_t> traces;
  GrowingArray<telemetry::SpanId> ids;
  GrowingArray<telemetry::SpanId> parents;
  GrowingArray<std::int64_t> starts_ns;
  GrowingArray<std::int64_t> durations_ns;
  GrowingArray<std::uint64_t> ends_ns;
  GrowingArray<std::uint8_t> kinds;
  GrowingArray<std::uint8_t> statuses;
  TextRows names;
  TextRows status_messages;
  TextRows trace_states;
  GrowingArray<std::uint32_t> resources;
  GrowingArray<std::uint32_t> scopes;
  RareRows flags;
  RareRows dropped_attributes;
  RareRows dropped_events;
  RareRows dropped_links;
  AttributeColumns attributes;
};

struct ResourceColumns {
  explicit ResourceColumns(TableMemory& memory);

  TextRows schema_urls;
  RareRows dropped_attributes;
  AttributeColumns attributes;
  GrowingArray<std::string_view> contents;  ///< What tells a row from all others.
  HashIndex index;                          ///< By `contents`.
};

struct ScopeColumns {
  explicit ScopeColumns(TableMemory& memory);

  TextRows names;
  TextRows versions;
  TextRows schema_urls;
  RareRows dropped_attributes;
  AttributeColumns attributes;
  GrowingArray<std::string_view> contents;
  HashIndex index;
};

struct EventColumns {
  explicit EventColumns(TableMemory& memory);

  GrowingArray<std::uint32_t> spans;
  GrowingArray<std::int64_t> times_ns;
  TextRows names;
  RareRows dropped_attributes;
  AttributeColumns attributes;
};

struct LinkColumns {
  explicit LinkColumns(TableMemory& memory);

  GrowingArray<std::uint32_t> spans;
  GrowingArray<telemetry::TraceId> trace_ids;
  GrowingArray<telemetry::SpanId> span_ids;
  TextRows trace_states;
  RareRows flags;
  RareRows dropped_attributes;
  AttributeColumns attributes;
};

struct SpanTable::Impl {
  TableMemory memory;
  SpanColumns spans{memory};
  ResourceColumns resources{memory};
  ScopeColumns scopes{memory};
  EventColumns events{memory};
  LinkColumns links{memory};
  GrowingArray<telemetry::TraceId> trace_ids{memory.array_bytes};
  HashIndex traces_by_id{memory.array_bytes};
  HashIndex spans_by_id{memory.array_bytes};  ///< By trace number and span id.

  // What the writer remembers between spans and between calls.
  Mark appended;
  std::uint32_t newest_trace = HashIndex::kNone;
  std::vector<std::uint32_t> resource_of;  ///< By the batch's index; kNone: not looked up.
  std::vector<std::uint32_t> scope_of;
  std::string content;

  mutable core::Mutex mutex;
  Mark published GANTRY_GUARDED_BY(mutex);

  void begin_batch(const telemetry::SpanBatch& batch);
  bool append(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span);
  void append_row(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span,
                  std::uint32_t trace);
  void append_events(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span,
                     std::uint32_t row);
  void append_links(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span,
                    std::uint32_t row);
  std::uint32_t resource(const telemetry::SpanBatch& batch, std::uint32_t index);
  std::uint32_t scope(const telemetry::SpanBatch& batch, std::uint32_t index);
  [[nodiscard]] std::uint32_t find_trace(const telemetry::TraceId& id) const;
  std::uint32_t find_or_make_trace(const telemetry::BatchSpan& span);
  [[nodiscard]] bool is_repeated(const telemetry::BatchSpan& span, std::uint32_t trace,
                                 std::uint64_t hash) const;
  void widen_bounds(const telemetry::BatchSpan& span, bool is_new_trace);

  [[nodiscard]] const AttributeColumns& attributes(traceql::Table table) const;
};

}  // namespace gantry::traces
