#pragma once

// Cookies of the console: read from a request, written into an answer (RFC 6265).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace gantry::access {

/// The value of the request's cookie of that name, as sent. Absent too when there are several with
/// different values: one of them was planted by a neighbour domain, and nobody can tell which.
[[nodiscard]] std::optional<std::string> find_cookie(const net::Headers& headers,
                                                     std::string_view name);

enum class CookieTransport : std::uint8_t {
  Secure,  ///< Sent over HTTPS only. What the prefix `__Host-` demands.
  Plain,   ///< For development on the loopback interface.
};

struct Cookie {
  std::string_view name;
  std::string_view value;  ///< Letters, digits and -_.~ only.
  CookieTransport transport = CookieTransport::Secure;
  std::optional<std::int64_t> max_age_seconds;  ///< Absent: until the browser is closed.
};

/// The value of a Set-Cookie field: HttpOnly, SameSite=Lax, Path=/, no Domain.
[[nodiscard]] std::string format_cookie(const Cookie& cookie);

/// Makes the browser forget it.
[[nodiscard]] std::string format_expired_cookie(std::string_view name, CookieTransport transport);

}  // namespace gantry::access
