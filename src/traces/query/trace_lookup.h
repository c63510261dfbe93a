#pragma once

// Where traces are, and their spans.

#include <cstdint>
#include <span>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "telemetry/span_batch.h"
#include "traces/store_state.h"

namespace gantry::traces {

/// Traces of what is older than the live segment: the segment that is being sealed, and blocks.
/// One thread.
class TraceLookup {
 public:
  /// `moment` must outlive it.
  explicit TraceLookup(const StoreMoment& moment) : moment_(moment) {}

  /// Remembers where the trace is, if it is anywhere. False: it is nowhere. Errors: those of the
  /// blocks.
  Result<bool> find(const telemetry::TraceId& id);

  /// Appends the spans of all traces found since the last call; those of one trace in order of
  /// arrival. Errors: those of the blocks, Cancelled.
  Result<void> read(const CancelToken& cancel, telemetry::SpanBatch& batch);

 private:
  /// Traces of one group.
  struct Place {
    const Block* block = nullptr;  ///< Null: the segment that is being sealed.
    std::uint32_t group = 0;
    std::vector<std::uint32_t> traces;
  };

  void add(const Block* block, std::uint32_t group, std::uint32_t trace);
  Result<void> read(Place& place, telemetry::SpanBatch& batch);

  const StoreMoment& moment_;
  std::vector<Place> places_;
};

/// Appends the spans of these traces of the group, ascending by row. Errors: those of the group.
Result<void> read_traces(StoredGroup& group, std::span<const std::uint32_t> traces,
                         telemetry::SpanBatch& batch);

}  // namespace gantry::traces
