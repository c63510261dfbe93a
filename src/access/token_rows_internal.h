#pragma once

// Rows of the table of tokens, and the acts that all kinds of tokens begin and end with.

#include <cstdint>
#include <optional>
#include <string>
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

/// Everything but the secret and the identity.
struct TokenIssue {
  const Policy& policy;
  std::string name;
  std::string display_name;
  TokenKind kind = TokenKind::AccessPolicy;
  std::optional<TimestampMs> expires_at;
  std::string zone;
};

/// Makes a token of any policy, held to the ceiling, and records it. Errors: as create_token.
[[nodiscard]] ControlResult<IssuedToken> issue_token(OrgId org, ControlChange& change,
                                                     const TokenIssue& draft);

/// Revokes and records; whoever calls has looked at who may.
[[nodiscard]] ControlResult<Token> finish_revocation(OrgId org, ControlChange& change, Token token);

}  // namespace gantry::access
