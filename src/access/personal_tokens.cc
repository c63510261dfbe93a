#include "access/personal_tokens.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/core.h>

#include "access/control_rows_internal.h"
#include "access/policy_rules_internal.h"
#include "access/stacks.h"
#include "access/token_rows_internal.h"

namespace gantry::access {
namespace {

ControlResult<void> require_person(const ControlPrincipal& who) {
  if (who.actor.type == Actor::Type::User) return {};
  return refuse(Code::PermissionDenied, "personal tokens are for people who signed in");
}

ControlResult<void> require_role(const ControlPrincipal& who) {
  GANTRY_CHECK(require_person(who));
  if (who.role && *who.role >= Role::Editor) return {};
  return refuse(Code::PermissionDenied,
                "personal tokens need the role editor or admin in the organisation");
}

ControlResult<void> check_own(const ControlPrincipal& who, const std::vector<std::string>& scopes) {
  const ScopeSet own = personal_token_scopes(*who.role).common(who.scopes);
  for (const std::string& name : scopes) {
    const auto scope = parse_scope(name);
    if (!scope || !own.contains(*scope))
      return refuse(Code::PermissionDenied,
                    fmt::format("the scope {} is not one of your personal tokens'", name));
  }
  return {};
}

/// The person's built-in policy with these scopes and this realm, made when it is not there.
ControlResult<Policy> personal_policy(OrgId org, ControlChange& change, Policy wanted) {
  PageStart all;
  all.limit = std::numeric_limits<std::int64_t>::max();
  PolicyFilter filter;
  filter.owner = wanted.owner;
  GANTRY_TRY(const std::vector<Policy> existing, list_policies(org, change.tx(), filter, all));
  for (const Policy& policy : existing)
    if (policy.scopes == wanted.scopes && policy.realms == wanted.realms) return policy;
  GANTRY_CHECK(check_policy_limit(org, change));
  wanted.id = make_uuid();
  wanted.name = fmt::format("personal-{}", wanted.id);
  GANTRY_CHECK(insert_policy(change.tx(), wanted));
  return wanted;
}

}  // namespace

ScopeSet personal_token_scopes(Role role) {
  ScopeSet scopes;
  const ScopeSet of_role = role_scopes(role);
  for (std::size_t i = 0; i < kScopeCount; ++i) {
    const auto scope = static_cast<Scope>(i);
    // Others than admins read what they did themselves in the audit log; audit:read is all of it.
    if (scope == Scope::AuditRead && role != Role::Admin) continue;
    if (of_role.contains(scope)) scopes.add(scope);
  }
  return scopes;
}

ControlResult<IssuedToken> create_personal_token(OrgId org, ControlChange& change,
                                                 const PersonalTokenDraft& draft) {
  const ControlPrincipal& who = change.who();
  GANTRY_CHECK(require_role(who));
  std::vector<std::string> scopes = draft.scopes;
  std::ranges::sort(scopes);
  const auto [first, last] = std::ranges::unique(scopes);
  scopes.erase(first, last);
  std::vector<FieldProblem> problems;
  check_scopes(problems, scopes, change.plane().rules);
  if (!problems.empty()) return refuse_fields(std::move(problems));
  GANTRY_CHECK(check_own(who, scopes));
  Realm realm{.type = Realm::Type::Org, .identifier = org.value(), .label_policies = {}};
  if (!draft.stack.empty()) {
    const auto stack = read_stack(org, change.tx(), draft.stack);
    if (!stack && stack.error().code == Code::NotFound)
      return refuse_field("stack", "no stack has this id or slug");
    GANTRY_CHECK(stack);
    realm = {.type = Realm::Type::Stack, .identifier = stack->id.value(), .label_policies = {}};
  }
  GANTRY_TRY(Policy policy,
             personal_policy(org, change,
                             {.id = {},
                              .org = org,
                              .name = {},
                              .display_name = fmt::format("Personal tokens of {}", who.actor.name),
                              .scopes = std::move(scopes),
                              .realms = {std::move(realm)},
                              .allowed_subnets = {},
                              .attributes = "{}",
                              .is_active = true,
                              .is_system = true,
                              .owner = who.actor.id,
                              .created_at = change.now(),
                              .updated_at = change.now()}));
  // As the door will see it, so that the ceiling holds it to what binds the person.
  for (Realm& each : policy.realms)
    for (const Realm& own : who.realms) each.label_policies = own.label_policies;
  return issue_token(org, change,
                     {.policy = policy,
                      .name = draft.name,
                      .display_name = draft.display_name,
                      .kind = TokenKind::AccessPolicy,
                      .expires_at = draft.expires_at,
                      .zone = {}});
}

ControlResult<std::vector<Token>> list_personal_tokens(OrgId org, state::Transaction& tx,
                                                       const ControlPrincipal& who,
                                                       TimestampMs now) {
  GANTRY_CHECK(require_person(who));
  TokenFilter filter;
  filter.policy_owner = who.actor.id;
  filter.includes_expired = true;
  PageStart all;
  all.limit = std::numeric_limits<std::int64_t>::max();
  return list_tokens(org, tx, filter, all, now);
}

ControlResult<Token> revoke_personal_token(OrgId org, ControlChange& change, std::string_view id) {
  GANTRY_CHECK(require_person(change.who()));
  GANTRY_TRY(Token token, read_token(org, change.tx(), id, change.now()));
  GANTRY_TRY(const Policy policy, read_policy(org, change.tx(), token.policy_id));
  if (policy.owner != change.who().actor.id) return refuse(Code::NotFound, "no such token");
  return finish_revocation(org, change, std::move(token));
}

Result<std::vector<PersonalToken>> find_personal_tokens(state::Transaction& tx,
                                                        std::string_view user_id) {
  GANTRY_TRY(
      state::Statement select,
      tx.prepare("SELECT t.org_id, t.id, t.name FROM tokens t JOIN access_policies p ON p.id "
                 "= t.policy_id WHERE p.owner_user_id = ? AND t.revoked_at_ms IS NULL ORDER "
                 "BY t.created_at_ms, t.id"));
  select.bind(user_id);
  std::vector<PersonalToken> tokens;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return tokens;
    tokens.push_back({.org = OrgId(select.integer(0)),
                      .id = std::string(select.text(1)),
                      .name = std::string(select.text(2))});
  }
}

}  // namespace gantry::access
