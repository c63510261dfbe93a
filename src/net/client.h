#pragma once

// A blocking HTTP client, for the command line and for tests.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/ip_network.h"
#include "core/time.h"
#include "net/http.h"

namespace gantry::net {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  ///< http or https only; proxies from the environment are honoured.
  Headers headers;
  std::string body;  ///< Sent with any method when not empty.
  DurationMs connect_timeout{10'000};
  DurationMs timeout{60'000};                  ///< For the whole exchange.
  std::size_t response_bytes_max = 256 << 20;  ///< After decompression.
  std::string ca_file;  ///< PEM; the system's authorities when empty. The peer is always verified.

  /// Connect to these addresses of the host instead of resolving it; proxies of the environment are
  /// then ignored, and TLS 1.2 is the least.
  std::vector<std::string> addresses;
  /// Asked with the address of each connection before it is made; false refuses it.
  std::function<bool(const core::IpAddress&)> may_connect;
};

struct ClientResponse {
  int status = 0;
  Headers headers;   ///< Of the last response, in order.
  std::string body;  ///< Decompressed when a gzip, deflate or zstd answer was asked for by
                     ///< Accept-Encoding.
};

/// One exchange on a connection of its own; redirects are answers, not followed. Any status is a
/// success. Errors: InvalidArgument (URL, header with a line break), Unavailable (no connection,
/// TLS, broken answer), DeadlineExceeded, TooLarge (response_bytes_max). Thread-safe.
[[nodiscard]] Result<ClientResponse> send(const ClientRequest& request);

}  // namespace gantry::net
