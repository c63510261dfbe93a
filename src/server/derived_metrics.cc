#include "server/derived_metrics.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <pthread.h>

#include "collect/rounds.h"
#include "core/log.h"
#include "pipeline/service_graph.h"
#include "pipeline/span_metrics.h"
#include "server/forwarding_trace_store.h"

namespace gantry::server {

struct DerivedMetrics::Stack {
  Stack(const Options& options, core::MetricRegistry& registry, const Clock& clock)
      : spans({.series_max = options.series_max, .interval = options.interval}, registry, clock),
        graph({.series_max = options.series_max / 2, .interval = options.interval}, registry,
              clock) {}

  StackId id;
  std::shared_ptr<metrics::Store> metrics;
  std::atomic<bool> is_enabled = true;
  pipeline::SpanMetrics spans;
  pipeline::ServiceGraph graph;
  bool is_failing = false;  // of the collecting thread

  void observe(const telemetry::SpanBatch& batch) {
    if (!is_enabled) return;
    spans.observe(batch);
    graph.observe(batch);
  }

  Result<void> write(const telemetry::MetricBatch& batch) const {
    if (batch.samples.empty()) return {};
    GANTRY_TRY(const telemetry::AppendResult appended, metrics->append(batch, {}));
    if (appended.samples_rejected == 0) return {};
    return fail(Code::ResourceExhausted, appended.rejections.empty()
                                             ? "samples refused"
                                             : appended.rejections.front().message);
  }

  Result<void> collect(TimestampMs now) {
    telemetry::MetricBatch batch;
    spans.collect(now, batch);
    GANTRY_CHECK(write(batch));
    graph.collect(now, batch);
    return write(batch);
  }

  /// Only changes are logged: a full disk would fill the log as well.
  void report(const Result<void>& written) {
    if (written.has_value() != is_failing) return;
    is_failing = !written.has_value();
    if (is_failing) {
      log::warn("metrics from spans refused",
                {{"instance_id", id.value()}, {"error", written.error().message}});
    } else {
      log::info("metrics from spans written again", {{"instance_id", id.value()}});
    }
  }
};

/// Counts what the store behind it accepts.
class DerivedMetrics::CountedStore final : public ForwardingTraceStore {
 public:
  CountedStore(std::unique_ptr<traces::Store> store, std::shared_ptr<Stack> stack)
      : ForwardingTraceStore(std::move(store)), stack_(std::move(stack)) {}

  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) override {
    GANTRY_TRY(telemetry::SpanAppendResult appended, ForwardingTraceStore::append(batch));
    // A request that was sent again, or refused as a whole, has nothing new.
    const bool has_new = appended.spans_written > appended.spans_repeated;
    if (has_new) stack_->observe(batch);
    return appended;
  }

 private:
  const std::shared_ptr<Stack> stack_;
};

DerivedMetrics::DerivedMetrics(Options options, core::MetricRegistry& registry, const Clock& clock)
    : options_(options), registry_(registry), clock_(clock) {}

DerivedMetrics::~DerivedMetrics() {
  stop();
}

std::shared_ptr<traces::Store> DerivedMetrics::attach(StackId stack,
                                                      std::unique_ptr<traces::Store> traces,
                                                      std::shared_ptr<metrics::Store> metrics,
                                                      bool is_enabled) {
  auto attached = std::make_shared<Stack>(options_, registry_, clock_);
  attached->id = stack;
  attached->metrics = std::move(metrics);
  attached->is_enabled = is_enabled;
  auto counted = std::make_shared<CountedStore>(std::move(traces), attached);
  const core::Lock lock(mutex_);
  stacks_[stack] = std::move(attached);
  return counted;
}

void DerivedMetrics::observe(StackId stack, const telemetry::SpanBatch& batch) {
  std::shared_ptr<Stack> attached;
  {
    const core::Lock lock(mutex_);
    if (const auto found = stacks_.find(stack); found != stacks_.end()) attached = found->second;
  }
  if (attached) attached->observe(batch);
}

void DerivedMetrics::enable(StackId stack, bool is_enabled) {
  const core::Lock lock(mutex_);
  if (const auto found = stacks_.find(stack); found != stacks_.end())
    found->second->is_enabled = is_enabled;
}

void DerivedMetrics::detach(StackId stack) {
  const core::Lock lock(mutex_);
  stacks_.erase(stack);
}

void DerivedMetrics::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    collect::run_rounds(stop, clock_, options_.interval,
                        [this](TimestampMs at) { collect_round(at); });
  });
  pthread_setname_np(thread_.native_handle(), "derive");
}

void DerivedMetrics::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  collect_round(clock_.now());
}

void DerivedMetrics::collect_round(TimestampMs now) {
  std::vector<std::shared_ptr<Stack>> stacks;
  {
    const core::Lock lock(mutex_);
    if (now <= last_round_) return;  // the clock was set back
    last_round_ = now;
    for (const auto& [id, stack] : stacks_) stacks.push_back(stack);
  }
  for (const auto& stack : stacks) stack->report(stack->collect(now));
}

}  // namespace gantry::server
