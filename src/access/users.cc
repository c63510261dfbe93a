#include "access/users.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "access/token.h"
#include "core/utf8.h"

namespace gantry::access {
namespace {

constexpr std::size_t kLoginBytesMax = 190;

#define GANTRY_USER_COLUMNS                                                            \
  "u.id, u.login, u.name, u.email, u.password_hash, u.is_super_admin, u.is_disabled, " \
  "u.created_at_ms, u.updated_at_ms, u.password_changed_at_ms, u.last_login_at_ms"
constexpr int kUserColumnCount = 11;

std::optional<TimestampMs> optional_time(const state::Statement& row, int column) {
  const auto value = row.optional_integer(column);
  if (!value) return std::nullopt;
  return TimestampMs{*value};
}

User user_of(const state::Statement& row) {
  return {.id = std::string(row.text(0)),
          .login = std::string(row.text(1)),
          .name = std::string(row.text(2)),
          .email = std::string(row.text(3)),
          .password_hash = std::string(row.text(4)),
          .is_super_admin = row.integer(5) == 1,
          .is_disabled = row.integer(6) == 1,
          .created_at = {row.integer(7)},
          .updated_at = {row.integer(8)},
          .password_changed_at = optional_time(row, 9),
          .last_login_at = optional_time(row, 10)};
}

/// Columns org_id, slug, name, role, label_policies from `first` on.
Membership membership_of(const state::Statement& row, int first) {
  Membership membership{.org = OrgId(row.integer(first)),
                        .org_slug = std::string(row.text(first + 1)),
                        .org_name = std::string(row.text(first + 2))};
  const auto role = parse_role(row.text(first + 3));
  GANTRY_ASSERT(role, "the schema checks the role");
  membership.role = *role;
  if (row.is_null(first + 4)) return membership;
  // A list that cannot be read shows nothing rather than everything.
  membership.label_policies.emplace();
  const auto json = nlohmann::json::parse(row.text(first + 4), nullptr, false);
  if (!json.is_array()) return membership;
  for (const auto& selector : json)
    if (selector.is_string()) membership.label_policies->push_back(selector.get<std::string>());
  return membership;
}

Result<std::optional<User>> read_one(state::Statement& select) {
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return user_of(select);
}

/// For LIKE … ESCAPE '\'.
std::string containing(std::string_view text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return pattern + "%";
}

Error login_error(const Error& error, std::string_view login) {
  if (error.code != Code::AlreadyExists) return error;
  return {.code = Code::AlreadyExists,
          .message = fmt::format("there is a user \"{}\" already", login)};
}

/// The column is unique with case; people are without.
Result<void> check_login_is_free(state::Transaction& tx, std::string_view login,
                                 std::string_view user_id) {
  GANTRY_CHECK(check_login(login));
  GANTRY_TRY(const std::optional<User> other, find_user_by_login(tx, login));
  if (!other || other->id == user_id) return {};
  return fail(Code::AlreadyExists, fmt::format("there is a user \"{}\" already", login));
}

}  // namespace

Result<void> check_login(std::string_view login) {
  const bool is_plain = std::ranges::none_of(login, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f || c == '|';
  });
  if (login.empty() || login.size() > kLoginBytesMax || !is_plain || !core::is_valid_utf8(login) ||
      login.front() == ' ' || login.back() == ' ')
    return fail(Code::InvalidArgument,
                fmt::format("a login has 1 to {} bytes of text, without '|' and without spaces at "
                            "its ends",
                            kLoginBytesMax));
  return {};
}

Result<std::optional<User>> find_user(state::Transaction& tx, std::string_view id) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT " GANTRY_USER_COLUMNS " FROM users u WHERE u.id = ?"));
  select.bind(id);
  return read_one(select);
}

Result<std::optional<User>> find_user_by_login(state::Transaction& tx, std::string_view login) {
  // The exact one first: older databases may hold two that differ in case only.
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT " GANTRY_USER_COLUMNS
                        " FROM users u WHERE lower(u.login) = lower(CAST(? AS TEXT)) ORDER BY "
                        "CASE WHEN u.login = ? THEN 0 ELSE 1 END, u.id LIMIT 1"));
  select.bind(login).bind(login);
  return read_one(select);
}

