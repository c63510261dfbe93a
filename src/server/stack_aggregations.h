#pragma once

// Stream aggregations of stacks while they run: who feeds them gets them here, and what they finish
// is appended to their stacks.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"
#include "pipeline/stream_aggregation.h"
#include "server/failure_log.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::server {

/// Thread-safe, but for start and stop.
class StackAggregations {
 public:
  using Append =
      std::function<Result<telemetry::AppendResult>(StackId, const telemetry::MetricBatch&)>;

  /// The clock and the registry must outlive it. `append`: behind the rules of the stack.
  StackAggregations(const Clock& clock, core::MetricRegistry& registry, Append append);

  /// stop()
  ~StackAggregations();
  StackAggregations(const StackAggregations&) = delete;
  StackAggregations& operator=(const StackAggregations&) = delete;

  /// The aggregation of a stack by these rules, which goes on if it runs by the same ones. One by
  /// others ends: its last windows are appended once nobody feeds it any more. Null for "".
  /// Errors: those of the rules; nothing has changed then.
  Result<std::shared_ptr<pipeline::StreamAggregation>> run(StackId stack, const std::string& json);

  /// Appends every second what has been finished.
  void start();

  /// Appends all windows, also those that have not ended. Nobody may feed an aggregation after it.
  void stop();

  /// One round now. What a stack refuses is lost; logged when refusals begin and end.
  void collect_round(TimestampMs now);

 private:
  struct Running {
    std::string json;
    std::shared_ptr<pipeline::StreamAggregation> aggregation;
  };

  using Retired = std::vector<std::pair<StackId, std::shared_ptr<pipeline::StreamAggregation>>>;

  void append(StackId stack, const std::unique_ptr<const pipeline::FinishedWindows>& finished)
      GANTRY_REQUIRES(collecting_);
  [[nodiscard]] Retired take_unused();

  const Clock& clock_;
  core::MetricRegistry& registry_;
  const Append append_;
  core::Mutex collecting_;  // held for a round; taken before mutex_
  FailureLog failures_ GANTRY_GUARDED_BY(collecting_){"aggregated samples refused",
                                                      "aggregated samples stored again"};
  core::Mutex mutex_;
  std::map<StackId, Running> running_ GANTRY_GUARDED_BY(mutex_);
  Retired retired_ GANTRY_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace gantry::server
