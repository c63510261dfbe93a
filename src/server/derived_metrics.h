#pragma once

// Metrics from spans: what a stack's trace store accepts is counted, and every interval the counts
// are written into the metrics store of the same stack.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <thread>

#include "core/ids.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"
#include "metrics/store.h"
#include "traces/store.h"

namespace gantry::server {

/// Thread-safe. `start` and `stop` from one thread.
class DerivedMetrics {
 public:
  struct Options {
    DurationMs interval{15'000};
    std::uint64_t series_max = 100'000;  ///< Of a stack.
  };

  /// The registry and the clock must outlive it.
  DerivedMetrics(Options options, core::MetricRegistry& registry, const Clock& clock);

  /// stop()
  ~DerivedMetrics();
  DerivedMetrics(const DerivedMetrics&) = delete;
  DerivedMetrics& operator=(const DerivedMetrics&) = delete;

  /// The trace store of a stack whose appends are counted from now on, while enabled. Spans that it
  /// had before are not counted again.
  [[nodiscard]] std::shared_ptr<traces::Store> attach(StackId stack,
                                                      std::unique_ptr<traces::Store> traces,
                                                      std::shared_ptr<metrics::Store> metrics,
                                                      bool is_enabled);

  /// Counts spans that the stack took and its store never sees. Does nothing for a stack that is
  /// not attached or not enabled.
  void observe(StackId stack, const telemetry::SpanBatch& batch);

  /// Does nothing for a stack that is not attached.
  void enable(StackId stack, bool is_enabled);

  /// What was counted since the last round is forgotten.
  void detach(StackId stack);

  void start();

  /// Writes a last round. May be called twice.
  void stop();

  /// One round now, unless `now` is not after the last one. A batch that the metrics store refuses
  /// is lost; the counters themselves are not, so the next round makes up for it. Logged when
  /// refusals begin and end.
  void collect_round(TimestampMs now);

 private:
  struct Stack;
  class CountedStore;

  Options options_;
  core::MetricRegistry& registry_;
  const Clock& clock_;
  core::Mutex mutex_;
  std::map<StackId, std::shared_ptr<Stack>> stacks_ GANTRY_GUARDED_BY(mutex_);
  TimestampMs last_round_ GANTRY_GUARDED_BY(mutex_){0};
  std::jthread thread_;
};

}  // namespace gantry::server
