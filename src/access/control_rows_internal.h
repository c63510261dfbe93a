#pragma once

// Rows of organisations, stacks and policies, for acts on more than one of them. Whoever inserts a
// row has checked it.

#include "access/organisations.h"
#include "access/policies.h"
#include "access/stacks.h"

namespace gantry::access {

/// Sets the id. Errors: AlreadyExists (slug).
[[nodiscard]] Result<void> insert_organisation(state::Transaction& tx, Organisation& organisation);

/// Takes the next instance id and sets it. Errors: AlreadyExists (slug).
[[nodiscard]] Result<void> insert_stack(state::Transaction& tx, Stack& stack);

/// With its scopes and realms. Errors: AlreadyExists (name).
[[nodiscard]] Result<void> insert_policy(state::Transaction& tx, const Policy& policy);

/// Errors: FailedPrecondition (access.policies_per_organisation_max).
[[nodiscard]] ControlResult<void> check_policy_limit(OrgId org, ControlChange& change);

/// With its tokens, and an audit event for each. System policies too.
[[nodiscard]] ControlResult<void> remove_policy(OrgId org, ControlChange& change,
                                                const Policy& policy);

}  // namespace gantry::access
