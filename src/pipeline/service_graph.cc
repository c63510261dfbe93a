#include "pipeline/service_graph.h"

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "core/mutex.h"
#include "pipeline/edge_store_internal.h"
#include "pipeline/span_attributes.h"

namespace gantry::pipeline {

namespace {

using telemetry::BatchSpan;
using telemetry::MetricType;
using telemetry::SpanBatch;
using telemetry::SpanKind;

enum RequestFamily : std::uint8_t { kTotal, kFailed, kServerSeconds, kClientSeconds };

constexpr std::string_view kMessagingSystem = "messaging_system";
constexpr std::string_view kDatabase = "database";
constexpr std::string_view kVirtualNode = "virtual_node";

MetricTableOptions request_table(const ServiceGraphOptions& options) {
  return {.families = {{.name = "traces_service_graph_request_total",
                        .help = "Requests between two services.",
                        .type = MetricType::Counter},
                       {.name = "traces_service_graph_request_failed_total",
                        .help = "Requests between two services that failed.",
                        .type = MetricType::Counter},
                       {.name = "traces_service_graph_request_server_seconds",
                        .help = "Durations of requests as the server saw them.",
                        .type = MetricType::Histogram},
                       {.name = "traces_service_graph_request_client_seconds",
                        .help = "Durations of requests as the client saw them.",
                        .type = MetricType::Histogram}},
          .bounds = options.bounds,
          .series_max = options.series_max,
          .stale_after = options.stale_after,
          .interval = options.interval};
}

MetricTableOptions unpaired_table(const ServiceGraphOptions& options) {
  return {.families = {{.name = "traces_service_graph_unpaired_spans_total",
                        .help = "Spans whose other side never came.",
                        .type = MetricType::Counter}},
          .bounds = {},
          .series_max = options.series_max,
          .stale_after = options.stale_after,
          .interval = options.interval};
}

double seconds_of(const BatchSpan& span) {
  return static_cast<double>(span.duration_ns()) / 1e9;
}

/// Looks an attribute up in the resource, then in the span.
class AttributeFinder {
 public:
  AttributeFinder(const SpanBatch& batch, const BatchSpan& span, core::Arena& arena)
      : resource_(batch.attributes_of(batch.resources[span.resource].attributes)),
        span_(batch.attributes_of(span.attributes)),
        arena_(arena) {}

  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const {
    const auto value = find_text(resource_, key, arena_);
    return value ? value : find_text(span_, key, arena_);
  }

  [[nodiscard]] std::optional<std::string_view> find_in_span(std::string_view key) const {
    return find_text(span_, key, arena_);
  }

  /// Of the first key that is there.
  [[nodiscard]] std::optional<std::string_view> find_any(
      std::span<const std::string_view> keys) const {
    for (const std::string_view key : keys) {
      if (const auto value = find(key)) return value;
    }
    return std::nullopt;
  }

 private:
  std::span<const telemetry::SpanAttribute> resource_;
  std::span<const telemetry::SpanAttribute> span_;
  core::Arena& arena_;
};

/// Who answered a client span that went to a database: nobody else will tell. A database without
/// any name stays unknown.
void read_database(const AttributeFinder& attributes, const BatchSpan& span, Edge& edge) {
  constexpr std::array<std::string_view, 2> kNames = {"db.name", "db.namespace"};
  constexpr std::array<std::string_view, 2> kSystems = {"db.system", "db.system.name"};
  constexpr std::array<std::string_view, 2> kServers = {"peer.service", "server.address"};
  const auto name = attributes.find_any(kNames);
  if (!name && !attributes.find_any(kSystems)) return;
  edge.connection_type = kDatabase;
  edge.server_seconds = seconds_of(span);
  if (const auto server = attributes.find_any(kServers)) {
    edge.server = *server;
  } else if (const auto host = attributes.find("network.peer.address")) {
    edge.server = *host;
    if (const auto port = attributes.find("network.peer.port")) {
      edge.server.append(":").append(*port);
    }
  } else if (name) {
    edge.server = *name;
  }
}

/// Adds what one span knows.
void add_side(Edge& edge, Edge side) {
  if (!side.client.empty()) {
    edge.client = std::move(side.client);
    edge.client_seconds = side.client_seconds;
  }
  if (!side.server.empty()) {
    edge.server = std::move(side.server);
    edge.server_seconds = side.server_seconds;
  }
  if (!side.peer.empty()) edge.peer = std::move(side.peer);
  edge.connection_type = side.connection_type;
  edge.is_failed = edge.is_failed || side.is_failed;
}

}  // namespace

struct ServiceGraph::Impl {
  Impl(ServiceGraphOptions from, core::MetricRegistry& registry, const Clock& the_clock)
      : options(std::move(from)),
        clock(the_clock),
        requests(request_table(options), registry, "service_graph"),
        unpaired(unpaired_table(options), registry, "service_graph"),
        refused(registry.counter(
            "gantry_pipeline_refused_total",
            "Spans that a processor left out of the metrics it derives, by reason.",
            {{"processor", "service_graph"}, {"reason", "waiting_limit"}})),
        waiting(options.wait, options.waiting_max) {}

  ServiceGraphOptions options;
  const Clock& clock;
  MetricTable requests;
  MetricTable unpaired;
  core::Counter& refused;
  CollectedSeries collected;

