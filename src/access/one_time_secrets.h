#pragma once

// Secrets that are handed out once: links that set a password, states of OpenID sign-ins, and the
// mark of a browser on which somebody has signed in. The database has their keyed hashes.

#include <optional>
#include <string>
#include <string_view>

#include "access/token.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

struct OneTimeSecret {
  std::string_view purpose;  ///< "password", "oidc" or "device".
  std::string user_id;       ///< "" for nobody's.
  std::string payload;       ///< JSON.
  TimestampMs expires_at;
};

/// Returns the secret: 43 characters of base64url.
Result<std::string> add_one_time_secret(state::Transaction& tx, const TokenHasher& hasher,
                                        const OneTimeSecret& secret, TimestampMs now);

/// What stands behind an unused, living secret; absent for any other. Does not use it up.
[[nodiscard]] Result<std::optional<OneTimeSecret>> find_one_time_secret(state::Transaction& tx,
                                                                        const TokenHasher& hasher,
                                                                        std::string_view purpose,
                                                                        std::string_view secret,
                                                                        TimestampMs now);

/// The same, and it never works again; absent when another request was first.
Result<std::optional<OneTimeSecret>> take_one_time_secret(state::Transaction& tx,
                                                          const TokenHasher& hasher,
                                                          std::string_view purpose,
                                                          std::string_view secret, TimestampMs now);

/// For values that others make and that may come once (`jti`): false when it came before.
Result<bool> claim_once(state::Transaction& tx, const TokenHasher& hasher, std::string_view purpose,
                        std::string_view value, TimestampMs now, TimestampMs expires_at);

/// All of a person's secrets of that purpose.
Result<void> remove_one_time_secrets(state::Transaction& tx, std::string_view purpose,
                                     std::string_view user_id);

Result<void> remove_expired_one_time_secrets(state::Transaction& tx, TimestampMs now);

/// 32 random bytes as 43 characters of base64url.
[[nodiscard]] std::string make_url_secret();

}  // namespace gantry::access
