#include "access/oidc_roles.h"

#include <algorithm>
#include <utility>

#include "core/log.h"

namespace gantry::access {
namespace {

AuditEvent event_about(std::string name, const User& user) {
  return {.event = std::move(name),
          .actor = {.type = Actor::Type::System, .name = "oidc"},
          .target = {.type = "user", .id = user.id, .name = user.login}};
}

AuditEvent member_event(std::string name, const User& user, OrgId org, std::string_view before,
                        std::string_view after) {
  AuditEvent event = event_about(std::move(name), user);
  event.org = org;
  event.changes.push_back(
      {.field = "role", .before = std::string(before), .after = std::string(after)});
  event.reason = "groups of the OpenID provider";
  return event;
}

/// One organisation that the rules name. `wanted`: absent when no rule matches any more.
Result<void> apply_to_organisation(state::Transaction& tx, const User& user, OrgId org,
                                   std::optional<Role> wanted,
                                   std::span<const Membership> memberships, RoleOutcome& outcome) {
  const auto current = std::ranges::find(memberships, org, &Membership::org);
  const bool is_member = current != memberships.end();
  if (!wanted) {
    if (!is_member) return {};
    outcome.is_reduced = true;
    outcome.events.push_back(
        member_event("member.removed", user, org, role_name(current->role), ""));
    return remove_membership(tx, user.id, org);
  }
  if (is_member && current->role == *wanted) return {};
  Membership next = is_member ? *current : Membership{.org = org};
  next.role = *wanted;
  if (is_member && *wanted < current->role) outcome.is_reduced = true;
  outcome.events.push_back(member_event(is_member ? "member.role_changed" : "member.added", user,
                                        org, is_member ? role_name(current->role) : "",
                                        role_name(*wanted)));
  return set_membership(tx, user.id, next);
}

Result<void> apply_super_admin(state::Transaction& tx, const User& user, bool is_wanted,
                               TimestampMs now, RoleOutcome& outcome) {
  if (user.is_super_admin == is_wanted) return {};
  if (!is_wanted) {
    GANTRY_TRY(const std::int64_t count, count_super_admins(tx));
    if (count <= 1) {
      log::warn("the last super-admin stays one, though no longer in the provider's group",
                {{"login", user.login}});
      return {};
    }
    outcome.is_reduced = true;
  }
  User changed = user;
  changed.is_super_admin = is_wanted;
  AuditEvent event = event_about("user.updated", user);
  event.changes.push_back({.field = "isGrafanaAdmin",
                           .before = is_wanted ? "false" : "true",
                           .after = is_wanted ? "true" : "false"});
  event.reason = "groups of the OpenID provider";
  outcome.events.push_back(std::move(event));
  return update_user(tx, changed, now);
}

}  // namespace

std::vector<GroupRule> match_group_rules(std::span<const GroupRule> rules,
                                         std::span<const std::string> groups) {
  std::vector<GroupRule> best;
  for (const GroupRule& rule : rules) {
    if (rule.group != "*" && std::ranges::find(groups, rule.group) == groups.end()) continue;
    const auto same = std::ranges::find(best, rule.organisation, &GroupRule::organisation);
    if (same == best.end())
      best.push_back(rule);
    else if (rule.role > same->role)
      *same = rule;
  }
  return best;
}

Result<RoleOutcome> apply_groups(state::Transaction& tx, const User& user,
                                 const OidcSettings& settings, std::span<const std::string> groups,
                                 TimestampMs now) {
  RoleOutcome outcome;
  const std::vector<GroupRule> matched = match_group_rules(settings.rules, groups);
  GANTRY_TRY(const std::vector<Membership> memberships, list_memberships(tx, user.id));
  std::vector<std::string> named;
  for (const GroupRule& rule : settings.rules)
    if (std::ranges::find(named, rule.organisation) == named.end())
      named.push_back(rule.organisation);
  for (const std::string& slug : named) {
    GANTRY_TRY(const std::optional<OrgId> org, find_organisation(tx, slug));
    if (!org) {
      log::warn("a rule of oidc.group_rules names no organisation", {{"organisation", slug}});
      continue;
    }
    const auto rule = std::ranges::find(matched, slug, &GroupRule::organisation);
    GANTRY_CHECK(apply_to_organisation(
        tx, user, *org, rule == matched.end() ? std::nullopt : std::optional(rule->role),
        memberships, outcome));
    if (rule != matched.end()) outcome.has_role = true;
  }
  bool is_super_admin = user.is_super_admin;
  if (!settings.super_admin_group.empty()) {
    is_super_admin = std::ranges::find(groups, settings.super_admin_group) != groups.end();
    GANTRY_CHECK(apply_super_admin(tx, user, is_super_admin, now, outcome));
  }
  outcome.has_role = outcome.has_role || is_super_admin;
  return outcome;
}

}  // namespace gantry::access
