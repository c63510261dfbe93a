#include "gateway/gateway.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <sys/random.h>

#include "core/log.h"
#include "gateway/call.h"
#include "gateway/call_admission.h"
#include "gateway/key_listing.h"
#include "gateway/live_calls.h"
#include "gateway/model_listing.h"

namespace gantry::gateway {
namespace {

std::uint64_t seed_of(std::uint64_t given) {
  while (given == 0) {
    const int failed = ::getentropy(&given, sizeof given);
    GANTRY_ASSERT(failed == 0, "the kernel has random numbers");
  }
  return given;
}

/// What the server itself refuses (413, 405, …), in the shape of the API.
net::Response server_error(Api api, int status, std::string_view message, std::string_view id) {
  const ErrorType type = status == 413   ? ErrorType::PayloadTooLarge
                         : status == 404 ? ErrorType::NotFound
                         : status >= 500 ? ErrorType::Server
                                         : ErrorType::InvalidRequest;
  const TypedError error{.type = type, .message = std::string(message)};
  return net::json_response(status, error_body(api, error, id, status));
}

double gauge_of(BreakerState state) {
  switch (state) {
    case BreakerState::Closed:
      return 0;
    case BreakerState::HalfOpen:
      return 1;
    case BreakerState::Open:
      return 2;
  }
  std::unreachable();
}

net::Response plain_error(const TypedError& error) {
  return error_answer(Api::Chat, error, {});
}

}  // namespace

struct Gateway::Impl {
  Impl(Parts given, GatewayOptions given_options)
      : parts(std::move(given)),
        options(std::move(given_options)),
        random(seed_of(parts.random_seed)),
        shared_breakers(std::make_shared<Breakers>(parts.steady_clock, options.breaker)),
        breakers(*shared_breakers),
        statistics(parts.steady_clock),
        sessions(parts.steady_clock),
        router(breakers, statistics, sessions, random),
        waiting_room(std::make_shared<WaitingRoom>(options.queue_max)),
        call_parts{
            .clock = parts.clock,
            .steady_clock = parts.steady_clock,
            .random = random,
            .make_id = parts.make_id,
            .client = parts.client,
            .keys = parts.keys,
            .budgets = parts.budgets,
            .records = parts.records,
            .metrics = parts.metrics,
            .queue_seconds =
                parts.registry.histogram("gantry_gateway_queue_seconds",
                                         "How long calls waited for a place, of those that had to.",
                                         core::default_duration_bounds()),
            .sinks = parts.sinks,
            .breakers = breakers,
            .statistics = statistics,
            .sessions = sessions,
            .router = router,
            .live = live,
            .counters = std::make_shared<core::WorkerPool>(core::WorkerPool::Options{
                .thread_count = 1, .queue_length_max = options.uncounted_max, .name = "counter"}),
            .slots = std::make_shared<CallSlots>(options.calls_max, waiting_room),
            .options = options.calls} {
    register_gauges();
  }

  void register_gauges();
  void register_breakers(const Catalogue& catalogue);
  Result<void> serve(std::shared_ptr<const Catalogue> catalogue);

  net::Response infer(Api api, net::Request& request);
  net::ErrorRenderer error_renderer(Api api);
  using Answer = net::Response (Impl::*)(const GatewayKey& key, const net::Request& request);
  net::Handler for_key(Answer answer);
  net::Response list_models(const GatewayKey& key, const net::Request& request);
  net::Response count_models(const GatewayKey& key, const net::Request& request);
  net::Response list_endpoints(const GatewayKey& key, const net::Request& request);
  net::Response show_generation(const GatewayKey& key, const net::Request& request);
  net::Response show_key(const GatewayKey& key, const net::Request& request);

  const Parts parts;
  const GatewayOptions options;
  RandomSource random;
  const std::shared_ptr<Breakers> shared_breakers;  ///< With the registry's gauges.
  Breakers& breakers;
  EndpointStatistics statistics;
  StickySessions sessions;
  const Router router;
  const std::shared_ptr<LiveCalls> live_calls = std::make_shared<LiveCalls>();
  LiveCalls& live = *live_calls;
  const std::shared_ptr<WaitingRoom> waiting_room;
  CallParts call_parts;
  core::Mutex serve_mutex;  ///< Held over a change of what is served.

