#include <limits>
#include <utility>

#include "access/rows_internal.h"
#include "access/stacks.h"
#include "access/token_rows_internal.h"

namespace gantry::access {
namespace {

#define GANTRY_TOKEN_COLUMNS                                                                      \
  "SELECT t.id, t.policy_id, t.org_id, t.name, t.display_name, t.kind, t.hint, t.created_at_ms, " \
  "t.created_by, t.updated_at_ms, t.expires_at_ms, t.revoked_at_ms, t.revoked_by, "               \
  "t.first_used_at_ms, t.last_used_at_ms, t.last_used_from, t.last_user_agent, "                  \
  "t.last_rejected_at_ms, t.last_rejected_from, t.last_reject_reason FROM tokens t "

std::string text_or_empty(const state::Statement& row, int column) {
  return row.is_null(column) ? std::string() : std::string(row.text(column));
}

Token read_row(const state::Statement& row) {
  const auto kind = parse_token_kind(row.text(5));
  GANTRY_ASSERT(kind, "the schema checks the kind");
  return {.id = std::string(row.text(0)),
          .policy_id = std::string(row.text(1)),
          .org = OrgId(row.integer(2)),
          .name = std::string(row.text(3)),
          .display_name = std::string(row.text(4)),
          .kind = *kind,
          .hint = std::string(row.text(6)),
          .created_at = {row.integer(7)},
          .created_by = std::string(row.text(8)),
          .updated_at = {row.integer(9)},
          .expires_at = optional_time(row, 10),
          .revoked_at = optional_time(row, 11),
          .revoked_by = text_or_empty(row, 12),
          .first_used_at = optional_time(row, 13),
          .last_used_at = optional_time(row, 14),
          .last_used_from = text_or_empty(row, 15),
          .last_user_agent = text_or_empty(row, 16),
          .last_rejected_at = optional_time(row, 17),
          .last_rejected_from = text_or_empty(row, 18),
          .last_reject_reason = text_or_empty(row, 19)};
}

/// "|a|b|": which ids a list holds, as one value that SQL can search.
std::string delimited(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += "|" + id;
  return text.empty() ? text : text + "|";
}

/// 0 for any. Absent: a slug that no stack has.
ControlResult<std::optional<std::int64_t>> realm_number(OrgId org, state::Transaction& tx,
                                                        const std::string& identifier) {
  if (identifier.empty()) return 0;
  if (const auto number = parse_identifier(identifier)) return number;
  const auto stack = read_stack(org, tx, identifier);
  if (stack) return std::int64_t{stack->id.value()};
  if (stack.error().code == Code::NotFound) return std::nullopt;
  return std::unexpected(stack.error());
}

/// A token that is no longer shown must not hold on to its name.
Result<void> release_forgotten_name(state::Transaction& tx, const Token& token) {
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE tokens SET revoked_at_ms = ?, revoked_by = 'gantry' WHERE org_id = "
                        "? AND name = ? AND revoked_at_ms IS NULL AND expires_at_ms <= ?"));
  update.bind(token.created_at.since_epoch)
      .bind(token.org.value())
      .bind(token.name)
      .bind((token.created_at - kExpiredTokenShown).since_epoch);
  return update.run();
}

}  // namespace

Result<void> insert_token(state::Transaction& tx, const Token& token, std::string_view secret,
                          const TokenHasher& hasher) {
  return insert_token(tx, token, hasher.hash(secret), hasher);
}

Result<void> insert_token(state::Transaction& tx, const Token& token, const TokenHash& hash,
                          const TokenHasher& hasher) {
  GANTRY_CHECK(release_forgotten_name(tx, token));
  GANTRY_TRY(
      state::Statement insert,
      tx.prepare("INSERT INTO tokens (id, policy_id, org_id, name, display_name, kind, hash, "
                 "pepper_id, hint, created_at_ms, created_by, updated_at_ms, expires_at_ms) "
                 "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.bind(token.id)
      .bind(token.policy_id)
      .bind(token.org.value())
      .bind(token.name)
      .bind(token.display_name)
      .bind(token_kind_name(token.kind))
      .bind(std::as_bytes(std::span(hash)))
      .bind(hasher.current_pepper_id())
      .bind(token.hint)
      .bind(token.created_at.since_epoch)
      .bind(token.created_by)
      .bind(token.updated_at.since_epoch)
      .bind(optional_ms(token.expires_at));
  return insert.run();
}

Result<std::int64_t> count_living_tokens(OrgId org, state::Transaction& tx,
                                         std::string_view policy_id, TimestampMs now) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT count(*) FROM tokens WHERE org_id = ? AND policy_id = ? AND "
                        "revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > ?)"));
  select.bind(org.value()).bind(policy_id).bind(now.since_epoch);
  GANTRY_TRY(const bool has_row, select.step());
  return has_row ? select.integer(0) : 0;
}

