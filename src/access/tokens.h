#pragma once

// Tokens: secrets that have the rights of a policy. The secret itself is in the answer that
// creates it and nowhere else.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control_plane.h"
#include "access/page.h"
#include "access/policies.h"

namespace gantry::access {

inline constexpr DurationMs kExpiredTokenShown{std::int64_t{90} * 24 * 3600 * 1000};
inline constexpr DurationMs kExpiryUndoable{std::int64_t{7} * 24 * 3600 * 1000};

struct Token {
  std::string id;
  std::string policy_id;
  OrgId org;
  std::string
      name;  ///< is_token_name; unique among the organisation's tokens that are not revoked.
  std::string display_name;
  TokenKind kind = TokenKind::AccessPolicy;
  std::string hint;  ///< "glc_…k3Xq"
  TimestampMs created_at;
  std::string created_by;
  TimestampMs updated_at;
  std::optional<TimestampMs> expires_at;
  std::optional<TimestampMs> revoked_at;
  std::string revoked_by;
  std::optional<TimestampMs> first_used_at;
  std::optional<TimestampMs> last_used_at;
  std::string last_used_from;
  std::string last_user_agent;
  std::optional<TimestampMs> last_rejected_at;
  std::string last_rejected_from;
  std::string last_reject_reason;
};

/// "active", "expired", "revoked"
[[nodiscard]] std::string_view token_status(const Token& token, TimestampMs now);

struct IssuedToken {
  Token token;
  std::string secret;
};

struct TokenDraft {
  std::string policy_id;
  std::string name;
  std::string display_name;  ///< "": the name.
  std::optional<TimestampMs> expires_at;
  std::string zone;  ///< Shown in the token; the request's region.
};

/// A token for the read-only endpoint: reads one stack and does nothing else.
struct BearerDraft {
  std::string stack;  ///< Id or slug.
  std::string name;
  std::string display_name;
  std::optional<TimestampMs> expires_at;
  bool reads_traces = false;
  std::vector<std::string> label_policies;   ///< Selectors; empty: all series.
  std::vector<std::string> allowed_subnets;  ///< CIDR; empty: from anywhere.
};

/// Absent: unchanged.
struct TokenChanges {
  std::optional<std::string> display_name;
  std::optional<std::optional<TimestampMs>> expires_at;  ///< Null removes the expiry.
};

struct TokenRotation {
  std::optional<TimestampMs> expires_at;  ///< Absent: as long a life as the old one was given.
  DurationMs overlap{std::int64_t{24} * 3600 * 1000};
  std::string zone;
};

enum class Revoked : std::uint8_t { Hidden, Shown };

/// Empty members hold always.
struct TokenFilter {
  std::vector<std::string> policy_ids;
  std::string policy_name;
  std::string policy_realm_type;
  std::string policy_realm_identifier;  ///< Id, or slug of a stack.
  std::string policy_status;
  std::string policy_owner = {};  ///< A user's id: personal tokens of that person.
  std::string name;
  std::optional<TimestampMs> expires_before;
  std::optional<TimestampMs> expires_after;
  bool includes_expired = false;
  Revoked revoked = Revoked::Hidden;
};

/// Errors: InvalidArgument, NotFound (policy), AlreadyExists (name), FailedPrecondition (limit),
/// PermissionDenied (the ceiling: the policy grants more than the asker has).
[[nodiscard]] ControlResult<IssuedToken> create_token(OrgId org, ControlChange& change,
                                                      const TokenDraft& draft);

/// Of a built-in policy. Errors: as create_token; the stack that is not there is InvalidArgument.
[[nodiscard]] ControlResult<IssuedToken> create_bearer_token(OrgId org, ControlChange& change,
                                                             const BearerDraft& draft);

/// Not those that expired more than `kExpiredTokenShown` ago. Errors: NotFound.
[[nodiscard]] ControlResult<Token> read_token(OrgId org, state::Transaction& tx,
                                              std::string_view id, TimestampMs now,
                                              Revoked revoked = Revoked::Hidden);

/// By (created, id), beginning after `page.after`; at most `page.limit`.
[[nodiscard]] ControlResult<std::vector<Token>> list_tokens(OrgId org, state::Transaction& tx,
                                                            const TokenFilter& filter,
                                                            const PageStart& page, TimestampMs now);

/// An expiry in the past switches the token off now; within `kExpiryUndoable` of it a later one, or
/// none, switches it on again. Errors: NotFound, InvalidArgument, FailedPrecondition (too late to
/// undo), PermissionDenied.
[[nodiscard]] ControlResult<Token> update_token(OrgId org, ControlChange& change,
                                                std::string_view id, const TokenChanges& changes);

/// A new token "<name>-r2" of the same policy and kind; the old one expires after the overlap, or
/// when it would have. Errors: as create_token, FailedPrecondition (a personal token).
[[nodiscard]] ControlResult<IssuedToken> rotate_token(OrgId org, ControlChange& change,
                                                      std::string_view id,
                                                      const TokenRotation& rotation);

/// For good; the name becomes free. Errors: NotFound, PermissionDenied.
[[nodiscard]] ControlResult<Token> revoke_token(OrgId org, ControlChange& change,
                                                std::string_view id);

/// The token that makes the request. Possession is enough. Errors: PermissionDenied (no token).
[[nodiscard]] ControlResult<Token> revoke_own_token(ControlChange& change);

}  // namespace gantry::access