  [[nodiscard]] std::shared_ptr<const ServedCatalogue> served() const {
    const core::Lock lock(served_mutex_);
    return served_;
  }

 private:
  /// Held to copy the pointer. An atomic one is a lock too in libstdc++, and one that
  /// ThreadSanitizer cannot follow.
  mutable core::Mutex served_mutex_;
  std::shared_ptr<const ServedCatalogue> served_ GANTRY_GUARDED_BY(served_mutex_);
};

/// The registry may ask after the gateway is gone.
void Gateway::Impl::register_gauges() {
  parts.registry.callback(core::MetricType::Gauge, "gantry_gateway_inflight",
                          "Calls that are not over.", {},
                          [calls = live_calls] { return static_cast<double>(calls->count()); });
  parts.registry.callback(core::MetricType::Gauge, "gantry_gateway_waiting",
                          "Calls that wait for a place.", {},
                          [room = waiting_room] { return static_cast<double>(room->count()); });
}

void Gateway::Impl::register_breakers(const Catalogue& catalogue) {
  for (const auto& model : catalogue.models()) {
    for (const auto& endpoint : model->endpoints) {
      parts.registry.callback(
          core::MetricType::Gauge, "gantry_gateway_breaker_state",
          "Whether calls to an endpoint are let through: 0 yes, 1 one to see, 2 no.",
          {{"provider", endpoint->tag}, {"model", model->config.id}},
          [all = shared_breakers, id = endpoint->id] { return gauge_of(all->status(id).state); });
    }
  }
}

Result<void> Gateway::Impl::serve(std::shared_ptr<const Catalogue> catalogue) {
  const core::Lock lock(serve_mutex);
  const std::vector<EndpointId> endpoints = catalogue->endpoint_ids();
  const auto previous = served();
  GANTRY_TRY(auto next, ServedCatalogue::make({.catalogue = std::move(catalogue),
                                               .read_secret = parts.read_secret,
                                               .waiting_room = waiting_room,
                                               .steady_clock = parts.steady_clock,
                                               .random = random,
                                               .previous = previous.get()}));
  register_breakers(next->catalogue());
  {
    const core::Lock changing(served_mutex_);
    served_ = std::move(next);
  }
  breakers.retain(endpoints);
  statistics.retain(endpoints);
  return {};
}

net::Response Gateway::Impl::infer(Api api, net::Request& request) {
  auto admitted = admit_call(call_parts, served(), api, request);
  if (admitted) return Call::start(call_parts, *std::move(admitted));
  const RefusedCall& refused = admitted.error();
  parts.metrics.observe(refused.generation, refused.key.get());
  net::Response response = error_answer(api, refused.error, refused.generation.id);
  for (const auto& [name, value] : refused.headers.fields()) response.headers.add(name, value);
  response.headers.add("X-Generation-Id", refused.generation.id);
  return response;
}

net::ErrorRenderer Gateway::Impl::error_renderer(Api api) {
  return [this, api](const net::Request&, int status, std::string_view message) {
    const std::string id = parts.make_id(parts.clock.now());
    net::Response response = server_error(api, status, message, id);
    response.headers.add("X-Generation-Id", id);
    return response;
  };
}

net::Handler Gateway::Impl::for_key(Answer answer) {
  return [this, answer](net::Request& request) {
    const auto key = authenticate(parts.keys, request, Api::Chat);
    if (!key) return plain_error(key.error());
    return (this->*answer)(**key, request);
  };
}

net::Response Gateway::Impl::list_models(const GatewayKey& key, const net::Request&) {
  return net::json_response(200, print_models(served()->catalogue(), allowed_models(key)));
}

net::Response Gateway::Impl::count_models(const GatewayKey& key, const net::Request&) {
  return net::json_response(200, print_model_count(served()->catalogue(), allowed_models(key)));
}

net::Response Gateway::Impl::list_endpoints(const GatewayKey& key, const net::Request& request) {
  const std::string id =
      fmt::format("{}/{}", request.path_parameter("author"), request.path_parameter("slug"));
  const auto catalogue = served();
  const auto match = catalogue->catalogue().find(id);
  if (!match || !match->model->is_listed || !allowed_models(key).allows(match->model->config.id)) {
    return plain_error(
        {.type = ErrorType::NotFound, .message = fmt::format("{} is not a valid model ID", id)});
  }
  return net::json_response(200, print_endpoints(*match->model));
}

net::Response Gateway::Impl::show_generation(const GatewayKey& key, const net::Request& request) {
  const auto query = net::Parameters::parse(request.raw_query);
  const auto id = query ? query->find("id") : std::nullopt;
  if (!id || id->empty()) {
    return plain_error({.type = ErrorType::InvalidRequest, .message = "id: required"});
  }
  auto found = parts.records.find(key.org, key.stack, *id);
  if (!found) {
    log::error("generation record could not be read", {{"error", found.error().message}});
    return plain_error({.type = ErrorType::Server, .message = "Internal server error"});
  }
  if (!*found) {
    return plain_error(
        {.type = ErrorType::NotFound, .message = "There is no such generation, or it is too old"});
  }
  return net::json_response(200, **std::move(found));
}

net::Response Gateway::Impl::show_key(const GatewayKey& key, const net::Request&) {
  const auto spend = parts.budgets.spend(key);
  if (!spend) {
    log::error("spending of a gateway key could not be read", {{"error", spend.error().message}});
    return plain_error({.type = ErrorType::Server, .message = "Internal server error"});
  }
  return net::json_response(200, print_key(key, *spend));
}

Gateway::Gateway(Parts parts, GatewayOptions options)
    : impl_(std::make_unique<Impl>(std::move(parts), std::move(options))) {
  const auto empty = Catalogue::build({});
  GANTRY_ASSERT(empty, "a catalogue may be empty");
  const auto served = impl_->serve(*empty);
  GANTRY_ASSERT(served, "no provider has a secret");
}

Gateway::~Gateway() {
  stop();
}

Result<void> Gateway::serve(std::shared_ptr<const Catalogue> catalogue) {
  return impl_->serve(std::move(catalogue));
}

void Gateway::add_routes(net::Router& router) {
  const auto add_inference = [&](std::string_view path, Api api) {
    router.add(net::Method::Post, path,
               {.name = fmt::format("gateway{}", path),
                // Its handlers wait for the database, if at all: queries must not keep them out.
                .runs_on = net::RunsOn::IngestPool,
                .is_quick =
                    [this, api](const net::Request& request) {
                      return is_quick_call(impl_->call_parts, api, request);
                    },
                .body_bytes_max = impl_->options.body_bytes_max,
                .body_setting = "gateway.body_bytes_max",
                .cors = net::Cors::Yes,
                .access = "any token",
                .render_error = impl_->error_renderer(api)},
               [this, api](net::Request& request) { return impl_->infer(api, request); });
  };
  add_inference("/chat/completions", Api::Chat);
  add_inference("/completions", Api::Completions);
  add_inference("/embeddings", Api::Embeddings);
  add_inference("/responses", Api::Responses);
  add_inference("/messages", Api::Messages);
  const auto add_reading = [&](std::string_view path, Impl::Answer answer) {
    router.add(net::Method::Get, path,
               {.name = fmt::format("gateway{}", path),
                .cors = net::Cors::Yes,
                .access = "any token",
                .render_error = impl_->error_renderer(Api::Chat)},
               impl_->for_key(answer));
  };
  add_reading("/models", &Impl::list_models);
  add_reading("/models/count", &Impl::count_models);
  add_reading("/models/{author}/{slug}/endpoints", &Impl::list_endpoints);
  add_reading("/generation", &Impl::show_generation);
  add_reading("/key", &Impl::show_key);
}

void Gateway::stop() {
  impl_->live.stop();
}

std::size_t Gateway::live_call_count() const {
  return impl_->live.count();
}

}  // namespace gantry::gateway
