#pragma once

// The one way out: every connection to a URL that people entered goes through here, so that the
// server cannot be used to reach what only it can reach (SSRF).
//
// A URL is parsed (parse_egress_url), its host resolved here, and refused when any of its addresses
// is forbidden; the connection is made to one of the addresses that were checked, and checked again
// on the socket. Redirects are errors, proxies of the environment are ignored, answers are bounded.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/ip_network.h"
#include "core/time.h"
#include "net/egress_url.h"
#include "net/http.h"

namespace gantry::net {

struct EgressRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  DurationMs timeout{30'000};
  std::size_t response_bytes_max = 64 << 10;
};

struct EgressResponse {
  int status = 0;  ///< Never a redirect.
  Headers headers;
  std::string body;
};

/// Addresses that need no word from the operator, those that do, and those that only an entry which
/// names them precisely opens (loopback, link-local and cloud metadata, multicast).
enum class EgressClass : std::uint8_t { Open, Private, Forbidden };

/// Embedded IPv4 addresses (mapped, NAT64, 6to4, Teredo) count as what they embed.
[[nodiscard]] EgressClass classify_address(const core::IpAddress& address);

/// Thread-safe. Calls block.
class Egress {
 public:
  struct Options {
    /// egress.allow: networks ("10.0.0.0/8"), addresses and host names. Such hosts may also be
    /// spoken to without TLS and on any port.
    std::vector<std::string> allow;
    std::string ca_file;  ///< PEM; the system's authorities when empty.
    DurationMs connect_timeout{5'000};
    DurationMs resolve_timeout{5'000};

    /// Told of each request that was refused because of where it would go; on the caller's thread,
    /// or the resolver's (find_destination).
    std::function<void(const EgressUrl&)> on_blocked;

    /// For tests: names to addresses instead of the system's resolver.
    std::function<Result<std::vector<core::IpAddress>>(const std::string&)> resolve;
  };

  /// Errors: InvalidArgument for an entry of `allow` that is neither.
  static Result<std::unique_ptr<Egress>> make(Options options);
  ~Egress();
  Egress(const Egress&) = delete;
  Egress& operator=(const Egress&) = delete;

  struct OwnAddress {
    std::string host;  ///< "", "0.0.0.0" and "::" are all addresses of this machine.
    std::uint16_t port = 0;
  };

  /// Where this server itself listens: nothing is sent there whatever `allow` says, since it would
  /// go round in a circle. Replaces those before. Errors: InvalidArgument (not an address).
  Result<void> refuse_own(const std::vector<OwnAddress>& own);

  /// What can be said about a URL without the network: its form, scheme, port and literal address.
  /// Errors: InvalidArgument, PermissionDenied ("destination is not allowed").
  [[nodiscard]] Result<EgressUrl> check(std::string_view url) const;

  /// A URL that may be connected to, and where.
  struct Destination {
    EgressUrl url;
    std::vector<core::IpAddress> addresses;  ///< Each was checked. At least one.
  };

  using OnDestination = std::move_only_function<void(Result<Destination>)>;

  /// Resolves the host of a URL that `check` gave and checks the addresses. For those that connect
  /// by themselves: only to one of these. `done` is called once, before this returns or later on a
  /// thread of the resolver, after resolve_timeout or not: the caller sees to deadlines. It must
  /// not block. Look-ups of one host that come together share one. Errors: PermissionDenied,
  /// Unavailable, ResourceExhausted (too many different hosts at once).
  void find_destination(const EgressUrl& url, OnDestination done) const;

  /// No error names the query of the URL. Errors: as `check`; Unavailable (no connection, TLS, or a
  /// redirect, whose origin is named), DeadlineExceeded, TooLarge.
  [[nodiscard]] Result<EgressResponse> send(const EgressRequest& request) const;

 private:
  struct Impl;
  explicit Egress(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::net
