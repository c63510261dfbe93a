#include "server/gateway_parts.h"

#include <chrono>
#include <cstddef>
#include <span>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

#include <pthread.h>

#include "api/gateway_keys.h"
#include "collect/host_metrics.h"
#include "core/mutex.h"
#include "gateway/trace_ids.h"
#include "pipeline/ruled_spans.h"

namespace gantry::server {
namespace {

constexpr auto kHousekeepingInterval = std::chrono::seconds(1);
constexpr int kExpiryRounds = 600;  // of records: every ten minutes, so that each time has little

/// They wait for the disk together: a sync that comes late is shared by all of them.
constexpr std::size_t kTraceThreads = 8;

std::optional<gateway::GenerationBroadcast> make_destinations(BroadcastParts* broadcast,
                                                              const gateway::TraceOptions& trace) {
  if (broadcast == nullptr) return std::nullopt;
  return gateway::GenerationBroadcast(broadcast->broadcaster(), trace);
}

/// Destinations choose by what is known of a call, and their views have what the store's may lack:
/// they are offered calls, and not the spans in the store besides.
decltype(GenerationTraces::Options::append) make_append(BroadcastParts* broadcast,
                                                        const StackPipelines* pipelines) {
  if (broadcast == nullptr) return GenerationTraces::Options{}.append;
  return [broadcast, pipelines](StackId stack, const access::StackView&,
                                const telemetry::SpanBatch& batch) {
    const auto rules = pipelines == nullptr ? nullptr : pipelines->span_rules(stack);
    if (!rules) return broadcast->append_unoffered(stack, batch);
    const pipeline::EditedSpans edited(*rules, batch);
    return broadcast->append_unoffered(stack, edited.batch());
  };
}

decltype(CallMetricsFeed::Options::append) make_append_own(StackPipelines* pipelines) {
  if (pipelines == nullptr) return {};
  return [pipelines](StackId stack, const telemetry::MetricBatch& batch) {
    return pipelines->append_own(stack, batch);
  };
}

}  // namespace

Result<std::unique_ptr<GatewayParts>> GatewayParts::make(const gateway::SettingNode& section,
                                                         Environment environment) {
  std::unique_ptr<GatewayParts> parts;
  if (section.kind == gateway::SettingNode::Kind::Null) return parts;
  GANTRY_TRY(gateway::GatewaySettings settings, gateway::read_gateway_settings(section));
  if (!settings.is_enabled) return parts;
  GANTRY_TRY(auto client, net::StreamingClient::make({.egress = *environment.access.egress,
                                                      .ca_file = environment.ca_file,
                                                      .io_threads = environment.io_threads}));
  parts.reset(new GatewayParts(std::move(settings), std::move(environment), std::move(client)));
  GANTRY_CHECK(parts->reload(section));
  return parts;
}

GatewayParts::GatewayParts(gateway::GatewaySettings settings, Environment environment,
                           std::unique_ptr<net::StreamingClient> client)
    : access_(environment.access),
      rate_(environment.rate),
      secrets_({.db = *access_.db,
                .sealer = *access_.sealer,
                .audit = *access_.audit,
                .clock = environment.clock}),
      client_(std::move(client)),
      keys_(*environment.access.db, *environment.access.hasher, environment.clock,
            environment.registry, {}),
      budgets_(*environment.access.db, environment.clock,
               {.holder = environment.access.db->is_shared() ? environment.holder : ""}),
      records_(*environment.access.db, environment.clock, environment.registry, {}),
      metrics_(environment.registry, {.conventions = settings.conventions}),
      feed_(metrics_, *environment.access.gate, environment.clock,
            {.interval = environment.collect_interval,
             .instance = collect::host_name(),
             .append = make_append_own(environment.pipelines)}),
      broadcast_(environment.broadcast),
      pipelines_(environment.pipelines),
      destinations_(make_destinations(broadcast_, settings.trace)),
      traces_(*environment.access.gate, environment.registry,
              {.trace = std::move(settings.trace),
               .keeps_content = settings.keeps_content,
               .append = make_append(broadcast_, pipelines_)}),
      queue_(std::make_unique<gateway::GenerationQueue>(
          [this](std::span<const gateway::FinishedCall> calls) { keep(calls); },
          environment.registry, gateway::GenerationQueue::Options{.thread_count = kTraceThreads})),
      gateway_(
          {.clock = environment.clock,
           .steady_clock = environment.steady_clock,
           .client = *client_,
           .keys = keys_,
           .budgets = budgets_,
           .records = records_,
           .metrics = metrics_,
           .registry = environment.registry,
           .sinks = {queue_.get()},
           .read_secret =
               [this](std::string_view reference) { return secrets_.read_reference(reference); }},
          std::move(settings.options)) {}

GatewayParts::~GatewayParts() {
  stop();
}

void GatewayParts::add_routes(net::Router& router) {
  net::Router routes;
  gateway_.add_routes(routes);
  for (const std::string_view prefix : {"/api/v1", "/v1"}) router.mount(prefix, routes);
  api::add_gateway_key_routes(
      router,
      {.gate = *access_.gate, .control = *access_.control, .rate = rate_, .budgets = budgets_});
}

void GatewayParts::start() {
  housekeeper_ = std::jthread([this](const std::stop_token& stopping) {
    core::Mutex mutex;
    core::ConditionVariable wake;
    for (int round = 0; !stopping.stop_requested(); ++round) {
      {
        core::Lock held(mutex);
        wake.wait_for(held, stopping, kHousekeepingInterval, [] { return false; });
      }
      keep_house(round);
    }
  });
  feed_.start();
  pthread_setname_np(housekeeper_.native_handle(), "gateway");
}

void GatewayParts::keep(std::span<const gateway::FinishedCall> calls) {
  std::vector<gateway::FinishedCall> kept;
  kept.reserve(calls.size());
  for (const gateway::FinishedCall& call : calls)
    if (is_kept(call)) kept.push_back(call);
  traces_.store(kept);
  if (!destinations_) return;
  for (const gateway::FinishedCall& call : kept) {
    const auto rules = pipelines_ == nullptr ? nullptr : pipelines_->span_rules(call.stack);
    destinations_->offer(call.stack, *call.generation, rules.get());
  }
}

/// By the call itself, which knows more than the spans that are made of it: the name of its key,
/// contents that the store is not to have.
bool GatewayParts::is_kept(const gateway::FinishedCall& call) const {
  const auto rules = pipelines_ == nullptr ? nullptr : pipelines_->span_rules(call.stack);
  if (!rules) return true;
  const gateway::Generation& generation = *call.generation;
  const auto facts = gateway::call_facts(generation, {});
  const pipeline::TraceFate fate = pipelines_->decide(
      *rules, call.stack, gateway::derive_trace_id(generation.context.trace_id, generation.id),
      generation.context.session_id, facts.fields);
  if (fate == pipeline::TraceFate::SampledOut) {
    telemetry::SpanBatch built;
    const gateway::FinishedCall* const one = &call;
    traces_.build({&one, 1}, built);
    pipelines_->observe(call.stack, pipeline::EditedSpans(*rules, built).batch());
  }
  return fate == pipeline::TraceFate::Kept;
}

void GatewayParts::keep_house(int round) {
  failures_.note("budgets of keys", budgets_.flush());
  failures_.note("generation records", records_.flush());
  if (round % kExpiryRounds == 0) failures_.note("removal of old records", records_.expire());
}

Result<void> GatewayParts::reload(const gateway::SettingNode& section) {
  if (section.kind == gateway::SettingNode::Kind::Null) return {};
  GANTRY_TRY(gateway::GatewaySettings settings, gateway::read_gateway_settings(section));
  GANTRY_TRY(auto catalogue, gateway::Catalogue::build(std::move(settings.catalogue)));
  return gateway_.serve(std::move(catalogue));
}

void GatewayParts::stop() {
  if (!queue_) return;
  gateway_.stop();
  queue_.reset();
  housekeeper_ = {};
  feed_.stop();
  keep_house(1);
}

}  // namespace gantry::server
