#include "server/server.h"

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "access/directory.h"
#include "access/gate.h"
#include "access/stacks.h"
#include "api/cloud.h"
#include "api/destinations.h"
#include "api/pipelines.h"
#include "api/services.h"
#include "collect/host_metrics.h"
#include "collect/process_metrics.h"
#include "core/ip_network.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/version.h"
#include "core/worker_pool.h"
#include "gateway/steady_clock.h"
#include "metrics/store.h"
#include "net/grpc_server.h"
#include "net/server.h"
#include "promql/engine.h"
#include "server/access_parts.h"
#include "server/broadcast_parts.h"
#include "server/config_print.h"
#include "server/derived_metrics.h"
#include "server/gateway_parts.h"
#include "server/live_config.h"
#include "server/own_telemetry.h"
#include "server/part_options.h"
#include "server/readiness.h"
#include "server/routes.h"
#include "server/stack_follower.h"
#include "server/stack_host.h"
#include "server/stack_pipelines.h"
#include "storage/disk_guard.h"
#include "storage/file.h"
#include "traceql/engine.h"

namespace gantry::server {
namespace {

constexpr std::string_view kMainListener = "main";
constexpr std::string_view kOtlpListener = "otlp";

core::WorkerPool::Options pool_options(std::string name, std::size_t threads, std::size_t queue) {
  return {.thread_count = threads, .queue_length_max = queue, .name = std::move(name)};
}

std::size_t compute_thread_count(const Config& config) {
  if (config.server.compute_threads != 0) return config.server.compute_threads;
  return std::max(1U, std::thread::hardware_concurrency());
}

/// Of a reload, as the values may be shown; those of the gateway are not.
std::vector<access::AuditChange> differences(const Config& before, const Config& after) {
  std::vector<access::AuditChange> changes;
  for (const std::string& key : gateway::differing_keys(before.gateway, after.gateway))
    changes.push_back({.field = "gateway." + key, .before = {}, .after = {}});
  const auto was = list_config(before);
  const auto is = list_config(after);
  for (std::size_t i = 0; i < std::min(was.size(), is.size()); ++i)
    if (was[i].second != is[i].second)
      changes.push_back({.field = is[i].first, .before = was[i].second, .after = is[i].second});
  return changes;
}

/// What a client on this machine can use, unless the operator says better.
Result<std::string> make_url(const Config& config, std::uint16_t port) {
  if (!config.server.public_url.empty()) return config.server.public_url;
  GANTRY_TRY(const net::ListenAddress address, net::parse_listen_address(config.server.listen));
  const bool is_any = address.host.empty() || address.host == "0.0.0.0" || address.host == "::";
  const std::string host = is_any                       ? "localhost"
                           : address.host.contains(':') ? fmt::format("[{}]", address.host)
                                                        : address.host;
  return fmt::format("{}://{}:{}", config.tls.cert_file.empty() ? "http" : "https", host, port);
}

}  // namespace

/// The parts in the order in which they are made; each uses only those above it.
struct Server::Impl {
  Impl(Config start_config, ConfigSource source)
      : config_source(std::move(source)),
        live(std::move(start_config), clock.now()),
        config(live.current()) {}