Result<std::optional<User>> find_user_by_email(state::Transaction& tx, std::string_view email) {
  if (email.empty()) return std::nullopt;
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT " GANTRY_USER_COLUMNS
                        " FROM users u WHERE lower(u.email) = lower(CAST(? AS TEXT)) LIMIT 2"));
  select.bind(email);
  GANTRY_TRY(std::optional<User> first, read_one(select));
  if (!first) return std::nullopt;
  GANTRY_TRY(const bool has_second, select.step());
  if (has_second) return std::nullopt;
  return first;
}

Result<std::vector<User>> list_users(state::Transaction& tx, const UserQuery& query) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT " GANTRY_USER_COLUMNS
                        " FROM users u WHERE u.login > ? AND (CAST(? AS BIGINT) IS NULL OR EXISTS "
                        "(SELECT 1 FROM memberships m WHERE m.user_id = u.id AND m.org_id = ?)) "
                        "AND (lower(u.login) LIKE ? ESCAPE '\\' OR lower(u.name) LIKE ? ESCAPE "
                        "'\\' OR lower(u.email) LIKE ? ESCAPE '\\') ORDER BY u.login LIMIT ?"));
  const std::optional<std::int64_t> org =
      query.org ? std::optional(query.org->value()) : std::nullopt;
  const std::string pattern = containing(query.text);
  select.bind(query.after_login).bind(org).bind(org);
  select.bind(pattern).bind(pattern).bind(pattern).bind(query.limit);
  std::vector<User> users;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return users;
    users.push_back(user_of(select));
  }
}

Result<std::vector<Membership>> list_memberships(state::Transaction& tx, std::string_view user_id) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT m.org_id, o.slug, o.name, m.role, m.label_policies FROM "
                        "memberships m JOIN organisations o ON o.id = m.org_id WHERE m.user_id = ? "
                        "ORDER BY m.org_id"));
  select.bind(user_id);
  std::vector<Membership> memberships;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return memberships;
    memberships.push_back(membership_of(select, 0));
  }
}

Result<std::vector<Member>> list_members(state::Transaction& tx, OrgId org) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT " GANTRY_USER_COLUMNS
                        ", m.org_id, o.slug, o.name, m.role, m.label_policies FROM memberships m "
                        "JOIN users u ON u.id = m.user_id JOIN organisations o ON o.id = m.org_id "
                        "WHERE m.org_id = ? ORDER BY u.login"));
  select.bind(org.value());
  std::vector<Member> members;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return members;
    members.push_back(
        {.user = user_of(select), .membership = membership_of(select, kUserColumnCount)});
  }
}

Result<std::int64_t> count_super_admins(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT count(*) FROM users WHERE is_super_admin = 1 AND is_disabled = 0"));
  GANTRY_TRY(const bool has_row, select.step());
  return has_row ? select.integer(0) : 0;
}

Result<bool> has_organisation(state::Transaction& tx, OrgId org) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT 1 FROM organisations WHERE id = ? AND deleted_at_ms IS NULL"));
  select.bind(org.value());
  return select.step();
}

