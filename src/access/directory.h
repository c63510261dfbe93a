#pragma once

// What the state database says of a token, for deciding about requests. Changes are made elsewhere:
// see control_plane.h.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/control.h"
#include "access/principal.h"
#include "access/stacks.h"
#include "access/token.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

/// One stack that a token's policy reaches, and what of it may be read.
struct StackGrant {
  StackId stack;
  Visibility visibility;

  /// Other user names of the stack, each good where one signal is asked for.
  struct Alias {
    std::uint32_t id = 0;
    std::string signal;  ///< "metrics", "logs", "traces": what scopes of it begin with.
  };

  std::vector<Alias> aliases = {};
};

/// All that deciding about a token needs.
struct TokenGrant {
  std::string token_id;
  std::string policy_id;
  std::string policy_name;
  OrgId org;
  TokenHash hash{};
  ScopeSet scopes;                           ///< Names that Gantry does not know grant nothing.
  std::vector<StackGrant> stacks;            ///< Ascending by id; only active stacks of `org`.
  std::vector<Realm> realms;                 ///< As the policy names them.
  std::vector<std::string> allowed_subnets;  ///< CIDR; empty: any.
  std::string attributes;                    ///< JSON object, as the policy was given it.
  TokenKind kind = TokenKind::AccessPolicy;
  std::string token_name;
  bool is_policy_active = false;
  std::optional<TimestampMs> expires_at;
  std::optional<TimestampMs> revoked_at;
  bool was_used = false;       ///< It has a first-used time.
  std::string last_used_from;  ///< "" when unknown.
};

/// What is to be written about a token's use.
struct TokenUse {
  std::string token_id;
  std::optional<TimestampMs> first;  ///< Absent: it was not let in since the last write.
  std::optional<TimestampMs> last;
  std::string from;        ///< IP address.
  std::string user_agent;  ///< At most 200 bytes.
  std::string route;
  std::optional<TimestampMs> rejected;  ///< A known token that was not let in.
  std::string rejected_from;
  std::string reject_reason;
};

/// Thread-safe. Every call blocks on the state database.
class Directory {
 public:
  /// The database must outlive it.
  explicit Directory(state::Db& db) : db_(db) {}

  Result<state::Transaction> begin_write() { return db_.begin_write(); }

  Result<state::Transaction> begin_read() { return db_.begin_read(); }

  [[nodiscard]] const state::Db& database() const { return db_; }

  /// No organisation yet: the first start.
  [[nodiscard]] Result<bool> is_empty();
  [[nodiscard]] Result<bool> is_empty(state::Transaction& tx);

  /// Is there any token? Without its secret key they are all void.
  [[nodiscard]] Result<bool> has_tokens();

  [[nodiscard]] Result<std::vector<Stack>> list_stacks();

  /// The grant of the token that has any of these hashes, also when it is expired, revoked or its
  /// policy inactive.
  [[nodiscard]] Result<std::optional<TokenGrant>> find_grant(std::span<const TokenHash> hashes);

  /// Raises first-used, last-used and last-rejected times, and what belongs to them.
  Result<void> record_uses(std::span<const TokenUse> uses);

 private:
  state::Db& db_;
};

}  // namespace gantry::access
