#pragma once

// A gRPC server for unary methods over raw message bytes: no generated code, the handler's codec
// reads the bytes as it would from HTTP. grpc.health.v1.Health/Check is built in.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "core/worker_pool.h"
#include "net/http.h"
#include "net/rpc_status.h"
#include "net/server.h"

namespace gantry::net {

struct GrpcRequest {
  std::string method;  ///< "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export".
  Headers metadata;    ///< Lower-case names, as sent; -bin values are already decoded.
  std::string body;    ///< One message, decompressed; capacity exceeds size by kBodyPaddingBytes.
  std::string peer_address;  ///< IP without port.
  std::string request_id;    ///< As for HTTP: x-request-id or made here.
  bool is_tls = false;
  CancelToken cancel;  ///< Fires when the call is cancelled or past its deadline, or the server
                       ///< stops.
};

struct GrpcResponse {
  RpcCode code = RpcCode::Ok;
  std::string message;  ///< With an error code: the status message.
  std::string details;  ///< With an error code: bytes for the grpc-status-details-bin trailer, from
                        ///< encode_rpc_status.
  std::string body;     ///< With Ok: one message.
  Headers trailers;     ///< More trailing metadata; lower-case names.
};

/// Runs on a worker thread: may block. Called concurrently.
using GrpcHandler = std::function<GrpcResponse(GrpcRequest&)>;

struct GrpcMethod {
  std::string name;  ///< Full name with both slashes, as GrpcRequest::method.
  GrpcHandler handler;
};

struct GrpcServerOptions {
  core::WorkerPool& pool;  ///< Full: the call is refused with UNAVAILABLE and RetryInfo of 1 s.
  core::MetricRegistry& metrics;
  std::string address;  ///< See parse_listen_address.
  std::optional<TlsOptions> tls;
  std::size_t message_bytes_max = 64 << 20;  ///< Also after gzip; larger: RESOURCE_EXHAUSTED.
  std::string message_setting = "http.body_decompressed_bytes_max";  ///< Named when it grows past.
  std::size_t concurrent_streams_max = 256;                          ///< Per connection.
};

/// Thread-safe. The pool, the registry and what handlers refer to must outlive it.
class GrpcServer {
 public:
  /// Errors: InvalidArgument (address, certificate), Unavailable (address in use).
  static Result<std::unique_ptr<GrpcServer>> start(GrpcServerOptions options,
                                                   std::vector<GrpcMethod> methods);

  /// stop() without grace.
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  [[nodiscard]] std::uint16_t bound_port() const;

  /// Health/Check answers NOT_SERVING while false, which it is at first. "" and every service of
  /// the registered methods have the same state.
  void set_serving(bool is_serving);

  /// Refuses new calls, lets those in flight finish for `grace`, then cancels them. Returns when
  /// every handler has returned.
  void stop(DurationMs grace);

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::net
