#pragma once

// Tokens that people make for themselves. Each is a token of a built-in policy of that person, and
// does what the policy says as far as the person may at that moment: their role, their label
// policies, and whether they are still there are looked at with every request.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control.h"
#include "access/tokens.h"

namespace gantry::access {

/// What a person of that role may give a personal token: what the role may do, less what it may do
/// to its own things only, which a token cannot know.
[[nodiscard]] ScopeSet personal_token_scopes(Role role);

struct PersonalTokenDraft {
  std::string name;
  std::string display_name;  ///< "": the name.
  std::optional<TimestampMs> expires_at;
  std::vector<std::string> scopes;
  std::string stack;  ///< Id or slug; "": every stack of the organisation.
};

/// For who signed in, as a member of `org` with at least the role editor. Errors: InvalidArgument,
/// AlreadyExists (name), FailedPrecondition (limit), PermissionDenied.
[[nodiscard]] ControlResult<IssuedToken> create_personal_token(OrgId org, ControlChange& change,
                                                               const PersonalTokenDraft& draft);

/// Those of `who`, by (created, id). Errors: PermissionDenied (not a person).
[[nodiscard]] ControlResult<std::vector<Token>> list_personal_tokens(OrgId org,
                                                                     state::Transaction& tx,
                                                                     const ControlPrincipal& who,
                                                                     TimestampMs now);

/// Whatever the person's role is by now. Errors: NotFound (also for somebody else's),
/// PermissionDenied (not a person).
[[nodiscard]] ControlResult<Token> revoke_personal_token(OrgId org, ControlChange& change,
                                                         std::string_view id);

struct PersonalToken {
  OrgId org;
  std::string id;
  std::string name;
};

/// All of a person's that are not revoked, in every organisation: they end with the person.
[[nodiscard]] Result<std::vector<PersonalToken>> find_personal_tokens(state::Transaction& tx,
                                                                      std::string_view user_id);

}  // namespace gantry::access
