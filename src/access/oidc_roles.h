#pragma once

// From the groups that a provider names to roles here. Applied at each sign-in: organisations that
// the rules name follow the provider, others stay as they are.

#include <span>
#include <string>
#include <vector>

#include "access/audit.h"
#include "access/oidc_provider.h"
#include "access/users.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

/// The highest role of each organisation for somebody of these groups.
[[nodiscard]] std::vector<GroupRule> match_group_rules(std::span<const GroupRule> rules,
                                                       std::span<const std::string> groups);

struct RoleOutcome {
  std::vector<AuditEvent>
      events;               ///< member.added, member.role_changed, … with target and changes.
  bool is_reduced = false;  ///< Some right went: other sessions must end.
  bool has_role = false;    ///< In any organisation, or super-admin.
};

/// Writes memberships and, with `super_admin_group`, the super-admin mark; the last super-admin
/// keeps it. Rules for organisations that do not exist are passed over.
[[nodiscard]] Result<RoleOutcome> apply_groups(state::Transaction& tx, const User& user,
                                               const OidcSettings& settings,
                                               std::span<const std::string> groups,
                                               TimestampMs now);

}  // namespace gantry::access
