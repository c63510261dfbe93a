#pragma once

// What Gantry writes about itself and its host, into the stack main: its metrics, the host's, and
// its own requests as traces.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "access/gate.h"
#include "access/stacks.h"
#include "collect/collector.h"
#include "collect/host_metrics.h"
#include "collect/own_traces.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/time.h"
#include "server/config.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::server {

/// Made before the routes, which record into `traces`, started after the stores. `start` and `stop`
/// from one thread; the rest is thread-safe.
class OwnTelemetry {
 public:
  /// All must outlive it.
  struct Environment {
    const Config& config;
    const access::Gate& gate;
    core::MetricRegistry& registry;
    const Clock& clock;
    /// Appends to the stack, whose rules are not for what Gantry measures.
    std::function<Result<telemetry::AppendResult>(StackId, const telemetry::MetricBatch&)> append;
  };

  explicit OwnTelemetry(const Environment& environment);

  /// Where requests are recorded; null: they are not.
  [[nodiscard]] collect::OwnTraces* traces() const { return traces_.get(); }

  /// Whether it is the stack main. False for all before `start`.
  [[nodiscard]] bool is_main(StackId stack) const { return stack.value() == main_stack_; }

  /// Finds main among `stacks` and begins. Without it metrics are an error (FailedPrecondition) and
  /// traces are not recorded.
  Result<void> start(std::span<const access::Stack> stacks);

  /// Writes what waits. May be called twice.
  void stop();

 private:
  Result<void> start_collector(const access::Stack& main);
  Result<void> write_spans(const telemetry::SpanBatch& batch) const;

  Environment environment_;
  std::unique_ptr<collect::HostMetrics> host_metrics_;
  std::unique_ptr<collect::Collector> collector_;
  access::OrgId main_org_;
  std::atomic<std::uint32_t> main_stack_ = 0;
  std::unique_ptr<collect::OwnTraces> traces_;
};

}  // namespace gantry::server
