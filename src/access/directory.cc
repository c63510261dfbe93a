#include "access/directory.h"

#include <cstring>

#include "access/label_policy.h"
#include "access/personal_tokens.h"
#include "access/rows_internal.h"

namespace gantry::access {
namespace {

Result<std::int64_t> read_integer(state::Transaction& tx, std::string_view sql) {
  GANTRY_TRY(state::Statement select, tx.prepare(sql));
  GANTRY_TRY(const bool has_row, select.step());
  return has_row ? select.integer(0) : 0;
}

Result<std::int64_t> read_integer(state::Db& db, std::string_view sql) {
  GANTRY_TRY(state::Transaction tx, db.begin_read());
  return read_integer(tx, sql);
}

/// Whose personal token it is.
struct Owner {
  bool is_disabled = false;
  std::optional<Role> role;  ///< Absent: no member any more.
  std::optional<std::vector<std::string>> label_policies;
};

struct FoundToken {
  TokenGrant grant;
  std::optional<Owner> owner;
};

std::optional<Owner> read_owner(const state::Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  Owner owner{.is_disabled = row.is_null(column + 1) || row.integer(column + 1) == 1};
  if (row.is_null(column + 2)) return owner;
  owner.role = parse_role(row.text(column + 2));
  if (row.is_null(column + 3)) return owner;
  // A list that cannot be read shows nothing rather than everything.
  auto selectors = parse_string_array(row.text(column + 3));
  owner.label_policies = selectors ? *std::move(selectors) : std::vector<std::string>();
  return owner;
}

/// A personal token does what its policy says, as far as the person may do it now.
void hold_to_owner(TokenGrant& grant, const Owner& owner) {
  if (owner.is_disabled || !owner.role || *owner.role < Role::Editor) {
    grant.is_policy_active = false;
    return;
  }
  grant.scopes = grant.scopes.common(personal_token_scopes(*owner.role));
  for (Realm& realm : grant.realms) realm.label_policies = owner.label_policies;
}

Result<std::optional<FoundToken>> read_token(state::Transaction& tx, const TokenHash& hash) {
  GANTRY_TRY(
      state::Statement select,
      tx.prepare("SELECT t.id, t.policy_id, p.name, t.org_id, t.hash, t.expires_at_ms, "
                 "t.revoked_at_ms, p.status, p.allowed_subnets, p.attributes, t.kind, t.name, "
                 "t.first_used_at_ms, t.last_used_from, p.owner_user_id, u.is_disabled, m.role, "
                 "m.label_policies FROM tokens t JOIN access_policies p ON p.id = t.policy_id LEFT "
                 "JOIN users u ON u.id = p.owner_user_id LEFT JOIN memberships m ON m.user_id = "
                 "p.owner_user_id AND m.org_id = p.org_id WHERE t.hash = ?"));
  select.bind(std::as_bytes(std::span(hash)));
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  TokenGrant grant{.token_id = std::string(select.text(0)),
                   .policy_id = std::string(select.text(1)),
                   .policy_name = std::string(select.text(2)),
                   .org = OrgId(select.integer(3)),
                   .expires_at = optional_time(select, 5),
                   .revoked_at = optional_time(select, 6)};
  const auto stored = select.blob(4);
  GANTRY_ASSERT(stored.size() == grant.hash.size(), "the schema checks the length");
  std::memcpy(grant.hash.data(), stored.data(), stored.size());
  grant.is_policy_active = select.text(7) == "active";
  GANTRY_TRY(grant.allowed_subnets, parse_string_array(select.text(8)));
  grant.attributes = select.text(9);
  const auto kind = parse_token_kind(select.text(10));
  GANTRY_ASSERT(kind, "the schema checks the kind");
  grant.kind = *kind;
  grant.token_name = select.text(11);
  grant.was_used = !select.is_null(12);
  grant.last_used_from = select.text(13);
  return FoundToken{.grant = std::move(grant), .owner = read_owner(select, 14)};
}

Result<void> read_scopes(state::Transaction& tx, TokenGrant& grant) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT scope FROM policy_scopes WHERE policy_id = ?"));
  select.bind(grant.policy_id);
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return {};
    if (const auto scope = parse_scope(select.text(0))) grant.scopes.add(*scope);
  }
}

Result<void> read_realms(state::Transaction& tx, TokenGrant& grant) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT type, identifier, label_policies FROM policy_realms "
                        "WHERE policy_id = ? ORDER BY position"));
  select.bind(grant.policy_id);
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return {};
    Realm realm{.type = select.text(0) == "org" ? Realm::Type::Org : Realm::Type::Stack,
                .identifier = select.integer(1)};
    if (!select.is_null(2)) {
      // A list that cannot be read shows nothing rather than everything.
      auto selectors = parse_string_array(select.text(2));
      realm.label_policies = selectors ? *std::move(selectors) : std::vector<std::string>();
    }
    grant.realms.push_back(std::move(realm));
  }
}

/// What a policy's realms show, read once per realm.
class RealmVisibilities {
 public:
  explicit RealmVisibilities(const TokenGrant& grant) : org_(grant.org), realms_(grant.realms) {
    for (const Realm& realm : realms_)
      visibilities_.push_back(read_visibility(realm.label_policies, grant.policy_id));
  }

