#pragma once

// URLs that people enter and the server is to contact, read in one way only: what two parsers could
// take for different hosts is refused.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/ip_network.h"

namespace gantry::net {

struct EgressUrl {
  std::string scheme;  ///< "https", "http" or "grpc".
  std::string host;    ///< Lower case; IPv6 without brackets; no trailing dot.
  std::uint16_t port = 0;
  std::string target;                      ///< Path and query: "/" at least.
  std::optional<core::IpAddress> address;  ///< When the host is one.

  /// Without the scheme's own port.
  [[nodiscard]] std::string text() const;

  /// "https://host:port" of it.
  [[nodiscard]] std::string origin() const;
};

/// Errors (InvalidArgument, saying what is wrong): another scheme; a user name, fragment, white
/// space, control character or backslash; a host that is empty, percent-encoded, not ASCII (write
/// its xn-- form), too long, an IPv6 address with a zone, or that ends in a number without being a
/// dotted quad (octal, hexadecimal and short forms of addresses); port 0.
[[nodiscard]] Result<EgressUrl> parse_egress_url(std::string_view text);

}  // namespace gantry::net
