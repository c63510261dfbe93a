#pragma once

// The store as TraceQL sees it.

#include <memory>
#include <utility>

#include "traceql/span_source.h"
#include "traces/store_state.h"

namespace gantry::traces {

/// One group for the live segment, one for a segment that is being sealed, and those of the blocks.
/// Thread-safe. A snapshot's groups are StoredGroups and valid as long as the snapshot.
class StoreSource final : public traceql::SpanSource {
 public:
  explicit StoreSource(std::shared_ptr<StoreState> state) : state_(std::move(state)) {}

  Result<std::unique_ptr<traceql::SpanSnapshot>> open(const traceql::OpenRequest& request,
                                                      const CancelToken& cancel) const override;

  Result<void> find_trace(const telemetry::TraceId& id, std::int64_t start_ns, std::int64_t end_ns,
                          const CancelToken& cancel, telemetry::SpanBatch& batch) const override;

 private:
  std::shared_ptr<StoreState> state_;
};

}  // namespace gantry::traces
