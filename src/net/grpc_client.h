#pragma once

// Unary gRPC calls over raw message bytes to URLs that somebody entered: no generated code.
//
//   GANTRY_TRY(auto client, GrpcClient::make({.egress = egress, .user_agent = "gantry/1"}));
//   const auto call = client->start(std::move(request), [](auto outcome) { … });
//   call->cancel();
//
// Connections are kept for each "https://host:port" and go only to addresses that the egress rules
// have allowed for that host in the last minute, whatever a name server says later; the host's name
// stays the authority, by which TLS checks the certificate. Proxies of the environment are ignored,
// gRPC's own retries are off: who calls decides.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"
#include "net/egress.h"
#include "net/http.h"
#include "net/rpc_status.h"

namespace gantry::net {

enum class GrpcCompression : std::uint8_t { None, Gzip };

struct GrpcCallRequest {
  std::string url;     ///< "https://host:port" or, without TLS, "http://host:port".
  std::string method;  ///< "/opentelemetry.proto.collector.trace.v1.TraceService/Export".
  Headers metadata;    ///< Sent with lower-case names; see grpc_metadata_problem.
  std::string message;
  GrpcCompression compression = GrpcCompression::None;
  DurationMs timeout{30'000};  ///< Also the deadline that the server is told.
};

/// The call's end, as the server has said it.
struct GrpcAnswer {
  RpcCode code = RpcCode::Ok;
  std::string message;  ///< With an error.
  std::string details;  ///< With an error: google.rpc.Status, or nothing.
  std::string body;     ///< With Ok: one message, decompressed.
};

/// Why there was no such end.
enum class GrpcFailure : std::uint8_t {
  BadRequest,  ///< A URL, method or metadata that cannot be sent.
  Forbidden,   ///< By the egress rules.
  Overloaded,  ///< Too many look-ups at once here.
  Resolve,
  Connect,
  Tls,      ///< No common version, or a certificate that is not trusted or another host's.
  NotGrpc,  ///< Something else than HTTP/2 answered.
  Timeout,
  Broken,  ///< The connection ended.
  Cancelled,
};

/// Why a name and value cannot be metadata of a call; "" when they can. Names are compared in lower
/// case. Binary metadata ("-bin") is refused, as are the names that gRPC sets itself.
[[nodiscard]] std::string_view grpc_metadata_problem(std::string_view name, std::string_view value);

/// One call under way. Thread-safe.
class GrpcCall {
 public:
  GrpcCall() = default;
  virtual ~GrpcCall() = default;
  GrpcCall(const GrpcCall&) = delete;
  GrpcCall& operator=(const GrpcCall&) = delete;

  /// The call ends soon, with Cancelled unless it has ended by itself.
  virtual void cancel() = 0;
};

/// Thread-safe.
class GrpcClient {
 public:
  struct Options {
    const Egress& egress;                ///< Outlives the client.
    std::string user_agent;              ///< gRPC adds its own behind it.
    std::string ca_file;                 ///< PEM; the system's authorities when empty.
    DurationMs connect_timeout{10'000};  ///< Of one address, with the handshakes.
    std::size_t answer_bytes_max = 4 << 20;
  };

  /// Errors: InvalidArgument (ca_file).
  [[nodiscard]] static Result<std::unique_ptr<GrpcClient>> make(Options options);

  /// Cancels the calls that are under way and waits until they have ended.
  ~GrpcClient();
  GrpcClient(const GrpcClient&) = delete;
  GrpcClient& operator=(const GrpcClient&) = delete;

  using OnEnd = std::move_only_function<void(std::expected<GrpcAnswer, GrpcFailure>)>;

  /// `on_end` is called once, before this returns or later on a thread of the client's or the
  /// resolver's: it must not block. A look-up of the host that hangs is noticed only when it ends:
  /// who cannot wait that long cancels. The call may be let go of.
  std::shared_ptr<GrpcCall> start(GrpcCallRequest request, OnEnd on_end);

 private:
  class Call;
  struct State;
  explicit GrpcClient(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace gantry::net