  /// The most specific realm decides alone: one for the organisation cannot widen what one for the
  /// stack shows.
  [[nodiscard]] Visibility of(StackId stack) const {
    std::optional<Visibility> found;
    for (std::size_t i = 0; i < realms_.size(); ++i) {
      const bool is_stack = realms_[i].type == Realm::Type::Stack;
      if (is_stack && realms_[i].identifier == stack.value()) return visibilities_[i];
      if (!is_stack && realms_[i].identifier == org_.value()) found = visibilities_[i];
    }
    GANTRY_ASSERT(found, "a stack of a grant belongs to a realm");
    return *found;
  }

 private:
  OrgId org_;
  const std::vector<Realm>& realms_;
  std::vector<Visibility> visibilities_;
};

Result<void> read_stacks(state::Transaction& tx, TokenGrant& grant) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT s.id FROM stacks s WHERE s.org_id = ? AND s.status = 'active' AND "
                        "EXISTS (SELECT 1 FROM "
                        "policy_realms r WHERE r.policy_id = ? AND "
                        "((r.type = 'stack' AND r.identifier = s.id) OR "
                        "(r.type = 'org' AND r.identifier = s.org_id))) ORDER BY s.id"));
  select.bind(grant.org.value()).bind(grant.policy_id);
  const RealmVisibilities visible(grant);
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return {};
    const StackId stack(static_cast<std::uint32_t>(select.integer(0)));
    grant.stacks.push_back({.stack = stack, .visibility = visible.of(stack)});
  }
}

Result<void> write_use(state::Transaction& tx, const TokenUse& use) {
  const std::int64_t last_ms = use.last->since_epoch;
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE tokens SET first_used_at_ms = coalesce(first_used_at_ms, ?), "
                        "last_used_at_ms = ?, last_used_from = ?, last_user_agent = ?, "
                        "last_route = ? WHERE id = ? AND coalesce(last_used_at_ms, 0) <= ?"));
  update.bind(use.first.value_or(*use.last).since_epoch)
      .bind(last_ms)
      .bind(use.from)
      .bind(use.user_agent)
      .bind(use.route)
      .bind(use.token_id)
      .bind(last_ms);
  return update.run();
}

Result<void> write_rejection(state::Transaction& tx, const TokenUse& use) {
  const std::int64_t rejected_ms = use.rejected->since_epoch;
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE tokens SET last_rejected_at_ms = ?, last_rejected_from = ?, "
                        "last_reject_reason = ? WHERE id = ? "
                        "AND coalesce(last_rejected_at_ms, 0) <= ?"));
  update.bind(rejected_ms)
      .bind(use.rejected_from)
      .bind(use.reject_reason)
      .bind(use.token_id)
      .bind(rejected_ms);
  return update.run();
}

Result<void> read_aliases(state::Transaction& tx, TokenGrant& grant) {
  for (StackGrant& stack : grant.stacks) {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT id, signal FROM stack_aliases WHERE stack_id = ?"));
    select.bind(stack.stack.value());
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) break;
      stack.aliases.push_back({.id = static_cast<std::uint32_t>(select.integer(0)),
                               .signal = std::string(select.text(1))});
    }
  }
  return {};
}

}  // namespace

Result<bool> Directory::is_empty() {
  GANTRY_TRY(state::Transaction tx, db_.begin_read());
  return is_empty(tx);
}

Result<bool> Directory::is_empty(state::Transaction& tx) {
  GANTRY_TRY(const std::int64_t count, read_integer(tx, "SELECT count(*) FROM organisations"));
  return count == 0;
}

Result<bool> Directory::has_tokens() {
  GANTRY_TRY(const std::int64_t count, read_integer(db_, "SELECT count(*) FROM tokens"));
  return count > 0;
}

Result<std::vector<Stack>> Directory::list_stacks() {
  GANTRY_TRY(state::Transaction tx, db_.begin_read());
  return list_all_stacks(tx);
}

Result<std::optional<TokenGrant>> Directory::find_grant(std::span<const TokenHash> hashes) {
  GANTRY_TRY(state::Transaction tx, db_.begin_read());
  for (const TokenHash& hash : hashes) {
    GANTRY_TRY(std::optional<FoundToken> found, read_token(tx, hash));
    // The index has compared already; this comparison takes the same time wherever bytes differ.
    if (!found || !is_equal_secret(found->grant.hash, hash)) continue;
    TokenGrant& grant = found->grant;
    GANTRY_CHECK(read_scopes(tx, grant));
    GANTRY_CHECK(read_realms(tx, grant));
    if (found->owner) hold_to_owner(grant, *found->owner);
    GANTRY_CHECK(read_stacks(tx, grant));
    GANTRY_CHECK(read_aliases(tx, grant));
    return std::move(grant);
  }
  return std::nullopt;
}

Result<void> Directory::record_uses(std::span<const TokenUse> uses) {
  GANTRY_TRY(state::Transaction tx, db_.begin_write());
  for (const TokenUse& use : uses) {
    if (use.last) GANTRY_CHECK(write_use(tx, use));
    if (use.rejected) GANTRY_CHECK(write_rejection(tx, use));
  }
  return tx.commit();
}

}  // namespace gantry::access
