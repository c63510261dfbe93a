#pragma once

// Why a request was not let in, in terms that each API turns into its own body.

#include <expected>
#include <string>
#include <string_view>

#include "access/scope.h"
#include "core/error.h"
#include "net/http.h"

namespace gantry::access {

/// An API renders `status`, `message` in its own body format, and adds `headers` as they are.
struct AccessError {
  int status = 401;                   ///< 400, 401, 403, 429 or 503.
  Code code = Code::Unauthenticated;  ///< The same for gRPC.
  std::string message;                ///< "authentication error: invalid token"; for the client.
  net::Headers headers;               ///< WWW-Authenticate, Cache-Control, …
  std::string_view reason;  ///< "expired", "unknown_token": for logs, never for the client.

  /// Adds `headers` to an answer.
  void add_headers(net::Headers& out) const;
};

template <class T>
using AccessResult = std::expected<T, AccessError>;

/// What decides which challenges a refusal carries.
struct ChallengeContext {
  Scope scope = Scope::MetricsRead;  ///< Of the route. Write scopes get a Basic challenge as well.
  bool is_browser = false;  ///< The request has Sec-Fetch-Mode: no Basic challenge, or it pops up a
                            ///< login box.
};

/// Without challenges; no cache keeps it. What the functions below are made of.
[[nodiscard]] AccessError make_access_error(int status, Code code, std::string message,
                                            std::string_view reason);

[[nodiscard]] AccessError no_credentials(const ChallengeContext& context);

/// 401: a token or password in the query string.
[[nodiscard]] AccessError secret_in_url(const ChallengeContext& context);

/// 401. One text for every cause; `reason` tells them apart in logs. `description` goes into the
/// challenge and must not depend on what is known about the token.
[[nodiscard]] AccessError invalid_token(
    const ChallengeContext& context, std::string_view reason,
    std::string_view description = "the token is not valid for this stack");

/// 403, or 401 with `cloud_compat_status` (access.cloud_compat_status).
[[nodiscard]] AccessError missing_scope(Scope scope, bool cloud_compat_status);

/// 403: the token's label policies cannot be read, so that nothing may be shown.
[[nodiscard]] AccessError unreadable_label_policy();

/// 403: the policy's allowedSubnets do not hold the client's address.
[[nodiscard]] AccessError origin_not_allowed();

/// 403: another organisation than the token's own.
[[nodiscard]] AccessError wrong_organisation();

/// 403: not for this kind of token, or not on the read-only endpoint.
[[nodiscard]] AccessError not_on_read_only_api();

/// 429 with Retry-After: a limit of the token.
[[nodiscard]] AccessError rate_limited(std::string_view reason);

/// 400: contradicting or ambiguous credentials.
[[nodiscard]] AccessError bad_credentials(std::string_view message, std::string_view reason);

/// 503 with Retry-After: the state database did not answer.
[[nodiscard]] AccessError access_unavailable();

}  // namespace gantry::access
