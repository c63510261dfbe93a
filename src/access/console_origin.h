#pragma once

// Where the console is served from, and whether a browser's request comes from there: the transport
// rule, the names of cookies, and the checks against forged requests that need no session.

#include <string>
#include <string_view>

#include "access/access_error.h"
#include "access/cookie.h"
#include "net/http.h"

namespace gantry::access {

/// Immutable, thread-safe.
class ConsoleOrigin {
 public:
  struct Options {
    std::string public_url;     ///< server.public_url; "": the Host field of each request.
    bool insecure_dev = false;  ///< server.insecure_dev: plain HTTP from this machine is served.
  };

  explicit ConsoleOrigin(Options options);

  /// Came over TLS, here or at the proxy that server.public_url says is in front.
  [[nodiscard]] bool is_secure(const net::Request& request) const;

  /// 403 for plain HTTP, unless both ends are this machine and server.insecure_dev is set.
  [[nodiscard]] AccessResult<void> check_transport(const net::Request& request) const;

  /// For an unsafe method: 403 when the browser says that another site made the request, or says
  /// nothing and neither Origin nor Referer is ours; 403 for a body that is not JSON (forms can be
  /// sent across sites). GET and HEAD pass.
  [[nodiscard]] AccessResult<void> check_source(const net::Request& request) const;

  [[nodiscard]] CookieTransport cookie_transport(const net::Request& request) const;

  /// "https://gantry.example.com", as browsers write it in Origin.
  [[nodiscard]] std::string origin(const net::Request& request) const;

  /// The URL under which people reach the server, without a trailing slash.
  [[nodiscard]] std::string url(const net::Request& request) const;

  /// `__Host-gantry_<name>`, or `gantry_dev_<name>` where plain HTTP is allowed.
  [[nodiscard]] std::string cookie_name(const net::Request& request, std::string_view name) const;

 private:
  Options options_;
  std::string public_origin_;  ///< "" without public_url.
};

/// POST, PUT, DELETE, PATCH and whatever is not known to be safe.
[[nodiscard]] bool is_unsafe(net::Method method);

/// A path of this server to go to after a sign-in: exactly one leading slash, no backslash, no
/// control characters. Anything else is "/".
[[nodiscard]] std::string safe_return_path(std::string_view path);

/// 403 with the four-field code Forbidden; `reason` for logs.
[[nodiscard]] AccessError forbidden(std::string_view message, std::string_view reason);

}  // namespace gantry::access
