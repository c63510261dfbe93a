#pragma once

// What the LLM calls of a stack added up to, in the metrics store of the stack.

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "access/gate.h"
#include "collect/target.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/time.h"
#include "gateway/call_metrics.h"
#include "server/failure_log.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::server {

/// One thread at a time, but for its own.
class CallMetricsFeed {
 public:
  struct Options {
    DurationMs interval{15'000};  ///< collect.interval
    std::string instance;         ///< The label: this machine's name.
    /// Appends to a stack that may be written; empty: as any writer does.
    std::function<Result<telemetry::AppendResult>(StackId, const telemetry::MetricBatch&)> append =
        {};
  };

  /// All must outlive it.
  CallMetricsFeed(gateway::CallMetrics& metrics, const access::Gate& gate, const Clock& clock,
                  Options options);

  /// stop()
  ~CallMetricsFeed();
  CallMetricsFeed(const CallMetricsFeed&) = delete;
  CallMetricsFeed& operator=(const CallMetricsFeed&) = delete;

  /// A round at every multiple of the interval since the epoch, on a thread of its own.
  void start();

  /// A last round, if it was started. May be called twice.
  void stop();

  /// Writes what the counters say, with job="gantry-gateway". What a store refuses is lost, and
  /// made up for by the next round; logged when refusals begin and end. Nothing is done when `at`
  /// is not after the last round: the clock was set back.
  void collect_round(TimestampMs at);

 private:
  [[nodiscard]] Result<void> write(const gateway::CallMetrics::OfStack& stack, TimestampMs at);

  gateway::CallMetrics& metrics_;
  const access::Gate& gate_;
  const Clock& clock_;
  const Options options_;
  TimestampMs last_round_{0};
  std::map<StackId, std::unique_ptr<collect::Target>> targets_;
  FailureLog failures_{"metrics of LLM calls not stored", "metrics of LLM calls stored again"};
  std::jthread thread_;
};

}  // namespace gantry::server