  ConfigSource config_source;
  SystemClock clock;
  LiveConfig live;
  const std::shared_ptr<const Config> config;  // as of the start
  const TimestampMs start_time = clock.now();
  gateway::SteadyClock steady_clock;
  core::MetricRegistry registry;
  Readiness readiness;
  storage::PosixFileSystem files;
  std::filesystem::path data;
  std::unique_ptr<storage::FileLock> lock;
  std::unique_ptr<storage::DiskGuard> disk_guard;
  const std::shared_ptr<net::IoThreads> io_threads =
      std::make_shared<net::IoThreads>(config->server.io_threads, "http-io");
  std::unique_ptr<core::WorkerPool> compute_pool;
  std::unique_ptr<AccessParts> access;
  std::unique_ptr<BroadcastParts> broadcast;
  std::unique_ptr<StackPipelines> pipelines;
  std::unique_ptr<GatewayParts> gateway;  // null when it is off
  std::unique_ptr<promql::Engine> engine;
  std::unique_ptr<traceql::Engine> traceql;
  std::unique_ptr<DerivedMetrics> derived_metrics;
  std::unique_ptr<OpenStacks> open_stacks;
  std::unique_ptr<StackFollower> follower;  // null when no other process has the same database
  std::unique_ptr<api::Services> services;
  std::unique_ptr<api::Services> read_only_services;  // behind the read-only door
  std::unique_ptr<api::RequestRate> control_rate;
  std::unique_ptr<api::CloudServices> cloud;
  std::unique_ptr<api::DestinationServices> destinations;
  std::unique_ptr<api::PipelineServices> pipeline_services;
  std::unique_ptr<core::WorkerPool> query_pool;
  std::unique_ptr<core::WorkerPool> ingest_pool;
  std::shared_ptr<const net::Router> router;
  std::unique_ptr<net::Server> http;
  std::unique_ptr<net::GrpcServer> grpc;
  std::string url;
  std::optional<access::FirstStart> first_start;
  std::unique_ptr<OwnTelemetry> own_telemetry;
  bool is_stopped = false;

