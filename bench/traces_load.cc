// Sends spans of web requests by OTLP/HTTP protobuf, as fast as the receiver takes them, and prints
// one JSON line.
//
//   bench_traces_load --url http://127.0.0.1:4318/v1/traces --user 1000000 --password glc_…
//   --traces 1000000 --end-ms 1760000000000 --seconds 3600
//
// The same seed makes the same bytes, so that every receiver gets the same data. Per trace: 20
// spans of 4 of 20 services, 160 operations, 12 span and 8 resource attributes, about 490 bytes a
// span. A trace's spans arrive in two requests, as they do when services report on their own. The
// traces are spread evenly over --seconds before --end-ms, in order.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "codec/otlp_traces_encoder.h"
#include "flags.h"
#include "load_sender.h"
#include "telemetry/span_batch.h"

namespace {

using gantry::bench::Connection;
using gantry::telemetry::AttributeValue;
using gantry::telemetry::BatchSlice;
using gantry::telemetry::BatchSpan;
using gantry::telemetry::SpanBatch;
using gantry::telemetry::SpanKind;
using gantry::telemetry::SpanStatus;
using gantry::telemetry::TraceId;

constexpr std::size_t kServices = 20;
constexpr std::size_t kOperations = 8;  // of each service
constexpr std::size_t kSpansPerTrace = 20;
constexpr std::size_t kServicesPerTrace = 4;
constexpr std::uint64_t kMillisecond = 1'000'000;

struct Options {
  gantry::bench::Target target;
  std::size_t traces = 1'000'000;
  std::uint64_t end_ms = 0;
  std::uint64_t seconds = 3600;
  std::size_t connections = 2;
  std::size_t traces_per_request = 50;  ///< Of each of them half the spans.
};

AttributeValue text(SpanBatch& batch, std::string_view value) {
  AttributeValue out;
  out.kind = AttributeValue::Kind::String;
  out.text = batch.arena.copy(value);
  return out;
}

AttributeValue integer(std::int64_t value) {
  AttributeValue out;
  out.kind = AttributeValue::Kind::Int;
  out.integer = value;
  return out;
}

/// The spans of consecutive traces, from a seed.
class Traces {
 public:
  explicit Traces(std::uint64_t seed) : random_(seed) {}

  /// Adds trace number `number`, that starts at `start_ns`: its spans of the first two services to
  /// `first`, the others to `second`.
  void add(std::uint64_t start_ns, SpanBatch& first, SpanBatch& second) {
    TraceId id;
    for (std::size_t i = 0; i < id.bytes.size(); ++i)
      id.bytes[i] = static_cast<std::uint8_t>(random_());
    std::array<std::size_t, kServicesPerTrace> services{};
    for (std::size_t& service : services) service = below(kServices);
    const std::uint64_t user = below(1'000'000);
    const bool fails = below(50) == 0;
    std::array<std::uint64_t, kSpansPerTrace> ids{};
    std::uint64_t at = start_ns;
    for (std::size_t i = 0; i < kSpansPerTrace; ++i) {
      ids[i] = random_() | 1;
      const std::size_t hop = i * kServicesPerTrace / kSpansPerTrace;
      SpanBatch& batch = hop < 2 ? first : second;
      BatchSpan span;
      span.trace_id = id;
      span.span_id = ids[i];
      span.parent_id = i == 0 ? 0 : ids[i - 1 - below(std::min<std::size_t>(i, 4))];
      span.start_ns = at;
      span.end_ns =
          at + (kSpansPerTrace - i) * (1 + below(20)) * kMillisecond + below(kMillisecond);
      at += below(3 * kMillisecond);
      const bool is_entry = i % (kSpansPerTrace / kServicesPerTrace) == 0;
      span.kind = is_entry ? SpanKind::Server : SpanKind::Client;
      if (fails && i + 1 == kSpansPerTrace) {
        span.status = SpanStatus::Error;
        span.status_message = "upstream connect error";
      }
      describe(batch, span, services[hop], below(kOperations), user, fails);
      batch.spans.push_back(span);
    }
  }

