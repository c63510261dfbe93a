#include "net/grpc_server.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <map>

#include <fmt/format.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "core/log.h"
#include "core/mutex.h"
#include "core/time.h"
#include "net/grpc_log_internal.h"
#include "net/grpc_message_internal.h"
#include "net/tls_internal.h"
#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

constexpr std::string_view kHealthCheck = "/grpc.health.v1.Health/Check";
constexpr std::string_view kHealthService = "grpc.health.v1.Health";
constexpr DurationMs kRetryWhenBusy{1000};

std::string_view text_of(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

/// "ipv4:127.0.0.1:4711", "ipv6:%5B::1%5D:4711" or "ipv6:[::1]:4711" to the bare address.
std::string peer_ip(std::string_view peer) {
  if (peer.starts_with("ipv4:")) {
    peer.remove_prefix(5);
    return std::string(peer.substr(0, peer.rfind(':')));
  }
  if (!peer.starts_with("ipv6:")) return std::string(peer);
  peer.remove_prefix(5);
  std::string_view address = peer.substr(0, peer.rfind(':'));
  for (const std::string_view open : {"%5B", "[", "::ffff:"}) {
    if (address.starts_with(open)) address.remove_prefix(open.size());
  }
  for (const std::string_view close : {"%5D", "]"}) {
    if (address.ends_with(close)) address.remove_suffix(close.size());
  }
  return std::string(address);
}

grpc::Status to_status(const GrpcResponse& response) {
  if (response.code == RpcCode::Ok) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(response.code), response.message, response.details};
}

GrpcResponse error_response(RpcCode code, std::string message,
                            std::optional<DurationMs> retry_after = std::nullopt) {
  GrpcResponse response{.code = code, .message = std::move(message)};
  if (retry_after) response.details = encode_rpc_status(code, response.message, retry_after);
  return response;
}

/// grpc.health.v1.HealthCheckRequest{service = 1: string}, HealthCheckResponse{status = 1: enum
/// {SERVING = 1, NOT_SERVING = 2}}.
class Health {
 public:
  void add_service(std::string_view name) { services_.emplace(name, true); }

  void set_serving(bool is_serving) { is_serving_.store(is_serving, std::memory_order_relaxed); }

  [[nodiscard]] GrpcResponse check(std::string_view body) const {
    constexpr char kServiceField = 0x0a;
    std::string_view service;
    if (!body.empty()) {
      // A service name is shorter than 128 bytes here, so that its length is one byte.
      if (body.size() < 2 || body[0] != kServiceField ||
          static_cast<std::size_t>(body[1]) != body.size() - 2) {
        return error_response(RpcCode::NotFound, "unknown service");
      }
      service = body.substr(2);
    }
    if (!services_.contains(service)) return error_response(RpcCode::NotFound, "unknown service");
    const bool is_serving = is_serving_.load(std::memory_order_relaxed);
    return {.body = is_serving ? std::string("\x08\x01", 2) : std::string("\x08\x02", 2)};
  }

 private:
  std::map<std::string, bool, std::less<>> services_{{"", true},
                                                     {std::string(kHealthService), true}};
  std::atomic<bool> is_serving_{false};
};

/// One method's counters. Thread-safe.
class MethodMetrics {
 public:
  MethodMetrics(core::MetricRegistry& registry, std::string method)
      : registry_(registry),
        method_(std::move(method)),
        duration_(registry.histogram("gantry_grpc_request_duration_seconds",
                                     "Time from the message to the status.",
                                     core::default_duration_bounds(), {{"method", method_}})) {
    count(RpcCode::Ok, 0);
  }

  void end(RpcCode code, double seconds) {
    duration_.observe(seconds);
    count(code, 1);
  }

 private:
  void count(RpcCode code, std::uint64_t by) {
    std::atomic<core::Counter*>& slot = counters_.at(static_cast<std::size_t>(code));
    core::Counter* counter = slot.load(std::memory_order_acquire);
    if (counter == nullptr) {  // the registry gives every thread the same one
      counter =
          &registry_.counter("gantry_grpc_requests_total", "Calls answered.",
                             {{"code", std::string(rpc_code_name(code))}, {"method", method_}});
      slot.store(counter, std::memory_order_release);
    }
    counter->add(by);
  }