Result<std::optional<OrgId>> find_organisation(state::Transaction& tx,
                                               std::string_view slug_or_id) {
  std::int64_t id = 0;
  const char* const end = slug_or_id.data() + slug_or_id.size();
  const auto [last, error] = std::from_chars(slug_or_id.data(), end, id);
  if (error != std::errc() || last != end) id = 0;  // no organisation has it
  GANTRY_TRY(
      state::Statement select,
      tx.prepare("SELECT id FROM organisations WHERE (slug = ? OR id = ?) AND deleted_at_ms IS "
                 "NULL ORDER BY CASE WHEN slug = ? THEN 0 ELSE 1 END LIMIT 1"));
  select.bind(slug_or_id).bind(id).bind(slug_or_id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return OrgId(select.integer(0));
}

Result<std::string> add_user(state::Transaction& tx, const NewUser& user, TimestampMs now) {
  GANTRY_CHECK(check_login_is_free(tx, user.login, {}));
  std::string id = make_uuid();
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO users (id, login, name, email, password_hash, is_super_admin, "
                        "created_at_ms, updated_at_ms, password_changed_at_ms) VALUES "
                        "(?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.bind(id).bind(user.login).bind(user.name).bind(user.email).bind(user.password_hash);
  insert.bind(user.is_super_admin ? 1 : 0).bind(now.since_epoch).bind(now.since_epoch);
  insert.bind(user.password_hash.empty() ? std::nullopt : std::optional(now.since_epoch));
  if (const auto added = insert.run(); !added)
    return std::unexpected(login_error(added.error(), user.login));
  return id;
}

Result<void> update_user(state::Transaction& tx, const User& user, TimestampMs now) {
  GANTRY_CHECK(check_login_is_free(tx, user.login, user.id));
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE users SET login = ?, name = ?, email = ?, is_super_admin = ?, "
                        "is_disabled = ?, updated_at_ms = ? WHERE id = ?"));
  update.bind(user.login).bind(user.name).bind(user.email);
  update.bind(user.is_super_admin ? 1 : 0).bind(user.is_disabled ? 1 : 0);
  update.bind(now.since_epoch).bind(user.id);
  if (const auto updated = update.run(); !updated)
    return std::unexpected(login_error(updated.error(), user.login));
  return {};
}

Result<void> set_password_hash(state::Transaction& tx, std::string_view user_id,
                               std::string_view hash, TimestampMs now) {
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE users SET password_hash = ?, password_changed_at_ms = ?, "
                        "updated_at_ms = ? WHERE id = ?"));
  update.bind(hash).bind(now.since_epoch).bind(now.since_epoch).bind(user_id);
  return update.run();
}

Result<void> record_login(state::Transaction& tx, std::string_view user_id, TimestampMs now) {
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE users SET last_login_at_ms = ? WHERE id = ?"));
  update.bind(now.since_epoch).bind(user_id);
  return update.run();
}

Result<void> remove_user(state::Transaction& tx, std::string_view user_id) {
  GANTRY_TRY(state::Statement remove, tx.prepare("DELETE FROM users WHERE id = ?"));
  remove.bind(user_id);
  return remove.run();
}

Result<void> set_membership(state::Transaction& tx, std::string_view user_id,
                            const Membership& membership) {
  GANTRY_TRY(state::Statement upsert,
             tx.prepare("INSERT INTO memberships (user_id, org_id, role, label_policies) VALUES "
                        "(?, ?, ?, ?) ON CONFLICT (user_id, org_id) DO UPDATE SET role = "
                        "excluded.role, label_policies = excluded.label_policies"));
  upsert.bind(user_id).bind(membership.org.value()).bind(role_name(membership.role));
  if (membership.label_policies)
    upsert.bind(std::string_view(nlohmann::json(*membership.label_policies).dump()));
  else
    upsert.bind_null();
  return upsert.run();
}

Result<void> remove_membership(state::Transaction& tx, std::string_view user_id, OrgId org) {
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM memberships WHERE user_id = ? AND org_id = ?"));
  remove.bind(user_id).bind(org.value());
  return remove.run();
}

Result<std::optional<std::string>> find_identity(state::Transaction& tx, std::string_view issuer,
                                                 std::string_view subject) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT user_id FROM user_identities WHERE issuer = ? AND subject = ?"));
  select.bind(issuer).bind(subject);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return std::string(select.text(0));
}

Result<void> add_identity(state::Transaction& tx, std::string_view issuer, std::string_view subject,
                          std::string_view user_id, TimestampMs now) {
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO user_identities (issuer, subject, user_id, created_at_ms) "
                        "VALUES (?, ?, ?, ?)"));
  insert.bind(issuer).bind(subject).bind(user_id).bind(now.since_epoch);
  return insert.run();
}

}  // namespace gantry::access
