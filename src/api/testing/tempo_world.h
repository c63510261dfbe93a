#pragma once

// A stack with a few traces behind the HTTP surfaces that traces have, with tokens of each kind.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "access/gate.h"
#include "access/testing/directory_fixture.h"
#include "api/otlp.h"
#include "api/read_only.h"
#include "api/services.h"
#include "api/tempo.h"
#include "api/testing/trace_store.h"
#include "traceql/testing/span_builder.h"

namespace gantry::api::testing {

/// Nanoseconds of the fixture's clock.
inline constexpr std::uint64_t kNow = 1'700'000'000'000'000'000;
inline constexpr std::uint64_t kMs = 1'000'000;
inline constexpr std::uint64_t kSecond = 1000 * kMs;

/// Trace 0xa1: shop "GET /" (server, 60 s ago, 200 ms) over db "select" (client, error). Trace
/// 0xb2: db "vacuum", whose parent is missing, 30 s ago, 1 s. Trace 0xc3: shop "GET /" 10 s ago.
inline std::vector<telemetry::SpanBatch> sample_spans() {
  using traceql::Static;
  traceql::testing::SpanBuilder build;
  const std::uint64_t first = kNow - 60 * kSecond;
  build.resource({{"service.name", Static::of_string("shop")}, {"team", Static::of_string("web")}});
  build.scope("lib", "1.0");
  build.span({.trace = 0xa1,
              .id = 1,
              .name = "GET /",
              .start_ns = first,
              .end_ns = first + 200 * kMs,
              .kind = telemetry::SpanKind::Server});
  build.attribute("http.status_code", Static::of_int(200));
  build.attribute("k8s.io/pod", Static::of_string("p-1"));
  build.span({.trace = 0xc3,
              .id = 4,
              .name = "GET /",
              .start_ns = kNow - 10 * kSecond,
              .end_ns = kNow - 10 * kSecond + 5 * kMs,
              .kind = telemetry::SpanKind::Server});
  build.attribute("http.status_code", Static::of_int(404));
  build.resource({{"service.name", Static::of_string("db")}, {"team", Static::of_string("data")}});
  build.scope("sql", "2.0");
  build.span({.trace = 0xa1,
              .id = 2,
              .parent = 1,
              .name = "select",
              .start_ns = first + 10 * kMs,
              .end_ns = first + 110 * kMs,
              .kind = telemetry::SpanKind::Client,
              .status = telemetry::SpanStatus::Error,
              .status_message = "timeout"});
  build.attribute("db.rows", Static::of_float(1.5));
  build.event("exception", first + 20 * kMs, {{"exception.type", Static::of_string("Timeout")}});
  build.span({.trace = 0xb2,
              .id = 3,
              .parent = 99,
              .name = "vacuum",
              .start_ns = kNow - 30 * kSecond,
              .end_ns = kNow - 29 * kSecond});
  return traceql::testing::one_batch(std::move(build));
}

class TempoWorld : public access::DirectoryFixture {
 protected:
  TempoWorld() {
    using access::Scope;
    const StackId stack = serve("main", store_);
    allow(stack, "read", {Scope::TracesRead});
    allow(stack, "write", {Scope::TracesWrite});
    allow(stack, "delete", {Scope::TracesDelete});
    allow(stack, "metrics", {Scope::MetricsRead, Scope::MetricsWrite});
    allow(stack, "web", {Scope::TracesRead}, std::vector<std::string>{R"({team="web"})"});

    net::Router tempo;
    add_tempo_routes(tempo, *services_);
    add_tempo_delete_route(tempo, *services_);
    for (const std::string_view prefix : {"", "/tempo"}) router_.mount(prefix, tempo);
    add_otlp_routes(router_, *services_);
    add_read_only_trace_routes(router_, "/traces-api-bearer", *read_only_services_);
  }

  StackId serve(std::string_view slug, std::shared_ptr<FixedTraceStore> store) {
    const StackId stack = add_stack(org_, slug);
    stores_.add(stack, {.metrics = nullptr, .traces = std::move(store)});
    return stack;
  }

  /// The token glc_NAME.
  void allow(StackId stack, std::string_view name, std::vector<access::Scope> scopes,
             std::optional<std::vector<std::string>> selectors = {}) {
    const std::string policy = add_policy(org_, name, std::move(scopes),
                                          {{.type = access::Realm::Type::Stack,
                                            .identifier = stack.value(),
                                            .label_policies = std::move(selectors)}});
    add_token(org_, policy, name, fmt::format("glc_{}", name));
  }

  net::Response send(net::Method method, std::string_view target, std::string_view token,
                     net::Headers headers = {}, std::string body = {}) {
    net::Request request;
    request.method = method;
    const std::size_t query = target.find('?');
    request.raw_path = target.substr(0, query);
    if (query != std::string_view::npos) request.raw_query = target.substr(query + 1);
    request.headers = std::move(headers);
    if (!token.empty()) request.headers.set("Authorization", fmt::format("Bearer {}", token));
    request.body = std::move(body);
    request.body.reserve(request.body.size() + net::kBodyPaddingBytes);
    const auto path = net::normalise_path(request.raw_path);
    if (!path) return net::text_response(400, path.error().message);
    request.path = *path;
    const net::RouteMatch match = router_.find(method, request.path);
    if (match.route == nullptr) return net::text_response(match.status, "no route");
    request.path_parameters = match.path_parameters;
    return match.route->handler(request);
  }

  net::Response get(std::string_view target, std::string_view token = "glc_read") {
    return send(net::Method::Get, target, token);
  }

  /// "200 body".
  std::string ask(std::string_view target, std::string_view token = "glc_read") {
    const net::Response response = get(target, token);
    return fmt::format("{} {}", response.status, response.body);
  }

  access::OrgId org_ = add_organisation("main");
  std::shared_ptr<FixedTraceStore> store_ = std::make_shared<FixedTraceStore>(sample_spans());
  Settings settings_;

 private:
  std::unique_ptr<Services> services_behind(const access::Gate& gate) {
    return std::make_unique<Services>(
        Services{.gate = gate,
                 .engine = engine_,
                 .traceql = traceql_,
                 .clock = clock_,
                 .registry = registry_,
                 .settings = [this] { return settings_; },
                 .otlp_options = [](StackId) { return codec::OtlpOptions{}; }});
  }

  core::MetricRegistry registry_;
  promql::Engine engine_{{}};
  traceql::Engine traceql_{{}};
  access::StackStores stores_;
  access::QueryLimiter limiter_{
      clock_, registry_, {.requests_per_second = 1'000'000, .burst = 1'000'000}};
  access::Authenticator authenticator_{*directory_, hasher_, clock_, registry_, {}};
  access::Gate gate_{authenticator_, stores_, registry_, {}};
  access::Gate read_only_gate_{authenticator_,
                               stores_,
                               registry_,
                               {.door = access::Gate::Door::ReadOnlyBearer, .limiter = &limiter_}};
  std::unique_ptr<Services> services_ = services_behind(gate_);
  std::unique_ptr<Services> read_only_services_ = services_behind(read_only_gate_);
  net::Router router_;
};

}  // namespace gantry::api::testing