  mutable core::Mutex mutex;
  EdgeStore waiting GANTRY_GUARDED_BY(mutex);

  /// What the span knows of its request; nothing if it is no side of one.
  [[nodiscard]] std::optional<Edge> read_side(const SpanBatch& batch, const BatchSpan& span,
                                              core::Arena& arena) const {
    const bool is_client = span.kind == SpanKind::Client || span.kind == SpanKind::Producer;
    const bool is_server = span.kind == SpanKind::Server || span.kind == SpanKind::Consumer;
    if (!is_client && !is_server) return std::nullopt;
    const auto service = find_text(batch.attributes_of(batch.resources[span.resource].attributes),
                                   "service.name", arena);
    if (!service || service->empty()) return std::nullopt;
    const bool is_message = span.kind == SpanKind::Producer || span.kind == SpanKind::Consumer;
    Edge side;
    side.key = {.trace_id = span.trace_id,
                .client_span = is_client ? span.span_id : span.parent_id};
    side.connection_type = is_message ? kMessagingSystem : std::string_view{};
    side.is_failed = span.status == telemetry::SpanStatus::Error;
    const AttributeFinder attributes(batch, span, arena);
    read_peer(attributes, side);
    if (is_client) {
      side.client = *service;
      side.client_seconds = seconds_of(span);
      read_database(attributes, span, side);
    } else {
      side.server = *service;
      side.server_seconds = seconds_of(span);
    }
    return side;
  }

  void read_peer(const AttributeFinder& attributes, Edge& edge) const {
    for (const std::string& key : options.peer_attributes) {
      const auto peer = attributes.find_in_span(key);
      if (!peer) continue;
      edge.peer = *peer;
      return;
    }
  }

  /// Takes edges that have waited long enough.
  void take_expired(TimestampMs now, std::vector<Edge>& expired) GANTRY_REQUIRES(mutex) {
    while (auto edge = waiting.take_expired(now)) expired.push_back(*std::move(edge));
  }

  void count_request(const Edge& edge, TimestampMs now) {
    const std::array<telemetry::LabelView, 3> labels = {{
        {.name = "client", .value = edge.client},
        {.name = "server", .value = edge.server},
        {.name = "connection_type", .value = edge.connection_type},
    }};
    const std::array<MetricTable::Change, 4> changes = {{
        {.family = kTotal, .value = 1},
        {.family = kServerSeconds, .value = edge.server_seconds},
        {.family = kClientSeconds, .value = edge.client_seconds},
        {.family = kFailed, .value = 1},
    }};
    requests.observe(labels, std::span(changes).first(edge.is_failed ? 4 : 3), edge.key.trace_id,
                     now);
  }

  /// One side never came. It may be one that sends no spans.
  void settle(Edge edge, TimestampMs now) {
    if (edge.client.empty() && edge.key.client_span == 0) {
      edge.client = "user";
    } else if (edge.server.empty() && !edge.peer.empty()) {
      edge.server = edge.peer;
    } else {
      const std::array<telemetry::LabelView, 3> labels = {{
          {.name = "client", .value = edge.client},
          {.name = "server", .value = edge.server},
          {.name = "connection_type", .value = edge.connection_type},
      }};
      const MetricTable::Change change{.family = 0, .value = 1};
      unpaired.observe(labels, std::span(&change, 1), edge.key.trace_id, now);
      return;
    }
    edge.connection_type = kVirtualNode;
    count_request(edge, now);
  }
};

ServiceGraph::ServiceGraph(ServiceGraphOptions options, core::MetricRegistry& registry,
                           const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), registry, clock)) {}

ServiceGraph::~ServiceGraph() = default;

void ServiceGraph::observe(const SpanBatch& batch) {
  const TimestampMs now = impl_->clock.now();
  core::Arena arena;
  std::vector<Edge> sides;
  // Hot: per span.
  for (const BatchSpan& span : batch.spans) {
    if (auto side = impl_->read_side(batch, span, arena)) sides.push_back(*std::move(side));
  }
  std::vector<Edge> complete;
  std::vector<Edge> expired;
  {
    const core::Lock lock(impl_->mutex);
    impl_->take_expired(now, expired);
    for (Edge& side : sides) {
      Edge edge = impl_->waiting.take(side.key, now);
      add_side(edge, std::move(side));
      if (edge.is_complete()) {
        complete.push_back(std::move(edge));
      } else if (!impl_->waiting.put(std::move(edge))) {
        impl_->refused.add();
      }
    }
  }
  for (const Edge& edge : complete) impl_->count_request(edge, now);
  for (Edge& edge : expired) impl_->settle(std::move(edge), now);
}

void ServiceGraph::collect(TimestampMs now, telemetry::MetricBatch& batch) {
  std::vector<Edge> expired;
  {
    const core::Lock lock(impl_->mutex);
    impl_->take_expired(now, expired);
  }
  for (Edge& edge : expired) impl_->settle(std::move(edge), now);
  impl_->collected.begin(batch);
  impl_->requests.collect(now, impl_->collected, batch);
  impl_->unpaired.collect(now, impl_->collected, batch);
}

std::size_t ServiceGraph::waiting_count() const {
  const core::Lock lock(impl_->mutex);
  return impl_->waiting.size();
}

std::uint64_t ServiceGraph::active_series() const {
  return impl_->requests.active_series() + impl_->unpaired.active_series();
}

}  // namespace gantry::pipeline
