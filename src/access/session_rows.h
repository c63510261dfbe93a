#pragma once

// Sessions as rows. Rotation replaces a row by a new one of the same family; replaced ones stay, so
// that a stolen older id shows when it is used. What they mean is decided by Sessions.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/token.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

struct SessionRow {
  TokenHash hash{};  ///< Of the cookie's value.
  std::string family_id;
  std::string user_id;
  std::string provider;          ///< "password", or an OpenID provider's name.
  std::string provider_session;  ///< The provider's id of it (`sid`); "" when it gave none.
  std::string ip;
  std::string user_agent;
  TimestampMs signed_in_at;
  TimestampMs authenticated_at;  ///< When a password or the provider last vouched.
  TimestampMs issued_at;         ///< When this id was made.
  TimestampMs last_used_at;
  TimestampMs expires_at;
  std::optional<TimestampMs> replaced_at;
};

[[nodiscard]] Result<std::optional<SessionRow>> find_session(state::Transaction& tx,
                                                             std::span<const TokenHash> hashes);

/// The current row of each family, newest sign-in first.
[[nodiscard]] Result<std::vector<SessionRow>> list_sessions(state::Transaction& tx,
                                                            std::string_view user_id);

Result<void> insert_session(state::Transaction& tx, const SessionRow& row);

/// False when another request was first.
Result<bool> mark_replaced(state::Transaction& tx, const TokenHash& hash, TimestampMs now);

/// Never lowers it.
Result<void> raise_last_used(state::Transaction& tx, const TokenHash& hash, TimestampMs at);

/// The next request of each of the person's sessions gets a new id.
Result<void> make_rotation_due(state::Transaction& tx, std::string_view user_id);

Result<void> remove_family(state::Transaction& tx, std::string_view family_id);

/// All of a person's but one family ("" for all). Returns how many families ended.
Result<std::int64_t> remove_sessions(state::Transaction& tx, std::string_view user_id,
                                     std::string_view except_family);

/// Those begun through a provider: all of the person's there, or with `provider_session` only that
/// one (of whoever when `user_id` is ""). Returns the people whose sessions ended.
Result<std::vector<std::string>> remove_provider_sessions(state::Transaction& tx,
                                                          std::string_view provider,
                                                          std::string_view user_id,
                                                          std::string_view provider_session);

/// Those that are past their end, or were not used since `idle_since`.
Result<void> remove_expired_sessions(state::Transaction& tx, TimestampMs now,
                                     TimestampMs idle_since);

}  // namespace gantry::access
