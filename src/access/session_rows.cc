#include "access/session_rows.h"

#include <algorithm>
#include <cstring>

namespace gantry::access {
namespace {

#define GANTRY_SESSION_COLUMNS                                                              \
  "hash, family_id, user_id, provider, provider_session, ip, user_agent, signed_in_at_ms, " \
  "authenticated_at_ms, issued_at_ms, last_used_at_ms, expires_at_ms, replaced_at_ms"

SessionRow row_of(const state::Statement& row) {
  SessionRow session{.family_id = std::string(row.text(1)),
                     .user_id = std::string(row.text(2)),
                     .provider = std::string(row.text(3)),
                     .provider_session = std::string(row.text(4)),
                     .ip = std::string(row.text(5)),
                     .user_agent = std::string(row.text(6)),
                     .signed_in_at = {row.integer(7)},
                     .authenticated_at = {row.integer(8)},
                     .issued_at = {row.integer(9)},
                     .last_used_at = {row.integer(10)},
                     .expires_at = {row.integer(11)}};
  const auto hash = row.blob(0);
  GANTRY_ASSERT(hash.size() == session.hash.size(), "the schema checks the length");
  std::memcpy(session.hash.data(), hash.data(), hash.size());
  if (const auto replaced = row.optional_integer(12)) session.replaced_at = TimestampMs{*replaced};
  return session;
}

std::span<const std::byte> bytes_of(const TokenHash& hash) {
  return std::as_bytes(std::span(hash));
}

}  // namespace

Result<std::optional<SessionRow>> find_session(state::Transaction& tx,
                                               std::span<const TokenHash> hashes) {
  for (const TokenHash& hash : hashes) {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT " GANTRY_SESSION_COLUMNS " FROM sessions WHERE hash = ?"));
    select.bind(bytes_of(hash));
    GANTRY_TRY(const bool has_row, select.step());
    if (has_row) return row_of(select);
  }
  return std::nullopt;
}

Result<std::vector<SessionRow>> list_sessions(state::Transaction& tx, std::string_view user_id) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT " GANTRY_SESSION_COLUMNS
                        " FROM sessions WHERE user_id = ? AND replaced_at_ms IS NULL ORDER BY "
                        "signed_in_at_ms DESC, family_id"));
  select.bind(user_id);
  std::vector<SessionRow> sessions;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return sessions;
    sessions.push_back(row_of(select));
  }
}

Result<void> insert_session(state::Transaction& tx, const SessionRow& row) {
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO sessions (" GANTRY_SESSION_COLUMNS
                        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.bind(bytes_of(row.hash)).bind(row.family_id).bind(row.user_id).bind(row.provider);
  insert.bind(row.provider_session).bind(row.ip).bind(row.user_agent);
  insert.bind(row.signed_in_at.since_epoch).bind(row.authenticated_at.since_epoch);
  insert.bind(row.issued_at.since_epoch).bind(row.last_used_at.since_epoch);
  insert.bind(row.expires_at.since_epoch);
  insert.bind(row.replaced_at ? std::optional(row.replaced_at->since_epoch) : std::nullopt);
  return insert.run();
}

Result<bool> mark_replaced(state::Transaction& tx, const TokenHash& hash, TimestampMs now) {
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE sessions SET replaced_at_ms = ? WHERE hash = ? AND "
                        "replaced_at_ms IS NULL"));
  update.bind(now.since_epoch).bind(bytes_of(hash));
  GANTRY_CHECK(update.run());
  return tx.changed_rows() == 1;
}

Result<void> raise_last_used(state::Transaction& tx, const TokenHash& hash, TimestampMs at) {
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE sessions SET last_used_at_ms = ? WHERE hash = ? AND "
                        "last_used_at_ms < ?"));
  update.bind(at.since_epoch).bind(bytes_of(hash)).bind(at.since_epoch);
  return update.run();
}

Result<void> make_rotation_due(state::Transaction& tx, std::string_view user_id) {
  GANTRY_TRY(
      state::Statement update,
      tx.prepare("UPDATE sessions SET issued_at_ms = 0 WHERE user_id = ? AND replaced_at_ms IS "
                 "NULL"));
  update.bind(user_id);
  return update.run();
}

Result<void> remove_family(state::Transaction& tx, std::string_view family_id) {
  GANTRY_TRY(state::Statement remove, tx.prepare("DELETE FROM sessions WHERE family_id = ?"));
  remove.bind(family_id);
  return remove.run();
}

Result<std::int64_t> remove_sessions(state::Transaction& tx, std::string_view user_id,
                                     std::string_view except_family) {
  std::int64_t count = 0;
  {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT count(*) FROM sessions WHERE user_id = ? AND family_id <> ? AND "
                          "replaced_at_ms IS NULL"));
    select.bind(user_id).bind(except_family);
    GANTRY_TRY(const bool has_row, select.step());
    if (has_row) count = select.integer(0);
  }
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM sessions WHERE user_id = ? AND family_id <> ?"));
  remove.bind(user_id).bind(except_family);
  GANTRY_CHECK(remove.run());
  return count;
}

Result<std::vector<std::string>> remove_provider_sessions(state::Transaction& tx,
                                                          std::string_view provider,
                                                          std::string_view user_id,
                                                          std::string_view provider_session) {
  std::vector<std::pair<std::string, std::string>> ended;  // user, family
  {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT DISTINCT user_id, family_id FROM sessions WHERE provider = ? "
                          "AND (CAST(? AS TEXT) = '' OR user_id = ?) "
                          "AND (CAST(? AS TEXT) = '' OR provider_session = ?)"));
    select.bind(provider).bind(user_id).bind(user_id).bind(provider_session).bind(provider_session);
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) break;
      ended.emplace_back(select.text(0), select.text(1));
    }
  }
  std::vector<std::string> users;
  for (const auto& [user, family] : ended) {
    GANTRY_CHECK(remove_family(tx, family));
    if (std::ranges::find(users, user) == users.end()) users.push_back(user);
  }
  return users;
}

Result<void> remove_expired_sessions(state::Transaction& tx, TimestampMs now,
                                     TimestampMs idle_since) {
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM sessions WHERE expires_at_ms <= ? OR (replaced_at_ms IS NULL "
                        "AND last_used_at_ms <= ?)"));
  remove.bind(now.since_epoch).bind(idle_since.since_epoch);
  return remove.run();
}

}  // namespace gantry::access