Result<bool> is_token_name_taken(OrgId org, state::Transaction& tx, std::string_view name) {
  GANTRY_TRY(
      state::Statement select,
      tx.prepare("SELECT 1 FROM tokens WHERE org_id = ? AND name = ? AND revoked_at_ms IS NULL"));
  select.bind(org.value()).bind(name);
  return select.step();
}

ControlResult<Token> read_token(OrgId org, state::Transaction& tx, std::string_view id,
                                TimestampMs now, Revoked revoked) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_TOKEN_COLUMNS "WHERE t.org_id = ? AND t.id = ?"));
  select.bind(org.value()).bind(id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return refuse(Code::NotFound, "no such token");
  Token token = read_row(select);
  const bool is_forgotten =
      token.expires_at && *token.expires_at + kExpiredTokenShown <= now && !token.revoked_at;
  if (is_forgotten || (token.revoked_at && revoked == Revoked::Hidden))
    return refuse(Code::NotFound, "no such token");
  return token;
}

ControlResult<std::vector<Token>> list_tokens(OrgId org, state::Transaction& tx,
                                              const TokenFilter& filter, const PageStart& page,
                                              TimestampMs now) {
  std::vector<Token> tokens;
  GANTRY_TRY(const auto realm, realm_number(org, tx, filter.policy_realm_identifier));
  if (!realm) return tokens;
  GANTRY_TRY(
      state::Statement select,
      tx.prepare(
          GANTRY_TOKEN_COLUMNS
          "JOIN access_policies p ON p.id = t.policy_id WHERE t.org_id = ? AND (CAST(? AS TEXT) = "
          "'' OR replace(CAST(? AS TEXT), '|' || t.policy_id || '|', '') <> CAST(? AS TEXT)) AND "
          "(CAST(? AS TEXT) = '' OR p.name = ?) AND (CAST(? AS TEXT) = '' OR p.status = ?) AND "
          "(CAST(? AS TEXT) = '' OR t.name = ?) AND (CAST(? AS TEXT) = '' OR p.owner_user_id = ?) "
          "AND EXISTS (SELECT 1 FROM policy_realms r WHERE "
          "r.policy_id = p.id AND (CAST(? AS TEXT) = '' OR r.type = ?) AND (CAST(? AS BIGINT) = 0 "
          "OR r.identifier = ?)) AND (t.expires_at_ms IS NULL OR t.expires_at_ms > ?) AND "
          "(CAST(? AS BIGINT) IS NULL OR t.expires_at_ms < ?) AND (CAST(? AS BIGINT) IS NULL OR "
          "t.expires_at_ms > ?) AND (t.revoked_at_ms IS NULL OR CAST(? AS BIGINT) = 1) AND "
          "(t.created_at_ms, t.id) > (?, ?) ORDER BY t.created_at_ms, t.id LIMIT ?"));
  const std::string ids = delimited(filter.policy_ids);
  const std::int64_t expires_after =
      (filter.includes_expired ? now - kExpiredTokenShown : now).since_epoch;
  select.bind(org.value()).bind(ids).bind(ids).bind(ids);
  for (const std::string& text : {filter.policy_name, filter.policy_status, filter.name,
                                  filter.policy_owner, filter.policy_realm_type})
    select.bind(text).bind(text);
  select.bind(*realm)
      .bind(*realm)
      .bind(expires_after)
      .bind(optional_ms(filter.expires_before))
      .bind(optional_ms(filter.expires_before))
      .bind(optional_ms(filter.expires_after))
      .bind(optional_ms(filter.expires_after))
      .bind(filter.revoked == Revoked::Shown ? 1 : 0)
      .bind(page.after_created_at.since_epoch)
      .bind(page.after_id)
      .bind(page.limit);
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return tokens;
    tokens.push_back(read_row(select));
  }
}

#undef GANTRY_TOKEN_COLUMNS

}  // namespace gantry::access
