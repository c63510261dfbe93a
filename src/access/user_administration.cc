#include "access/user_administration.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "access/label_policy.h"
#include "access/one_time_secrets.h"
#include "access/personal_tokens.h"
#include "state/auth_epoch.h"

namespace gantry::access {
namespace {

constexpr std::size_t kTextBytesMax = 255;

bool is_subset(ScopeSet part, ScopeSet whole) {
  for (std::size_t i = 0; i < kScopeCount; ++i)
    if (part.contains(static_cast<Scope>(i)) && !whole.contains(static_cast<Scope>(i)))
      return false;
  return true;
}

bool holds_whole_organisation(const ControlPrincipal& who, OrgId org) {
  return std::ranges::any_of(who.realms, [&](const Realm& realm) {
    return realm.type == Realm::Type::Org && realm.identifier == org.value() &&
           !realm.label_policies;
  });
}

/// The highest role that `who` may give in the organisation; absent: none, and no say there.
std::optional<Role> ceiling(const ControlPrincipal& who, OrgId org) {
  if (who.is_super_admin) return Role::Admin;
  if (who.org != org || !holds_whole_organisation(who, org)) return std::nullopt;
  if (who.role) return *who.role == Role::Admin ? who.role : std::nullopt;
  if (who.actor.type != Actor::Type::Token || !who.scopes.contains(Scope::OrgsWrite))
    return std::nullopt;
  // A token gives no role that can do more than the token itself.
  for (const Role role : {Role::Admin, Role::Editor, Role::Viewer})
    if (is_subset(role_scopes(role), who.scopes)) return role;
  return std::nullopt;
}

bool may_list(const ControlPrincipal& who, OrgId org) {
  if (who.is_super_admin) return true;
  return who.org == org && who.scopes.contains(Scope::OrgsRead) &&
         (who.role != Role::Viewer || who.actor.type == Actor::Type::Token);
}

/// Over the account as a whole: that of somebody who is nothing elsewhere and no more than `who`
/// may make them.
bool may_administer(const ControlPrincipal& who, const Account& account) {
  if (who.is_super_admin) return true;
  if (account.user.is_super_admin || account.memberships.empty()) return false;
  return std::ranges::all_of(account.memberships, [&](const Membership& membership) {
    const auto highest = ceiling(who, membership.org);
    return highest && membership.role <= *highest;
  });
}

std::unexpected<Error> denied(std::string_view what) {
  return fail(Code::PermissionDenied, fmt::format("not allowed: {}", what));
}

std::unexpected<Error> no_such_user() {
  return fail(Code::NotFound, "no such user");
}

Result<void> check_text(std::string_view name, std::string_view text) {
  const bool is_plain = std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (text.size() <= kTextBytesMax && is_plain) return {};
  return fail(Code::InvalidArgument,
              fmt::format("{}: at most {} bytes without control characters", name, kTextBytesMax));
}

Result<void> check_label_policies(const Membership& membership) {
  if (!membership.label_policies) return {};
  if (membership.role == Role::Admin)
    return fail(Code::InvalidArgument, "labelPolicies: for viewers and editors only");
  GANTRY_TRY(const LabelPolicySet policies, LabelPolicySet::parse(*membership.label_policies));
  static_cast<void>(policies);
  return {};
}

Result<void> check_last_super_admin(state::Transaction& tx, const User& user,
                                    std::string_view what) {
  if (!user.is_super_admin || user.is_disabled) return {};
  GANTRY_TRY(const std::int64_t count, count_super_admins(tx));
  if (count > 1) return {};
  return fail(Code::FailedPrecondition, fmt::format("the last super-admin cannot be {}", what));
}

void note_change(AuditEvent& event, std::string field, std::string before, std::string after) {
  if (before != after)
    event.changes.push_back(
        {.field = std::move(field), .before = std::move(before), .after = std::move(after)});
}

std::string policies_text(const std::optional<std::vector<std::string>>& policies) {
  return policies ? fmt::format("{}", fmt::join(*policies, " or ")) : "";
}

std::string bool_text(bool value) {
  return value ? "true" : "false";
}

}  // namespace

Result<void> check_recent_sign_in(const ControlPrincipal& who, TimestampMs now,
                                  DurationMs age_max) {
  if (who.actor.type != Actor::Type::User) return {};
  if (now.since_epoch - who.authenticated_at_ms < age_max.count) return {};
  return fail(Code::PermissionDenied,
              fmt::format("sign in again to do this: the last sign-in is more than {} minutes ago",
                          age_max.count / 60'000));
}

AuditEvent UserAdministration::event(const ControlPrincipal& who, std::string name,
                                     const User& target) const {
  return {.event = std::move(name),
          .actor = who.actor,
          .target = {.type = "user", .id = target.id, .name = target.login},
          .client = who.client,
          .session_hash = who.session_hash};
}

Result<void> UserAdministration::commit(state::Transaction& tx, const AuditEvent& event) {
  GANTRY_CHECK(parts_.audit.append(tx, event));
  GANTRY_CHECK(state::bump_auth_epoch(tx, parts_.clock.now()));
  GANTRY_CHECK(tx.commit());
  parts_.sessions.forget_all();
  return {};
}

Result<Account> UserAdministration::load(state::Transaction& tx, std::string_view user_id) const {
  GANTRY_TRY(std::optional<User> user, find_user(tx, user_id));
  if (!user) return no_such_user();
  GANTRY_TRY(std::vector<Membership> memberships, list_memberships(tx, user_id));
  return Account{.user = *std::move(user), .memberships = std::move(memberships)};
}

/// For acts on the whole account. Whoever may not even see it is told that it does not exist.
Result<Account> UserAdministration::load_administered(state::Transaction& tx,
                                                      const ControlPrincipal& who,
                                                      std::string_view user_id) const {
  GANTRY_CHECK(check_recent_sign_in(who, parts_.clock.now(), options_.admin_sign_in_age_max));
  GANTRY_TRY(Account account, load(tx, user_id));
  if (may_administer(who, account)) return account;
  const bool is_seen = std::ranges::any_of(
      account.memberships, [&](const Membership& m) { return may_list(who, m.org); });
  if (!is_seen) return no_such_user();
  return denied("the account belongs to other organisations too, or to somebody of a higher role");
}

Result<std::vector<User>> UserAdministration::list(const ControlPrincipal& who,
                                                   UserQuery query) const {
  if (!query.org && !who.is_super_admin) query.org = who.org;
  if (query.org && !may_list(who, *query.org)) return denied("listing users needs the role admin");
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
  return list_users(tx, query);
}

Result<Account> UserAdministration::find(const ControlPrincipal& who,
                                         std::string_view user_id) const {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
  GANTRY_TRY(Account account, load(tx, user_id));
  if (who.is_super_admin || who.actor.id == user_id) return account;
  // Others see the person as far as their own organisation goes.
  std::erase_if(account.memberships, [&](const Membership& m) { return !may_list(who, m.org); });
  if (account.memberships.empty()) return no_such_user();
  return account;
}

Result<Account> UserAdministration::find_by_login(const ControlPrincipal& who,
                                                  std::string_view login) const {
  std::optional<User> user;
  {
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
    GANTRY_TRY(user, find_user_by_login(tx, login));
    if (!user) {
      GANTRY_TRY(user, find_user_by_email(tx, login));
    }
  }
  if (!user) return no_such_user();
  return find(who, user->id);
}

Result<OrgId> UserAdministration::find_organisation(std::string_view slug_or_id) const {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
  GANTRY_TRY(const std::optional<OrgId> org, access::find_organisation(tx, slug_or_id));
  if (!org) return fail(Code::NotFound, "no such organisation");
  return *org;
}

Result<Account> UserAdministration::add(const ControlPrincipal& who, const NewAccount& account) {
  const TimestampMs now = parts_.clock.now();
  GANTRY_CHECK(check_recent_sign_in(who, now, options_.admin_sign_in_age_max));
  if (account.is_super_admin || !account.org) {
    if (!who.is_super_admin)
      return denied("only a super-admin adds people outside an organisation");
    GANTRY_CHECK(check_recent_sign_in(who, now, options_.role_sign_in_age_max));
  }
  if (account.org) {
    const auto highest = ceiling(who, *account.org);
    if (!highest || account.role > *highest) return denied("the role is higher than your own");
  }
  GANTRY_CHECK(check_text("name", account.name));
  GANTRY_CHECK(check_text("email", account.email));
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(const std::string id, add_user(tx,
                                            {.login = account.login,
                                             .name = account.name,
                                             .email = account.email,
                                             .is_super_admin = account.is_super_admin},
                                            now));
  if (account.org) {
    GANTRY_TRY(const bool exists, has_organisation(tx, *account.org));
    if (!exists) return fail(Code::NotFound, "no such organisation");
    GANTRY_CHECK(access::set_membership(tx, id, {.org = *account.org, .role = account.role}));
  }
  GANTRY_TRY(Account added, load(tx, id));
  AuditEvent created = event(who, "user.created", added.user);
  created.org = account.org;
  note_change(created, "login", "", added.user.login);
  if (account.org) note_change(created, "role", "", std::string(role_name(account.role)));
  note_change(created, "isGrafanaAdmin", "false", bool_text(account.is_super_admin));
  GANTRY_CHECK(commit(tx, created));
  return added;
}

Result<Account> UserAdministration::change(const ControlPrincipal& who, std::string_view user_id,
                                           const AccountChange& change) {
  const TimestampMs now = parts_.clock.now();
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(Account account, load_administered(tx, who, user_id));
  const User before = account.user;
  User& after = account.user;
  after.login = change.login.value_or(before.login);
  after.name = change.name.value_or(before.name);
  after.email = change.email.value_or(before.email);
  after.is_disabled = change.is_disabled.value_or(before.is_disabled);
  after.is_super_admin = change.is_super_admin.value_or(before.is_super_admin);
  GANTRY_CHECK(check_text("name", after.name));
  GANTRY_CHECK(check_text("email", after.email));
  if (after.is_super_admin != before.is_super_admin) {
    if (!who.is_super_admin) return denied("only a super-admin makes or unmakes super-admins");
    GANTRY_CHECK(check_recent_sign_in(who, now, options_.role_sign_in_age_max));
  }
  const bool is_reduced = (after.is_disabled && !before.is_disabled) ||
                          (!after.is_super_admin && before.is_super_admin);
  if (is_reduced)
    GANTRY_CHECK(check_last_super_admin(
        tx, before, after.is_disabled && !before.is_disabled ? "disabled" : "demoted"));
  GANTRY_CHECK(update_user(tx, after, now));
  if (is_reduced) {
    GANTRY_TRY(const std::int64_t ended, remove_sessions(tx, user_id, {}));
    GANTRY_CHECK(remove_one_time_secrets(tx, "password", user_id));
    static_cast<void>(ended);
  } else if (after.is_super_admin && !before.is_super_admin) {
    GANTRY_CHECK(make_rotation_due(tx, user_id));
  }
  AuditEvent changed = event(
      who, after.is_disabled && !before.is_disabled ? "user.disabled" : "user.updated", after);
  note_change(changed, "login", before.login, after.login);
  note_change(changed, "name", before.name, after.name);
  note_change(changed, "email", before.email, after.email);
  note_change(changed, "isDisabled", bool_text(before.is_disabled), bool_text(after.is_disabled));
  note_change(changed, "isGrafanaAdmin", bool_text(before.is_super_admin),
              bool_text(after.is_super_admin));
  GANTRY_CHECK(commit(tx, changed));
  return account;
}

Result<void> UserAdministration::remove(const ControlPrincipal& who, std::string_view user_id) {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(const Account account, load_administered(tx, who, user_id));
  GANTRY_CHECK(check_last_super_admin(tx, account.user, "deleted"));
  GANTRY_TRY(const std::vector<PersonalToken> tokens, find_personal_tokens(tx, user_id));
  for (const PersonalToken& token : tokens) {
    AuditEvent revoked = event(who, "token.revoked", account.user);
    revoked.org = token.org;
    revoked.target = {.type = "token", .id = token.id, .name = token.name};
    revoked.reason = "user deleted";
    GANTRY_CHECK(parts_.audit.append(tx, revoked));
  }
  GANTRY_CHECK(remove_user(tx, user_id));
  return commit(tx, event(who, "user.deleted", account.user));
}

Result<PasswordLink> UserAdministration::make_password_link(const ControlPrincipal& who,
                                                            std::string_view user_id) {
  const TimestampMs now = parts_.clock.now();
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(const Account account, load_administered(tx, who, user_id));
  if (account.user.is_disabled) return fail(Code::FailedPrecondition, "the user is disabled");
  GANTRY_CHECK(remove_one_time_secrets(tx, "password", user_id));
  PasswordLink link{.secret = {}, .expires_at = now + options_.link_life};
  GANTRY_TRY(link.secret, add_one_time_secret(tx, parts_.hasher,
                                              {.purpose = "password",
                                               .user_id = account.user.id,
                                               .payload = "{}",
                                               .expires_at = link.expires_at},
                                              now));
  GANTRY_CHECK(commit(tx, event(who, "password.reset_requested", account.user)));
  return link;
}

Result<std::vector<SessionRow>> UserAdministration::list_sessions(const ControlPrincipal& who,
                                                                  std::string_view user_id) const {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
  if (who.actor.id != user_id) GANTRY_CHECK(load_administered(tx, who, user_id));
  return access::list_sessions(tx, user_id);
}

Result<void> UserAdministration::end_sessions(const ControlPrincipal& who, std::string_view user_id,
                                              std::string_view family_id) {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  Account account;
  if (who.actor.type == Actor::Type::User && who.actor.id == user_id) {
    GANTRY_TRY(account, load(tx, user_id));
  } else {
    GANTRY_TRY(account, load_administered(tx, who, user_id));
  }
  if (family_id.empty()) {
    GANTRY_TRY(const std::int64_t ended, remove_sessions(tx, user_id, {}));
    static_cast<void>(ended);
  } else {
    GANTRY_TRY(const std::vector<SessionRow> sessions, access::list_sessions(tx, user_id));
    if (std::ranges::find(sessions, family_id, &SessionRow::family_id) == sessions.end())
      return fail(Code::NotFound, "no such session");
    GANTRY_CHECK(remove_family(tx, family_id));
  }
  AuditEvent revoked = event(who, "session.revoked", account.user);
  revoked.reason = family_id.empty() ? "all" : std::string(family_id);
  return commit(tx, revoked);
}

Result<std::vector<Member>> UserAdministration::list_members(const ControlPrincipal& who,
                                                             OrgId org) const {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
  GANTRY_TRY(const bool exists, has_organisation(tx, org));
  if (!exists || (who.org != org && !who.is_super_admin))
    return fail(Code::NotFound, "no such organisation");
  if (!may_list(who, org)) return denied("listing members needs the role editor");
  return access::list_members(tx, org);
}

Result<void> UserAdministration::set_member(const ControlPrincipal& who, std::string_view user_id,
                                            const Membership& membership) {
  GANTRY_CHECK(check_recent_sign_in(who, parts_.clock.now(), options_.role_sign_in_age_max));
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(const bool exists, has_organisation(tx, membership.org));
  if (!exists || (who.org != membership.org && !who.is_super_admin))
    return fail(Code::NotFound, "no such organisation");
  const auto highest = ceiling(who, membership.org);
  if (!highest) return denied("changing members needs the role admin");
  GANTRY_TRY(const Account account, load(tx, user_id));
  const auto current = std::ranges::find(account.memberships, membership.org, &Membership::org);
  const bool is_member = current != account.memberships.end();
  if (membership.role > *highest || (is_member && current->role > *highest))
    return denied("the role is higher than your own");
  GANTRY_CHECK(check_label_policies(membership));
  const bool is_raised = !is_member || membership.role > current->role ||
                         (current->label_policies && !membership.label_policies);
  if (is_raised && who.actor.id == user_id) return denied("nobody raises their own role");
  GANTRY_CHECK(access::set_membership(tx, user_id, membership));
  const bool is_reduced =
      is_member &&
      (membership.role < current->role ||
       (membership.label_policies && membership.label_policies != current->label_policies));
  if (is_reduced) {
    GANTRY_TRY(const std::int64_t ended, remove_sessions(tx, user_id, {}));
    static_cast<void>(ended);
  } else {
    GANTRY_CHECK(make_rotation_due(tx, user_id));
  }
  AuditEvent changed = event(who, is_member ? "member.role_changed" : "member.added", account.user);
  changed.org = membership.org;
  note_change(changed, "role", is_member ? std::string(role_name(current->role)) : "",
              std::string(role_name(membership.role)));
  note_change(changed, "labelPolicies", is_member ? policies_text(current->label_policies) : "",
              policies_text(membership.label_policies));
  return commit(tx, changed);
}

Result<void> UserAdministration::set_member_by_login(const ControlPrincipal& who,
                                                     std::string_view login,
                                                     const Membership& membership) {
  // Before the look-up: who may not add anybody learns nothing of who exists.
  if (!ceiling(who, membership.org)) return denied("changing members needs the role admin");
  std::optional<User> user;
  {
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
    GANTRY_TRY(user, find_user_by_login(tx, login));
    if (!user) {
      GANTRY_TRY(user, find_user_by_email(tx, login));
    }
  }
  if (!user) return no_such_user();
  return set_member(who, user->id, membership);
}

Result<void> UserAdministration::remove_member(const ControlPrincipal& who,
                                               std::string_view user_id, OrgId org) {
  GANTRY_CHECK(check_recent_sign_in(who, parts_.clock.now(), options_.role_sign_in_age_max));
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  const auto highest = ceiling(who, org);
  if (!highest) return fail(Code::NotFound, "no such organisation");
  GANTRY_TRY(const Account account, load(tx, user_id));
  const auto current = std::ranges::find(account.memberships, org, &Membership::org);
  if (current == account.memberships.end()) return no_such_user();
  if (current->role > *highest) return denied("the role is higher than your own");
  GANTRY_CHECK(remove_membership(tx, user_id, org));
  GANTRY_TRY(const std::int64_t ended, remove_sessions(tx, user_id, {}));
  static_cast<void>(ended);
  AuditEvent removed = event(who, "member.removed", account.user);
  removed.org = org;
  note_change(removed, "role", std::string(role_name(current->role)), "");
  return commit(tx, removed);
}

}  // namespace gantry::access
