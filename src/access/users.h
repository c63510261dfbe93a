#pragma once

// People and their places in organisations, as rows. Who may change what is decided by
// UserAdministration; this only keeps.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control.h"
#include "access/principal.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

struct User {
  std::string id;
  std::string login;
  std::string name;
  std::string email;
  std::string password_hash;  ///< "" for who signs in elsewhere only.
  bool is_super_admin = false;
  bool is_disabled = false;
  TimestampMs created_at;
  TimestampMs updated_at;
  std::optional<TimestampMs> password_changed_at;
  std::optional<TimestampMs> last_login_at;
};

/// A person's place in one organisation.
struct Membership {
  OrgId org;
  std::string org_slug;
  std::string org_name;
  Role role = Role::Viewer;
  /// Selectors of which any one must hold for what the person reads; absent: all.
  std::optional<std::vector<std::string>> label_policies;

  friend bool operator==(const Membership&, const Membership&) = default;
};

struct Member {
  User user;
  Membership membership;
};

struct NewUser {
  std::string_view login;
  std::string_view name;
  std::string_view email;
  std::string_view password_hash;  ///< "" for none.
  bool is_super_admin = false;
};

struct UserQuery {
  std::optional<OrgId> org;  ///< Absent: of every organisation and of none.
  std::string text;          ///< Part of the login, name or e-mail address; "" for all.
  std::string after_login;   ///< For the next page.
  std::size_t limit = 1000;
};

/// 1 to 190 bytes of UTF-8 without control characters, spaces at the ends, or '|'. Logins compare
/// without (ASCII) case.
[[nodiscard]] Result<void> check_login(std::string_view login);

// Each works in the caller's transaction, so that what belongs together commits together.

[[nodiscard]] Result<std::optional<User>> find_user(state::Transaction& tx, std::string_view id);
[[nodiscard]] Result<std::optional<User>> find_user_by_login(state::Transaction& tx,
                                                             std::string_view login);
/// Absent too when several people share the address.
[[nodiscard]] Result<std::optional<User>> find_user_by_email(state::Transaction& tx,
                                                             std::string_view email);

/// Ascending by login.
[[nodiscard]] Result<std::vector<User>> list_users(state::Transaction& tx, const UserQuery& query);

/// Ascending by organisation.
[[nodiscard]] Result<std::vector<Membership>> list_memberships(state::Transaction& tx,
                                                               std::string_view user_id);

/// Ascending by login.
[[nodiscard]] Result<std::vector<Member>> list_members(state::Transaction& tx, OrgId org);

/// Of those who are not disabled.
[[nodiscard]] Result<std::int64_t> count_super_admins(state::Transaction& tx);

[[nodiscard]] Result<bool> has_organisation(state::Transaction& tx, OrgId org);

/// By decimal id or by slug.
[[nodiscard]] Result<std::optional<OrgId>> find_organisation(state::Transaction& tx,
                                                             std::string_view slug_or_id);

/// Returns the id. Errors: AlreadyExists (login), InvalidArgument (login).
Result<std::string> add_user(state::Transaction& tx, const NewUser& user, TimestampMs now);

/// Writes login, name, email, is_super_admin and is_disabled. Errors: as add_user.
Result<void> update_user(state::Transaction& tx, const User& user, TimestampMs now);

Result<void> set_password_hash(state::Transaction& tx, std::string_view user_id,
                               std::string_view hash, TimestampMs now);
Result<void> record_login(state::Transaction& tx, std::string_view user_id, TimestampMs now);

/// With memberships, identities, sessions and links.
Result<void> remove_user(state::Transaction& tx, std::string_view user_id);

/// Adds or replaces.
Result<void> set_membership(state::Transaction& tx, std::string_view user_id,
                            const Membership& membership);
Result<void> remove_membership(state::Transaction& tx, std::string_view user_id, OrgId org);

/// Who a person is at an OpenID provider.
[[nodiscard]] Result<std::optional<std::string>> find_identity(state::Transaction& tx,
                                                               std::string_view issuer,
                                                               std::string_view subject);

/// Errors: AlreadyExists (another person has it).
Result<void> add_identity(state::Transaction& tx, std::string_view issuer, std::string_view subject,
                          std::string_view user_id, TimestampMs now);

}  // namespace gantry::access
