#pragma once

// A group of spans with everything that OTLP says of them: what TraceQL sees, and the fields that
// only show when a trace is read back. The live segment and the blocks implement it, so that one
// function reads spans out of either and one encoder writes either to disk.

#include <cstdint>
#include <span>

#include "core/error.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"

namespace gantry::traces {

/// A column of numbers that are mostly 0: dropped counts, flags.
struct RareNumbers {
  std::span<const std::uint32_t> rows;  ///< Ascending, each once; other rows have 0.
  std::span<const std::uint32_t> values;
};

/// The parts of a group that are no TraceQL fields. Lifetimes, threads and errors as for SpanGroup.
class StoredGroup : public traceql::SpanGroup {
 public:
  // by span row
  /// Like durations_ns, but as sent: an end before the start stays visible.
  virtual Result<std::span<const std::uint64_t>> ends_ns() = 0;
  virtual Result<RareNumbers> flags() = 0;
  virtual Result<RareNumbers> dropped_attributes() = 0;
  virtual Result<RareNumbers> dropped_events() = 0;
  virtual Result<RareNumbers> dropped_links() = 0;

  // by resource, scope, event and link row
  virtual Result<traceql::TextColumn> resource_schema_urls() = 0;
  virtual Result<RareNumbers> resource_dropped_attributes() = 0;
  virtual Result<traceql::TextColumn> scope_schema_urls() = 0;
  virtual Result<RareNumbers> scope_dropped_attributes() = 0;
  virtual Result<RareNumbers> event_dropped_attributes() = 0;
  virtual Result<traceql::TextColumn> link_trace_states() = 0;
  virtual Result<RareNumbers> link_flags() = 0;
  virtual Result<RareNumbers> link_dropped_attributes() = 0;
};

/// Appends the spans at `rows` to `batch`, in that order, with their resources and scopes (each
/// once). All text is copied into the batch's arena. Errors: those of the group.
Result<void> read_spans(StoredGroup& group, std::span<const std::uint32_t> rows,
                        telemetry::SpanBatch& batch);

}  // namespace gantry::traces
