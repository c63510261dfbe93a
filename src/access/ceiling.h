#pragma once

// The privilege ceiling: nobody hands on more than they have. Without it accesspolicies:write
// would be every scope.

#include <span>
#include <string>
#include <string_view>

#include "access/control.h"
#include "access/control_error.h"
#include "core/time.h"

namespace gantry::access {

/// What a policy grants.
struct Grantable {
  std::span<const std::string> scopes;  ///< Names that Gantry does not know grant nothing.
  std::span<const Realm> realms;        ///< With canonical selectors.
  std::span<const std::string> allowed_subnets;
};

/// Whether `who` may bring about a policy like this, or a token of it: every scope and realm is
/// theirs, no label policy or subnet that binds them is dropped. Super-admins and Gantry itself
/// have no ceiling. `realm_org`: of the stacks that `realms` names. Errors: PermissionDenied.
[[nodiscard]] ControlResult<void> check_ceiling(const ControlPrincipal& who, OrgId realm_org,
                                                const Grantable& granted);

/// What shows or changes things of a stack as a whole is for those who reach all of it. Errors:
/// PermissionDenied: the stack is not theirs, or a label policy shows them only a part of it.
[[nodiscard]] ControlResult<void> require_whole_stack(const ControlPrincipal& who, OrgId org,
                                                      StackId stack);

/// Policies and tokens are the organisation's: who reaches only some of its stacks may not touch
/// them. Errors: PermissionDenied.
[[nodiscard]] ControlResult<void> require_organisation_realm(const ControlPrincipal& who,
                                                             OrgId org);

/// Sessions: a token that can delete or administer needs a sign-in of the last ten minutes.
/// Errors: PermissionDenied.
[[nodiscard]] ControlResult<void> require_recent_sign_in(const ControlPrincipal& who,
                                                         std::span<const std::string> scopes,
                                                         TimestampMs now);

}  // namespace gantry::access
