#pragma once

// Who may add, change and remove people, and what follows from it: sessions end, the audit log has
// it. Acts are for super-admins, for admins of an organisation within it, and for tokens with
// orgs:write within theirs; nobody gives more than they have, nobody raises themselves, and the
// last super-admin stays.
//
// Errors of all: PermissionDenied, NotFound (also for what the caller may not see),
// InvalidArgument, AlreadyExists, FailedPrecondition (the last super-admin), Unavailable and
// Internal.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/control.h"
#include "access/sessions.h"
#include "access/token.h"
#include "access/users.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

struct Account {
  User user;
  std::vector<Membership> memberships;
};

struct NewAccount {
  std::string login;
  std::string name;
  std::string email;
  std::optional<OrgId> org;  ///< Of which the person becomes a member; needed unless super-admin.
  Role role = Role::Viewer;
  bool is_super_admin = false;
};

/// Absent: as it is.
struct AccountChange {
  std::optional<std::string> login;
  std::optional<std::string> name;
  std::optional<std::string> email;
  std::optional<bool> is_disabled;
  std::optional<bool> is_super_admin;
};

/// A way to set a password, to be given to the person.
struct PasswordLink {
  std::string secret;
  TimestampMs expires_at;
};

/// May the session that authenticated then still do what wants a recent sign-in? Tokens may.
/// Errors: PermissionDenied.
[[nodiscard]] Result<void> check_recent_sign_in(const ControlPrincipal& who, TimestampMs now,
                                                DurationMs age_max);

/// Thread-safe.
class UserAdministration {
 public:
  struct Options {
    DurationMs link_life{std::int64_t{24} * 3600 * 1000};
    DurationMs admin_sign_in_age_max{std::int64_t{12} * 3600 * 1000};  ///< For every act.
    DurationMs role_sign_in_age_max{std::int64_t{10} * 60 * 1000};     ///< For changes of roles.
  };

  /// All must outlive it.
  struct Parts {
    state::Db& db;
    Sessions& sessions;
    const TokenHasher& hasher;
    AuditLog& audit;
    const Clock& clock;
  };

  UserAdministration(const Parts& parts, Options options) : parts_(parts), options_(options) {}

  /// Those whom the caller may see: everybody for super-admins, else the members of `query.org` or
  /// of the caller's organisation.
  [[nodiscard]] Result<std::vector<User>> list(const ControlPrincipal& who, UserQuery query) const;
  [[nodiscard]] Result<Account> find(const ControlPrincipal& who, std::string_view user_id) const;
  [[nodiscard]] Result<Account> find_by_login(const ControlPrincipal& who,
                                              std::string_view login) const;

  /// By id or slug; whether the caller may see it is for the acts to say.
  [[nodiscard]] Result<OrgId> find_organisation(std::string_view slug_or_id) const;

  /// The new person has no password: hand them a link.
  Result<Account> add(const ControlPrincipal& who, const NewAccount& account);
  Result<Account> change(const ControlPrincipal& who, std::string_view user_id,
                         const AccountChange& change);
  Result<void> remove(const ControlPrincipal& who, std::string_view user_id);

  /// Earlier links of the person stop working.
  Result<PasswordLink> make_password_link(const ControlPrincipal& who, std::string_view user_id);

  [[nodiscard]] Result<std::vector<SessionRow>> list_sessions(const ControlPrincipal& who,
                                                              std::string_view user_id) const;

  /// One family, or all ("").
  Result<void> end_sessions(const ControlPrincipal& who, std::string_view user_id,
                            std::string_view family_id);

  [[nodiscard]] Result<std::vector<Member>> list_members(const ControlPrincipal& who,
                                                         OrgId org) const;

  /// Adds a person, or changes role and label policies. Label policies are for viewers and editors.
  Result<void> set_member(const ControlPrincipal& who, std::string_view user_id,
                          const Membership& membership);

  /// As set_member, for whom the caller knows by login or e-mail address only.
  Result<void> set_member_by_login(const ControlPrincipal& who, std::string_view login,
                                   const Membership& membership);
  Result<void> remove_member(const ControlPrincipal& who, std::string_view user_id, OrgId org);

 private:
  Result<Account> load(state::Transaction& tx, std::string_view user_id) const;
  Result<Account> load_administered(state::Transaction& tx, const ControlPrincipal& who,
                                    std::string_view user_id) const;
  [[nodiscard]] AuditEvent event(const ControlPrincipal& who, std::string name,
                                 const User& target) const;
  Result<void> commit(state::Transaction& tx, const AuditEvent& event);

  Parts parts_;
  Options options_;
};

}  // namespace gantry::access