  core::MetricRegistry& registry_;
  std::string method_;
  core::Histogram& duration_;
  std::array<std::atomic<core::Counter*>, 17> counters_{};
};

struct RegisteredMethod {
  std::string name;
  GrpcHandler handler;
  std::unique_ptr<MethodMetrics> metrics;
};

/// One call: reads one message, runs the handler on the pool, answers. Deletes itself when gRPC is
/// through with it, which is after the handler has returned.
class Call final : public grpc::ServerGenericBidiReactor {
 public:
  Call(grpc::GenericCallbackServerContext& context, const RegisteredMethod& method,
       const GrpcServerOptions& options)
      : context_(context), method_(method), options_(options) {
    request_.is_tls = options.tls.has_value();
    StartRead(&received_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {  // cancelled, too large (gRPC has set the status then), or closed without a message
      Finish({grpc::StatusCode::INVALID_ARGUMENT, "the call carried no message"});
      return;
    }
    started_ns_ = monotonic_ns();
    if (method_.name == kHealthCheck) {  // answers also when the pool is full
      run();
      return;
    }
    const auto submitted = options_.pool.submit([this] { run(); });
    if (!submitted) {
      answer(error_response(RpcCode::Unavailable,
                            "the server is busy: " + submitted.error().message, kRetryWhenBusy));
    }
  }

  void OnCancel() override { cancel_.cancel(); }

  void OnDone() override { delete this; }

 private:
  static CancelToken make_token(const grpc::GenericCallbackServerContext& context) {
    const auto left = context.deadline() - std::chrono::system_clock::now();
    if (left > std::chrono::hours(24)) return {};
    return CancelToken::with_deadline(
        monotonic_ns() + std::chrono::duration_cast<std::chrono::nanoseconds>(left).count());
  }

  void run() noexcept {
    try {
      answer(handle());
    } catch (const std::exception& error) {
      log::error("request failed", {{"request_id", request_.request_id},
                                    {"handler", method_.name},
                                    {"error", error.what()}});
      answer(error_response(RpcCode::Internal, "internal error; the log has the details"));
    }
  }

  GrpcResponse handle() {
    auto body = read_message(
        received_, {.bytes = options_.message_bytes_max, .setting = options_.message_setting});
    received_.Clear();
    if (!body) return error_response(rpc_code(body.error().code), body.error().message);
    request_.body = *std::move(body);
    request_.method = method_.name;
    for (const auto& [name, value] : context_.client_metadata()) {
      request_.metadata.add(std::string(text_of(name)), std::string(text_of(value)));
    }
    request_.peer_address = peer_ip(context_.peer());
    request_.request_id = request_id_from(request_.metadata.find("x-request-id"));
    request_.cancel = cancel_;
    return method_.handler(request_);
  }

  void answer(const GrpcResponse& response) {
    const double seconds = static_cast<double>(monotonic_ns() - started_ns_) * 1e-9;
    method_.metrics->end(response.code, seconds);
    log::debug("call answered", {{"request_id", request_.request_id},
                                 {"method", method_.name},
                                 {"code", rpc_code_name(response.code)},
                                 {"message", response.message},
                                 {"received_bytes", request_.body.size()},
                                 {"took_ms", seconds * 1e3},
                                 {"peer", request_.peer_address}});
    for (const auto& [name, value] : response.trailers.fields()) {
      context_.AddTrailingMetadata(name, value);
    }
    if (response.code != RpcCode::Ok) {
      Finish(to_status(response));
      return;
    }
    sent_ = to_buffer(response.body);
    StartWriteAndFinish(&sent_, grpc::WriteOptions(), grpc::Status::OK);
  }

  grpc::GenericCallbackServerContext& context_;
  const RegisteredMethod& method_;
  const GrpcServerOptions& options_;
  grpc::ByteBuffer received_;
  grpc::ByteBuffer sent_;
  GrpcRequest request_;
  CancelToken cancel_ = make_token(context_);
  std::int64_t started_ns_ = 0;
};

/// Ends a call that never becomes one of ours.
class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }

  void OnDone() override { delete this; }
};

}  // namespace

struct GrpcServer::Impl final : grpc::CallbackGenericService {
  explicit Impl(GrpcServerOptions given) : options(std::move(given)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    const auto found = methods.find(context->method());
    if (found == methods.end()) {
      unknown->add();
      return new Refusal(
          {grpc::StatusCode::UNIMPLEMENTED, fmt::format("unknown method {}", context->method())});
    }
    return new Call(*context, found->second, options);
  }

