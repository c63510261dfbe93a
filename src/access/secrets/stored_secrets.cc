#include "access/secrets/stored_secrets.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

namespace gantry::access {
namespace {

constexpr std::string_view kEllipsis = "…";
constexpr std::array<std::string_view, 3> kMasks = {"********", "[REDACTED]", "<redacted>"};
constexpr std::size_t kHintedBytesMin = 20;  // four of them give nothing away
constexpr std::size_t kHintBytes = 4;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Result<bool> is_set(state::Transaction& tx, const SealPlace& place) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT 1 FROM secrets WHERE org_id = ? AND owner_table = ? AND owner_id = "
                        "? AND name = ?"));
  select.bind(place.org.value()).bind(place.table).bind(place.row).bind(place.column);
  return select.step();
}

}  // namespace

Result<AuditChange> StoredSecrets::set(state::Transaction& tx, const SealPlace& place,
                                       const Secret& clear, TimestampMs now) const {
  GANTRY_TRY(const bool was_set, is_set(tx, place));
  GANTRY_TRY(const SealedValue sealed, sealer_->seal(tx, place, clear));
  GANTRY_TRY(
      state::Statement insert,
      tx.prepare(
          "INSERT INTO secrets (org_id, owner_table, owner_id, name, data_key, sealed, hint, "
          "updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, owner_table, "
          "owner_id, name) DO UPDATE SET data_key = excluded.data_key, sealed = "
          "excluded.sealed, hint = excluded.hint, updated_at_ms = excluded.updated_at_ms"));
  insert.bind(place.org.value())
      .bind(place.table)
      .bind(place.row)
      .bind(place.column)
      .bind(sealed.data_key)
      .bind(sealed.text)
      .bind(secret_hint(clear.view()))
      .bind(now.since_epoch);
  GANTRY_CHECK(insert.run());
  return AuditChange{.field = std::string(place.column),
                     .before = was_set ? "set" : "unset",
                     .after = was_set ? "changed" : "set"};
}

Result<std::optional<Secret>> StoredSecrets::open(state::Transaction& tx,
                                                  const SealPlace& place) const {
  std::string sealed;
  {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT sealed FROM secrets WHERE org_id = ? AND owner_table = ? AND "
                          "owner_id = ? AND name = ?"));
    select.bind(place.org.value()).bind(place.table).bind(place.row).bind(place.column);
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return std::nullopt;
    sealed = select.text(0);
  }
  auto clear = sealer_->open(tx, place, sealed);
  if (!clear)
    return fail(clear.error().code, fmt::format("the secret {} of {} {}: {}", place.column,
                                                place.table, place.row, clear.error().message));
  return std::optional<Secret>(*std::move(clear));
}

Result<std::optional<AuditChange>> erase_secret(state::Transaction& tx, const SealPlace& place) {
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM secrets WHERE org_id = ? AND owner_table = ? AND owner_id = ? "
                        "AND name = ?"));
  remove.bind(place.org.value()).bind(place.table).bind(place.row).bind(place.column);
  GANTRY_CHECK(remove.run());
  if (tx.changed_rows() == 0) return std::nullopt;
  return AuditChange{.field = std::string(place.column), .before = "set", .after = "unset"};
}

Result<void> erase_secrets(OrgId org, state::Transaction& tx, std::string_view table,
                           std::string_view row) {
  GANTRY_TRY(
      state::Statement remove,
      tx.prepare("DELETE FROM secrets WHERE org_id = ? AND owner_table = ? AND owner_id = ?"));
  remove.bind(org.value()).bind(table).bind(row);
  return remove.run();
}

Result<void> erase_secrets(OrgId org, state::Transaction& tx) {
  GANTRY_TRY(state::Statement secrets, tx.prepare("DELETE FROM secrets WHERE org_id = ?"));
  secrets.bind(org.value());
  GANTRY_CHECK(secrets.run());
  GANTRY_TRY(state::Statement keys, tx.prepare("DELETE FROM data_keys WHERE org_id = ?"));
  keys.bind(org.value());
  return keys.run();
}

Result<std::vector<SecretSummary>> list_secrets(OrgId org, state::Transaction& tx,
                                                std::string_view table, std::string_view row) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT name, hint, updated_at_ms FROM secrets WHERE org_id = ? AND "
                        "owner_table = ? AND owner_id = ? ORDER BY name"));
  select.bind(org.value()).bind(table).bind(row);
  std::vector<SecretSummary> summaries;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return summaries;
    summaries.push_back({.column = std::string(select.text(0)),
                         .hint = std::string(select.text(1)),
                         .updated_at = TimestampMs{select.integer(2)}});
  }
}

std::string secret_hint(std::string_view text) {
  const bool is_plain = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
  if (text.size() < kHintedBytesMin || !is_plain) return std::string(kEllipsis);
  const auto prefix =
      static_cast<std::size_t>(std::ranges::find_if_not(text, is_letter) - text.begin());
  const bool has_prefix =
      prefix >= 1 && prefix <= kHintBytes && (text[prefix] == '_' || text[prefix] == '-');
  return fmt::format("{}{}{}", has_prefix ? text.substr(0, prefix + 1) : std::string_view(),
                     kEllipsis, text.substr(text.size() - kHintBytes));
}

void check_secret_text(std::vector<FieldProblem>& problems, std::string_view path,
                       std::string_view text, std::string_view hint_before) {
  const auto add = [&](std::string reason) {
    problems.push_back({.path = std::string(path), .reason = std::move(reason)});
  };
  if (text.empty())
    add("is empty; null clears the secret");
  else if (text.size() > kSecretBytesMax)
    add(fmt::format("is longer than {} bytes", kSecretBytesMax));
  else if (text == hint_before || text == kEllipsis ||
           std::ranges::find(kMasks, text) != kMasks.end())
    add("is the mask of a secret, not a secret; leave the field out to keep what is set");
}

}  // namespace gantry::access