  Result<void> open_data_directory();
  void make_services();
  void make_read_only_services();
  void make_cloud_services();
  Result<void> make_gateway();
  Result<void> start_listeners();
  Result<void> start_grpc();
  Result<void> refuse_own_addresses();
  Result<void> create_first_stack();
  Result<void> open_stores();
  Result<void> start_own_telemetry();
  void register_metrics();
  codec::OtlpOptions otlp_options(StackId stack) const;
  Result<void> stop();
};

Result<void> Server::Impl::open_data_directory() {
  if (config->data.empty())
    return fail(Code::InvalidArgument,
                "no data directory: give --data DIR, or set `data` or GANTRY_DATA");
  std::error_code error;
  data = std::filesystem::absolute(config->data, error);
  if (error)
    return fail(Code::Internal,
                fmt::format("data directory {}: {}", config->data, error.message()));
  GANTRY_CHECK(files.create_directories(data));
  GANTRY_TRY(lock, files.lock(data / "LOCK"));
  disk_guard = std::make_unique<storage::DiskGuard>(files, clock, data, disk_marks(*config));
  compute_pool = std::make_unique<core::WorkerPool>(
      pool_options("compute", compute_thread_count(*config), 1 << 16));
  return {};
}

codec::OtlpOptions Server::Impl::otlp_options(StackId stack) const {
  const auto now = live.current();
  codec::OtlpOptions options = now->otlp.translation;
  if (config->promql.type_and_unit_labels) options.adds_type_and_unit_labels = true;
  options.lookback_ms = now->query.lookback.count;
  options.delta_state = open_stacks->delta_state(stack);
  return options;
}

/// The same engine and stores with a door of their own, and tighter limits.
void Server::Impl::make_read_only_services() {
  read_only_services = std::make_unique<api::Services>(api::Services{
      .gate = *access->read_only_gate,
      .engine = *engine,
      .traceql = *traceql,
      .clock = clock,
      .registry = registry,
      .settings =
          [this] {
            api::Settings settings = services->settings();
            settings.query_timeout = std::min(settings.query_timeout, config->read_only.timeout);
            return settings;
          },
      .otlp_options = services->otlp_options,
      .process = services->process,
      .kept_since = [this](StackId stack) -> std::optional<TimestampMs> {
        const DurationMs retention = open_stacks->retention(stack);
        if (retention.count == 0) return std::nullopt;
        return clock.now() - retention;
      },
      .audit = access->audit.get(),
      .count_use =
          [this](const access::Principal& principal, const net::Request& request,
                 const net::Response& response) {
            access->count_read(principal, request, response);
          },
      .response_bytes_max = config->read_only.response_bytes_max});
}

void Server::Impl::make_services() {
  engine = std::make_unique<promql::Engine>(engine_options(*config, *compute_pool));
  own_telemetry = std::make_unique<OwnTelemetry>(OwnTelemetry::Environment{
      .config = *config,
      .gate = *access->gate,
      .registry = registry,
      .clock = clock,
      .append = [this](StackId stack, const telemetry::MetricBatch& batch) {
        return pipelines->append_own(stack, batch);
      }});
  traceql = std::make_unique<traceql::Engine>(traceql::EngineOptions{
      .workers = compute_pool.get(), .memory_bytes_max = config->query.memory_bytes_max});
  services = std::make_unique<api::Services>(api::Services{
      .gate = *access->gate,
      .engine = *engine,
      .traceql = *traceql,
      .clock = clock,
      .registry = registry,
      .settings =
          [this] {
            const auto now = live.current();
            return api::Settings{
                .body_decompressed_bytes_max = now->http.body_decompressed_bytes_max,
                .query_timeout = now->query.timeout,
                .lookback = now->query.lookback,
                .steps_max = now->query.steps_max,
                .influx = {.mapping = now->influx.mapping,
                           .database_label = now->influx.database_label,
                           .source_label = now->influx.source_label,
                           .partial_writes = now->influx.partial_writes},
                .otlp_traces = now->traces.otlp,
                .tempo = {.search_range_max = now->traces.search_range_max,
                          .metrics_range_max = now->traces.metrics_range_max,
                          .trace_bytes_max = now->traces.trace_bytes_max},
                .remote_write = {.adds_type_and_unit_labels = config->promql.type_and_unit_labels}};
          },
      .otlp_options = [this](StackId stack) { return otlp_options(stack); },
      .process = {.start_time = start_time,
                  .effective_config = [this] { return format_config_yaml(*live.current()); },
                  .flags = [this] { return list_config(*live.current()); },
                  .last_reload =
                      [this] {
                        const auto last = live.last_reload();
                        return std::pair(last.is_successful, last.at);
                      },
                  .is_ready = [this] { return readiness.is_ready(); }},
      .audit = access->audit.get(),
      .count_use =
          [this](const access::Principal& principal, const net::Request&,
                 const net::Response& response) {
            access->gate->count_use(principal, std::to_string(response.status));
          },
      .may_trace_content = [this](StackId stack) { return own_telemetry->is_main(stack); },
      .body_bytes_max = config->http.body_bytes_max,
      .metrics_require_token = config->server.metrics_require_token});
}

void Server::Impl::make_cloud_services() {
  derived_metrics = std::make_unique<DerivedMetrics>(DerivedMetrics::Options{}, registry, clock);
  pipelines = std::make_unique<StackPipelines>(StackPipelines::Environment{
      .db = *access->db,
      .registry = registry,
      .clock = clock,
      .observe = [this](StackId stack, const telemetry::SpanBatch& batch) {
        derived_metrics->observe(stack, batch);
      }});
  open_stacks = std::make_unique<OpenStacks>(OpenStacks::Environment{
      .data = data,
      .files = files,
      .clock = clock,
      .registry = registry,
      .workers = *compute_pool,
      .disk_guard = *disk_guard,
      .stores = access->stores,
      .options = [this] { return live.current()->storage; },
      .trace_options = [this] { return trace_options(*live.current()); },
      .derived = *derived_metrics,
      .span_metrics = [this] { return live.current()->traces.span_metrics; },
      .delta_streams_max = config->otlp.delta_streams_max,
      .attach_metrics =
          [this](StackId stack, std::shared_ptr<metrics::Store> metrics) {
            return broadcast->attach(stack, std::move(metrics));
          },
      .attach_traces =
          [this](StackId stack, std::shared_ptr<traces::Store> traces) {
            return broadcast->attach(stack, std::move(traces));
          },
      .attach_rules =
          [this](StackId stack, access::OpenStores stores) {
            return access::OpenStores{
                .metrics = pipelines->attach(stack, std::move(stores.metrics)),
                .traces = pipelines->attach(stack, std::move(stores.traces))};
          }});
  control_rate =
      std::make_unique<api::RequestRate>(clock, config->access.control_requests_per_minute);
  cloud = std::make_unique<api::CloudServices>(api::CloudServices{.gate = *access->gate,
                                                                  .control = *access->control,
                                                                  .box = *access->answer_box,
                                                                  .stacks = *open_stacks,
                                                                  .rate = *control_rate,
                                                                  .url = [this] { return url; }});
  destinations = std::make_unique<api::DestinationServices>(broadcast->services(*control_rate));
  pipeline_services = std::make_unique<api::PipelineServices>(api::PipelineServices{
      .gate = *access->gate, .control = *access->control, .rate = *control_rate, .refresh = [this] {
        return pipelines->refresh();
      }});
}

Result<void> Server::Impl::make_gateway() {
  GANTRY_TRY(gateway, GatewayParts::make(
                          config->gateway,
                          {.access = *access,
                           .clock = clock,
                           .steady_clock = steady_clock,
                           .registry = registry,
                           .rate = *control_rate,
                           .holder = fmt::format("{}:{}", collect::host_name(), data.string()),
                           .ca_file = config->egress.ca_file,
                           .io_threads = io_threads,
                           .broadcast = broadcast.get(),
                           .pipelines = pipelines.get(),
                           .collect_interval = config->collect.interval}));
  return {};
}

Result<void> Server::Impl::start_listeners() {
  const std::size_t queue = config->server.queue_length_max;
  query_pool =
      std::make_unique<core::WorkerPool>(pool_options("query", config->query.concurrency, queue));
  ingest_pool = std::make_unique<core::WorkerPool>(
      pool_options("ingest", config->server.ingest_threads, queue));

  std::vector<core::IpNetwork> trusted_proxies;
  for (const std::string& text : config->server.trusted_proxies) {
    auto network = core::IpNetwork::parse(text);
    if (!network)
      return fail(network.error().code,
                  fmt::format("server.trusted_proxies: {}", network.error().message));
    trusted_proxies.push_back(*network);
  }
  net::Router administration;
  administration.mount("", access->people->routes());
  api::add_cloud_routes(administration, *cloud);
  if (gateway) gateway->add_routes(administration);
  api::add_destination_routes(administration, *destinations);
  api::add_pipeline_routes(administration, *pipeline_services);
  router = make_main_router(*services, administration, *read_only_services, readiness,
                            own_telemetry->traces());
  std::vector<net::ListenerOptions> listeners;
  listeners.push_back({.name = std::string(kMainListener),
                       .address = config->server.listen,
                       .router = router,
                       .tls = tls_options(*config)});
  if (!config->otlp.http_listen.empty())
    listeners.push_back({.name = std::string(kOtlpListener),
                         .address = config->otlp.http_listen,
                         .router = make_otlp_router(*services, readiness, own_telemetry->traces()),
                         .tls = tls_options(*config)});
  GANTRY_TRY(http, net::Server::start({.query_pool = *query_pool,
                                       .ingest_pool = *ingest_pool,
                                       .metrics = registry,
                                       .limits = config->http.limits,
                                       .io_threads = io_threads,
                                       .cors_origin = config->http.cors_origin,
                                       .trusted_proxies = std::move(trusted_proxies)},
                                      std::move(listeners)));
  GANTRY_TRY(url, make_url(*config, http->bound_port(kMainListener)));
  GANTRY_CHECK(start_grpc());
  return refuse_own_addresses();
}

Result<void> Server::Impl::start_grpc() {
  if (config->otlp.grpc_listen.empty()) return {};
  GANTRY_TRY(grpc, net::GrpcServer::start(
                       {.pool = *ingest_pool,
                        .metrics = registry,
                        .address = config->otlp.grpc_listen,
                        .tls = tls_options(*config),
                        .message_bytes_max = config->http.body_decompressed_bytes_max},
                       make_grpc_methods(*services, readiness, own_telemetry->traces())));
  return {};
}

/// What people enter must not make the server talk to itself.
Result<void> Server::Impl::refuse_own_addresses() {
  std::vector<net::Egress::OwnAddress> own;
  const auto add = [&](const std::string& listen, std::uint16_t port) -> Result<void> {
    if (port == 0) return {};  // off
    GANTRY_TRY(const net::ListenAddress address, net::parse_listen_address(listen));
    own.push_back({.host = address.host, .port = port});
    return {};
  };
  GANTRY_CHECK(add(config->server.listen, http->bound_port(kMainListener)));
  GANTRY_CHECK(add(config->otlp.http_listen, http->bound_port(kOtlpListener)));
  GANTRY_CHECK(add(config->otlp.grpc_listen, grpc ? grpc->bound_port() : std::uint16_t{0}));
  return access->egress->refuse_own(own);
}

Result<void> Server::Impl::create_first_stack() {
  GANTRY_TRY(first_start,
             access::create_first_stack(data, *access->directory, *access->control, url));
  if (first_start) {
    log::info("first stack created",
              {{"instance_id", first_start->instance_id.value()}, {"zone", config->server.zone}});
    return {};
  }
  if (!access->db->is_shared()) return {};
  GANTRY_TRY(const auto place, access::find_first_start(*access->directory));
  if (place)
    log::info("first start was done before; its login and tokens were printed there",
              {{"host", place->host}, {"file", place->file}});
  return {};
}

Result<void> Server::Impl::open_stores() {
  GANTRY_CHECK(pipelines->start());
  GANTRY_TRY(const std::vector<access::Stack> all, access->directory->list_stacks());
  for (const access::Stack& stack : all) GANTRY_CHECK(open_stacks->open(stack));
  GANTRY_TRY(state::Transaction tx, access->db->begin_read());
  GANTRY_TRY(const std::vector<StackId> deleted, access::list_deleted_stacks(tx));
  for (const StackId stack : deleted) open_stacks->retire(stack);
  if (access->db->is_shared())
    follower = std::make_unique<StackFollower>(*access->db, *open_stacks);
  access->on_change([this] {
    if (follower) follower->notify();
    if (gateway) gateway->forget_keys();
    pipelines->notify();
    broadcast->notify();
  });
  if (gateway) gateway->start();
  // From here on no change goes unnoticed.
  pipelines->notify();
  return broadcast->start();
}

Result<void> Server::Impl::start_own_telemetry() {
  derived_metrics->start();
  GANTRY_TRY(const std::vector<access::Stack> stacks, access->directory->list_stacks());
  return own_telemetry->start(stacks);
}

void Server::Impl::register_metrics() {
  collect::register_process_metrics(registry);
  const auto gauge = [&](std::string_view name, std::string_view help,
                         std::function<double()> read) {
    registry.callback(core::MetricType::Gauge, name, help, {}, std::move(read));
  };
  gauge("gantry_ready", "1 when requests are served.",
        [this] { return readiness.is_ready() ? 1.0 : 0.0; });
  gauge("gantry_config_last_reload_successful", "1 when the last reload succeeded.",
        [this] { return live.last_reload().is_successful ? 1.0 : 0.0; });
  gauge("gantry_config_last_reload_success_timestamp_seconds",
        "When the configuration was last read successfully.",
        [this] { return static_cast<double>(live.last_reload().at.since_epoch) / 1000; });
  gauge("gantry_disk_available_bytes", "Free space on the data directory's file system.", [this] {
    static_cast<void>(disk_guard->accepts_writes());  // asks again when it is time
    return static_cast<double>(disk_guard->available_bytes());
  });
}

Result<void> Server::Impl::stop() {
  if (std::exchange(is_stopped, true)) return {};
  const bool was_ready = readiness.is_ready();
  readiness.set(false);
  if (grpc) grpc->set_serving(false);
  {
    std::jthread grpc_stopper;
    if (grpc) grpc_stopper = std::jthread([this] { grpc->stop(config->server.shutdown_timeout); });
    if (http) http->stop(config->server.shutdown_timeout);
  }
  if (gateway) gateway->stop();  // its traces are the last that come
  if (own_telemetry) own_telemetry->stop();
  if (derived_metrics) derived_metrics->stop();
  if (access) access->on_change({});
  if (follower) follower->stop();  // before the stores are closed
  if (pipelines) pipelines->stop();
  if (broadcast) broadcast->stop();
  if (was_ready) access->note("shutdown");
  const Result<void> first = access ? access->close() : Result<void>();
  if (!first) log::error("not everything was closed", {{"error", first.error().message}});
  return first;
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  // The error was logged; there is nobody left to tell.
  static_cast<void>(impl_->stop());
}

Result<std::unique_ptr<Server>> Server::start(Config config, ConfigSource source) {
  // The destructor takes down what a failed start has built.
  std::unique_ptr<Server> server(
      new Server(std::make_unique<Impl>(std::move(config), std::move(source))));
  Impl& parts = *server->impl_;
  log::configure(parts.config->log.level, parts.config->log.format);
  log::info(
      "gantry started",
      {{"version", core::version()}, {"revision", core::revision()}, {"data", parts.config->data}});
  GANTRY_CHECK(parts.open_data_directory());
  GANTRY_TRY(parts.access,
             AccessParts::open(parts.data, *parts.config, parts.clock, parts.registry));
  GANTRY_TRY(parts.broadcast, BroadcastParts::open(parts.data, *parts.config, *parts.access,
                                                   parts.files, parts.clock, parts.registry));
  parts.register_metrics();
  parts.make_services();
  parts.make_read_only_services();
  parts.make_cloud_services();
  GANTRY_CHECK(parts.make_gateway());
  GANTRY_CHECK(parts.start_listeners());
  GANTRY_CHECK(parts.create_first_stack());
  GANTRY_CHECK(parts.open_stores());
  parts.access->start_housekeeping();
  GANTRY_CHECK(parts.start_own_telemetry());
  parts.access->note("startup", access::Outcome::Ok, {}, std::string(core::version()));
  parts.readiness.set(true);
  if (parts.grpc) parts.grpc->set_serving(true);
  log::info("ready", {{"url", parts.url},
                      {"otlp_http_port", server->otlp_http_port()},
                      {"otlp_grpc_port", server->otlp_grpc_port()},
                      {"took_ms", parts.clock.now().since_epoch - parts.start_time.since_epoch}});
  return server;
}

Result<void> Server::reload() {
  const auto load = [&]() -> Result<Config> {
    GANTRY_TRY(Config next, impl_->config_source());
    GANTRY_CHECK(impl_->http->reload_tls());
    if (impl_->gateway) GANTRY_CHECK(impl_->gateway->reload(next.gateway));
    return next;
  };
  const auto next = load();
  if (!next) {
    impl_->live.note_failure();
    impl_->access->note("config.reloaded", access::Outcome::Error, {},
                        "the configuration has an error");
    log::error("configuration not reloaded", {{"error", next.error().message}});
    return std::unexpected(next.error());
  }
  const auto before = impl_->live.current();
  const LiveConfig::Change change = impl_->live.update(*next, impl_->clock.now());
  const auto now = impl_->live.current();
  impl_->access->note("config.reloaded", access::Outcome::Ok, differences(*before, *now));
  log::configure(now->log.level, now->log.format);
  impl_->disk_guard->reconfigure(disk_marks(*now));
  impl_->open_stacks->reconfigure_all();
  if (!change.ignored.empty())
    log::warn("settings need a restart to change",
              {{"settings", fmt::format("{}", fmt::join(change.ignored, ","))}});
  log::info("configuration reloaded",
            {{"changed", fmt::format("{}", fmt::join(change.applied, ","))}});
  return {};
}

Result<void> Server::stop() {
  log::info("stopping");
  auto stopped = impl_->stop();
  log::info("stopped");
  return stopped;
}

const std::string& Server::url() const {
  return impl_->url;
}

const std::optional<access::FirstStart>& Server::first_start() const {
  return impl_->first_start;
}

std::uint16_t Server::port() const {
  return impl_->http->bound_port(kMainListener);
}

const net::Router& Server::router() const {
  return *impl_->router;
}

std::uint16_t Server::otlp_http_port() const {
  return impl_->http->bound_port(kOtlpListener);
}

std::uint16_t Server::otlp_grpc_port() const {
  return impl_->grpc ? impl_->grpc->bound_port() : 0;
}

}  // namespace gantry::server
