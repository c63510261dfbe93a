#pragma once

// One request to a destination: where it goes, what it carries and who it says it is from. No
// sockets: the delivery and the connection test share it.

#include <map>
#include <string>
#include <string_view>

#include "broadcast/destination.h"
#include "broadcast/queue.h"
#include "core/error.h"
#include "net/grpc_client.h"
#include "net/http.h"

namespace gantry::broadcast {

/// Bodies are compressed from this size on.
inline constexpr std::size_t kCompressedBytesMin = 1024;

struct ExportRequest {
  std::string method;
  std::string url;
  net::Headers headers;  ///< With the credentials: never logged.
  std::string body;      ///< Compressed as `headers` say.
  /// Of a gRPC call, else empty: then `url` is host and port, `headers` are metadata, and `body` is
  /// a message that is not compressed yet.
  std::string rpc_method;
  net::GrpcCompression rpc_compression = net::GrpcCompression::None;
};

/// The Export method of the OTLP service that takes the signal.
[[nodiscard]] std::string_view otlp_rpc_method(Signal signal);

/// The URL that a narrowed destination's data is sent to. At a base URL what people paste is taken
/// kindly: a trailing slash, "/otlp" or the whole path may be there already; other URLs are used as
/// they are, those of gRPC without a path. Errors: InvalidArgument naming the field ("baseUrl: …"),
/// never quoting the URL.
[[nodiscard]] Result<std::string> export_url(const Destination& destination);

/// Headers that a destination may not set: those that say how the body is to be read, whom the
/// connection is for and, where the type has credentials of its own, who is asking. Errors:
/// InvalidArgument naming the header, also for what is no header, and never quoting a value.
[[nodiscard]] Result<void> check_headers(
    DestinationType type, const std::map<std::string, std::string, std::less<>>& headers);

/// A request with `body`, which is in the destination's encoding and not compressed. Errors:
/// InvalidArgument naming the field of the destination that is wrong or missing; Internal (the
/// compressor failed).
[[nodiscard]] Result<ExportRequest> make_export_request(const Destination& destination,
                                                        std::string body);

}  // namespace gantry::broadcast
