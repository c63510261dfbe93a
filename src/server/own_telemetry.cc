#include "server/own_telemetry.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "access/principal.h"
#include "collect/process_metrics.h"
#include "collect/target.h"
#include "core/log.h"
#include "core/version.h"
#include "gateway/gateway_metrics.h"

namespace gantry::server {

namespace {

/// Without those of LLM calls, which every stack has its own of.
std::vector<collect::Family> server_families(const core::MetricRegistry& registry) {
  std::vector<collect::Family> families = collect::own_families(registry);
  std::erase_if(families, [](const auto& family) { return gateway::is_call_metric(family.name); });
  return families;
}

}  // namespace

OwnTelemetry::OwnTelemetry(const Environment& environment) : environment_(environment) {
  const auto& self = environment_.config.self;
  if (!self.traces) return;
  traces_ = std::make_unique<collect::OwnTraces>(
      collect::OwnTraces::Options{.instance = collect::host_name(),
                                  .version = std::string(core::version()),
                                  .traces_per_second = self.traces_per_second},
      [this](const telemetry::SpanBatch& batch) { return write_spans(batch); },
      environment_.registry, environment_.clock);
}

Result<void> OwnTelemetry::start(std::span<const access::Stack> stacks) {
  const Config& config = environment_.config;
  const bool collects = config.collect.host || config.self.metrics;
  const auto main = std::ranges::find(stacks, "main", &access::Stack::slug);
  if (main == stacks.end()) {
    if (collects)
      return fail(Code::FailedPrecondition,
                  "collect.host and self.metrics write into the stack main, which is not there");
    if (traces_) log::warn("own traces are not recorded: the stack main is not there");
    return {};
  }
  main_org_ = main->org;
  main_stack_ = main->id.value();
  if (collects) GANTRY_CHECK(start_collector(*main));
  if (traces_) traces_->start();
  return {};
}

Result<void> OwnTelemetry::start_collector(const access::Stack& main) {
  const Config& config = environment_.config;
  std::vector<std::unique_ptr<collect::Target>> targets;
  if (config.collect.host) {
    GANTRY_TRY(host_metrics_, collect::HostMetrics::make({}));
    targets.push_back(std::make_unique<collect::Target>(
        collect::Target::Options{.job = "node", .instance = collect::host_name()},
        [this](TimestampMs at) { return host_metrics_->read(at); }));
  }
  if (config.self.metrics)
    targets.push_back(std::make_unique<collect::Target>(
        collect::Target::Options{.job = "gantry", .instance = collect::host_name()},
        [this](TimestampMs) { return server_families(environment_.registry); }));

  const auto writer = access::system_principal(main.org, main.id, {access::Scope::MetricsWrite});
  const auto sink = [this, writer](const telemetry::MetricBatch& batch) -> Result<void> {
    const auto view = environment_.gate.open(writer, access::Scope::MetricsWrite);
    if (!view) return fail(view.error().code, view.error().message);
    GANTRY_TRY(const telemetry::AppendResult appended, environment_.append(view->stack(), batch));
    if (appended.samples_rejected == 0) return {};
    return fail(Code::ResourceExhausted, appended.rejections.empty()
                                             ? "samples refused"
                                             : appended.rejections.front().message);
  };
  collect::Collector::Options options{.interval = config.collect.interval};
  if (traces_)
    options.record = [this](std::vector<core::OwnSpan> spans) {
      traces_->add(std::move(spans), {});
    };
  collector_ = std::make_unique<collect::Collector>(std::move(options), std::move(targets), sink,
                                                    environment_.registry, environment_.clock);
  collector_->start();
  return {};
}

Result<void> OwnTelemetry::write_spans(const telemetry::SpanBatch& batch) const {
  const auto writer =
      access::system_principal(main_org_, StackId(main_stack_), {access::Scope::TracesWrite});
  const auto view = environment_.gate.open(writer, access::Scope::TracesWrite);
  if (!view) return fail(view.error().code, view.error().message);
  GANTRY_TRY(const telemetry::SpanAppendResult appended, view->append(batch));
  if (appended.spans_rejected() == 0) return {};
  return fail(Code::ResourceExhausted,
              appended.messages.empty() ? "spans refused" : appended.messages.front());
}

void OwnTelemetry::stop() {
  if (collector_) collector_->stop();
  if (traces_) traces_->stop();
}

}  // namespace gantry::server
