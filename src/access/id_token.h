#pragma once

// ID tokens and logout tokens of OpenID Connect (Core 1.0 §3.1.3.7, Back-Channel Logout 1.0 §2.6):
// what must hold besides the signature.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/json_web_token.h"
#include "core/error.h"
#include "core/time.h"

namespace gantry::access {

struct IdTokenExpectation {
  std::string_view issuer;
  std::string_view client_id;
  std::string_view nonce;
  std::string_view access_token;                ///< Checked against `at_hash` when that is present.
  std::optional<std::int64_t> max_age_seconds;  ///< As it was asked for: `auth_time` must follow.
  TimestampMs now;
};

struct IdToken {
  std::string issuer;
  std::string subject;
  std::string session;  ///< `sid`; "" when absent.
  std::string email;
  bool is_email_verified = false;
  std::string name;
  std::string preferred_username;
  std::optional<TimestampMs> authenticated_at;
  std::string claims;  ///< All of them: JSON.
};

/// Errors (Unauthenticated): what does not hold, in words for a log.
[[nodiscard]] Result<IdToken> verify_id_token(std::string_view token, const JsonWebKeys& keys,
                                              const IdTokenExpectation& expected);

struct LogoutToken {
  std::string id;  ///< `jti`, which may be used once.
  std::string subject;
  std::string session;
  TimestampMs expires_at;
};

[[nodiscard]] Result<LogoutToken> verify_logout_token(std::string_view token,
                                                      const JsonWebKeys& keys,
                                                      std::string_view issuer,
                                                      std::string_view client_id, TimestampMs now);

/// The groups at a JSON pointer ("/groups", "/realm_access/roles") of the claims; one text counts
/// as a list of one. Errors: InvalidArgument for a pointer that is none; FailedPrecondition when
/// the provider left the groups out because there are too many (`_claim_names`).
[[nodiscard]] Result<std::vector<std::string>> read_groups(std::string_view claims,
                                                           std::string_view pointer);

}  // namespace gantry::access
