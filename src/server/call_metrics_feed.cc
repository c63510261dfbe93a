#include "server/call_metrics_feed.h"

#include <algorithm>
#include <utility>

#include <pthread.h>

#include "access/principal.h"
#include "collect/family.h"
#include "collect/rounds.h"

namespace gantry::server {

CallMetricsFeed::CallMetricsFeed(gateway::CallMetrics& metrics, const access::Gate& gate,
                                 const Clock& clock, Options options)
    : metrics_(metrics), gate_(gate), clock_(clock), options_(std::move(options)) {}

CallMetricsFeed::~CallMetricsFeed() {
  stop();
}

void CallMetricsFeed::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    collect::run_rounds(stop, clock_, options_.interval,
                        [this](TimestampMs at) { collect_round(at); });
  });
  pthread_setname_np(thread_.native_handle(), "call-metrics");
}

void CallMetricsFeed::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  collect_round(clock_.now());
}

void CallMetricsFeed::collect_round(TimestampMs at) {
  if (at <= last_round_) return;
  last_round_ = at;
  for (const gateway::CallMetrics::OfStack& stack : metrics_.stacks()) {
    const Result<void> written = write(stack, at);
    const bool is_gone = !written && written.error().code == Code::Unauthenticated;
    if (is_gone) {
      targets_.erase(stack.stack);
      metrics_.forget(stack.stack);
    }
    failures_.note(std::to_string(stack.stack.value()), is_gone ? Result<void>() : written);
  }
}

Result<void> CallMetricsFeed::write(const gateway::CallMetrics::OfStack& stack, TimestampMs at) {
  const auto writer =
      access::system_principal(stack.org, stack.stack, {access::Scope::MetricsWrite});
  const auto view = gate_.open(writer, access::Scope::MetricsWrite);
  // The one error here: no such stack is open.
  if (!view) return fail(view.error().code, view.error().message);
  auto& target = targets_[stack.stack];
  if (!target) {
    target = std::make_unique<collect::Target>(
        collect::Target::Options{.job = "gantry-gateway", .instance = options_.instance},
        [registry = stack.registry](TimestampMs) { return collect::own_families(*registry); });
  }
  const telemetry::MetricBatch& batch = target->collect(at);
  GANTRY_TRY(const telemetry::AppendResult appended,
             options_.append ? options_.append(stack.stack, batch) : view->append(batch));
  if (appended.samples_rejected == 0) return {};
  return fail(Code::ResourceExhausted, appended.rejections.empty()
                                           ? "samples refused"
                                           : appended.rejections.front().message);
}

}  // namespace gantry::server
