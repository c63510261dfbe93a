#pragma once

// How requests reach destinations, as the delivery and the connection test see it. Whoever
// implements it owns sockets, name resolution, TLS and the addresses that may be reached.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "broadcast/export_request.h"
#include "core/cancel.h"
#include "core/time.h"
#include "net/http.h"
#include "net/rpc_status.h"

namespace gantry::broadcast {

/// How a gRPC call ended.
struct RpcEnd {
  net::RpcCode code = net::RpcCode::Ok;
  std::string message;                    ///< Of an error, as the receiver wrote it.
  std::optional<DurationMs> retry_delay;  ///< Of its RetryInfo: it may be repeated, after that.
};

struct ExportAnswer {
  int status = 0;  ///< HTTP's; of a gRPC call its code, from 0 (taken) to 16.
  net::Headers headers;
  std::string body;  ///< Decoded, and cut at some tens of KiB: enough for a partial success.
  std::optional<RpcEnd> rpc;  ///< Of a gRPC call, which has no headers here.
};

enum class TransportFailure : std::uint8_t {
  Dns,        ///< The host's name has no address.
  Connect,    ///< Refused, unreachable.
  Tls,        ///< No common version, or a certificate that is not trusted.
  Timeout,    ///< No whole answer before the deadline.
  NotGrpc,    ///< What is there speaks something else.
  Broken,     ///< The connection ended, or what came was no HTTP.
  Blocked,    ///< The address is none that may be sent to.
  Cancelled,  ///< By the caller.
};

/// Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// Sends the request once, follows no redirect, and returns soon after `timeout` has passed or
  /// `cancel` has fired, whatever the other side does.
  [[nodiscard]] virtual std::expected<ExportAnswer, TransportFailure> send(
      const ExportRequest& request, DurationMs timeout, const CancelToken& cancel) = 0;

 protected:
  Transport() = default;
};

}  // namespace gantry::broadcast
