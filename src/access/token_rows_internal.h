#pragma once

// Rows of the table of tokens.

#include <cstdint>
#include <string_view>

#include "access/tokens.h"

namespace gantry::access {

/// Keeps the hash of `secret`. Errors: AlreadyExists (name).
[[nodiscard]] Result<void> insert_token(state::Transaction& tx, const Token& token,
                                        std::string_view secret, const TokenHasher& hasher);

/// Of a secret that is not known. `hash`: under the hasher's current pepper. Errors: AlreadyExists
/// (name or hash).
[[nodiscard]] Result<void> insert_token(state::Transaction& tx, const Token& token,
                                        const TokenHash& hash, const TokenHasher& hasher);

/// Neither revoked nor expired.
[[nodiscard]] Result<std::int64_t> count_living_tokens(OrgId org, state::Transaction& tx,
                                                       std::string_view policy_id, TimestampMs now);

[[nodiscard]] Result<bool> is_token_name_taken(OrgId org, state::Transaction& tx,
                                               std::string_view name);

}  // namespace gantry::access