  void add(GrpcMethod method) {
    const std::string name = method.name;
    GANTRY_ASSERT(name.starts_with('/') && name.rfind('/') > 1, "a full gRPC method name");
    health.add_service(std::string_view(name).substr(1, name.rfind('/') - 1));
    methods.emplace(
        name, RegisteredMethod{.name = name,
                               .handler = std::move(method.handler),
                               .metrics = std::make_unique<MethodMetrics>(options.metrics, name)});
  }

  Result<std::shared_ptr<grpc::ServerCredentials>> credentials() const;
  Result<void> start();
  void stop(DurationMs grace);

  GrpcServerOptions options;
  Health health;
  std::map<std::string, RegisteredMethod, std::less<>> methods;
  core::Counter* unknown = nullptr;
  std::unique_ptr<grpc::Server> server;
  std::uint16_t port = 0;
  core::Mutex mutex;
  bool is_stopped GANTRY_GUARDED_BY(mutex) = false;
};

Result<std::shared_ptr<grpc::ServerCredentials>> GrpcServer::Impl::credentials() const {
  if (!options.tls) return grpc::InsecureServerCredentials();
  // gRPC would only fail each handshake.
  GANTRY_TRY(const auto checked, load_tls_identity(*options.tls));
  constexpr unsigned kReloadSeconds = 10;
  grpc::experimental::TlsServerCredentialsOptions tls(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          options.tls->private_key_file, options.tls->certificate_file, kReloadSeconds));
  tls.watch_identity_key_cert_pairs();
  tls.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return grpc::experimental::TlsServerCredentials(tls);
}

Result<void> GrpcServer::Impl::start() {
  GANTRY_TRY(const ListenAddress address, parse_listen_address(options.address));
  GANTRY_TRY(const auto server_credentials, credentials());
  const std::string host = address.host.empty()                          ? "[::]"
                           : address.host.find(':') != std::string::npos ? "[" + address.host + "]"
                                                                         : address.host;
  constexpr int kKeepAliveMs = 60'000;
  constexpr int kPingIntervalMinMs = 10'000;
  constexpr std::size_t kReceiveMemoryBytes = 1ULL << 30;
  grpc::ResourceQuota quota("gantry");
  quota.Resize(std::max(kReceiveMemoryBytes, 4 * options.message_bytes_max));
  int bound = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(fmt::format("{}:{}", host, address.port), server_credentials, &bound);
  builder.RegisterCallbackGenericService(this);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes_max));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(options.concurrent_streams_max));
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);  // see read_message
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepAliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMinMs);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  server = builder.BuildAndStart();
  if (server == nullptr || bound == 0) {
    return fail(Code::Unavailable,
                fmt::format("cannot listen for gRPC on {}: the address is in use or not one of "
                            "this machine",
                            options.address));
  }
  port = static_cast<std::uint16_t>(bound);
  return {};
}

void GrpcServer::Impl::stop(DurationMs grace) {
  const core::Lock lock(mutex);
  if (is_stopped) return;
  is_stopped = true;
  health.set_serving(false);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace.count));
  server->Wait();
  server.reset();
}

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcServer::~GrpcServer() {
  impl_->stop({0});
}

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(GrpcServerOptions options,
                                                      std::vector<GrpcMethod> methods) {
  log_grpc_lines();
  auto impl = std::make_unique<Impl>(std::move(options));
  impl->unknown =
      &impl->options.metrics.counter("gantry_grpc_requests_total", "Calls answered.",
                                     {{"code", "UNIMPLEMENTED"}, {"method", "unknown"}});
  for (GrpcMethod& method : methods) impl->add(std::move(method));
  impl->add({.name = std::string(kHealthCheck),
             .handler = [health = &impl->health](GrpcRequest& request) {
               return health->check(request.body);
             }});
  GANTRY_CHECK(impl->start());
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

std::uint16_t GrpcServer::bound_port() const {
  return impl_->port;
}

void GrpcServer::set_serving(bool is_serving) {
  impl_->health.set_serving(is_serving);
}

void GrpcServer::stop(DurationMs grace) {
  impl_->stop(grace);
}

}  // namespace gantry::net