  /// One resource for each service, which `describe` refers to.
  static void begin(SpanBatch& batch) {
    batch.clear();
    for (std::size_t service = 0; service < kServices; ++service) {
      gantry::telemetry::BatchResource resource;
      resource.attributes.begin = static_cast<std::uint32_t>(batch.attributes.size());
      const auto add = [&](std::string_view key, const std::string& value) {
        batch.attributes.push_back({.key = key, .value = text(batch, value)});
      };
      add("service.name", fmt::format("service-{:02}", service));
      add("service.namespace", fmt::format("team-{}", service % 5));
      add("service.version", fmt::format("1.{}.0", service));
      add("deployment.environment", service % 4 == 0 ? "staging" : "production");
      add("k8s.cluster.name", "eu-west-1");
      add("k8s.namespace.name", fmt::format("apps-{}", service % 5));
      add("k8s.pod.name", fmt::format("service-{:02}-7d9f8b6c5-x{}k2", service, service));
      add("host.name", fmt::format("node-{:03}", service * 7));
      resource.attributes.count = 8;
      batch.resources.push_back(resource);
    }
    gantry::telemetry::BatchScope scope;
    scope.name = "io.opentelemetry.http";
    scope.version = "2.1.0";
    batch.scopes.push_back(scope);
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  void describe(SpanBatch& batch, BatchSpan& span, std::size_t service, std::size_t operation,
                std::uint64_t user, bool fails) {
    static constexpr std::array<std::string_view, 4> kMethods = {"GET", "GET", "POST", "PUT"};
    const std::string_view method = kMethods[operation % kMethods.size()];
    const std::string route = fmt::format("/api/v{}/resource{}/{{id}}", service % 3, operation);
    span.name = batch.arena.copy(fmt::format("{} {}", method, route));
    span.resource = static_cast<std::uint32_t>(service);
    span.attributes.begin = static_cast<std::uint32_t>(batch.attributes.size());
    const auto add = [&](std::string_view key, AttributeValue value) {
      batch.attributes.push_back({.key = key, .value = value});
    };
    add("http.request.method", text(batch, method));
    add("http.route", text(batch, route));
    add("url.path",
        text(batch, fmt::format("/api/v{}/resource{}/{}", service % 3, operation, below(10'000))));
    const bool is_error = fails && span.status == SpanStatus::Error;
    add("http.response.status_code", integer(is_error ? 503 : below(20) == 0 ? 404 : 200));
    add("http.response.body.size", integer(static_cast<std::int64_t>(below(100'000))));
    add("server.address", text(batch, fmt::format("service-{:02}.internal", service)));
    add("server.port", integer(8080));
    add("network.protocol.version", text(batch, "1.1"));
    add("user_agent.original", text(batch, "Mozilla/5.0 (X11; Linux x86_64) Gantry-Bench/1.0"));
    add("user.id", text(batch, fmt::format("user-{:06}", user)));
    add("thread.id", integer(static_cast<std::int64_t>(below(64))));
    add("cache.hit", [&] {
      AttributeValue hit;
      hit.kind = AttributeValue::Kind::Bool;
      hit.boolean = below(3) == 0;
      return hit;
    }());
    span.attributes.count =
        static_cast<std::uint32_t>(batch.attributes.size()) - span.attributes.begin;
  }

  std::mt19937_64 random_;
};

/// Sends every n-th trace, in order of their starts.
bool run(const Options& options, std::size_t number, Connection& connection) {
  const auto send = [&](const SpanBatch& batch) {
    return connection.post(gantry::codec::encode_otlp_traces(batch), batch.spans.size());
  };
  Traces traces(number + 1);
  SpanBatch first;
  SpanBatch second;
  Traces::begin(first);
  Traces::begin(second);
  const std::uint64_t length_ns = options.seconds * 1000 * kMillisecond;
  const std::uint64_t start_ns = options.end_ms * kMillisecond - length_ns;
  std::size_t pending = 0;
  for (std::size_t trace = number; trace < options.traces; trace += options.connections) {
    const auto share = static_cast<double>(trace) / static_cast<double>(options.traces);
    traces.add(start_ns + static_cast<std::uint64_t>(share * static_cast<double>(length_ns)), first,
               second);
    if (++pending < options.traces_per_request) continue;
    if (!send(first) || !send(second)) return false;
    Traces::begin(first);
    Traces::begin(second);
    pending = 0;
  }
  return pending == 0 || (send(first) && send(second));
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  for (const auto& [name, value] : gantry::bench::read_flags(count, arguments)) {
    const auto number = static_cast<std::size_t>(std::atoll(value.c_str()));
    if (name == "url")
      options.target.url = value;
    else if (name == "user")
      options.target.user = value;
    else if (name == "password")
      options.target.password = value;
    else if (name == "traces")
      options.traces = number;
    else if (name == "end-ms")
      options.end_ms = number;
    else if (name == "seconds")
      options.seconds = number;
    else if (name == "connections")
      options.connections = number;
    else if (name == "traces-per-request")
      options.traces_per_request = number;
    else {
      fmt::print(stderr, "unknown flag --{}\n", name);
      return 2;
    }
  }
  return gantry::bench::run_load(
      options.target, {"Content-Type: application/x-protobuf"}, options.connections, "spans",
      [&](std::size_t number, Connection& connection) { return run(options, number, connection); });
}
