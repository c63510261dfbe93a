#include "access/secrets/keyring_canary.h"

#include <algorithm>
#include <optional>

#include <fmt/core.h>

namespace gantry::access {
namespace {

constexpr std::string_view kCanaryText = "gantry keyring canary";

std::string bound_to(std::string_view key_id) {
  return fmt::format("gantry|v1|keyring_canaries|sealed|{}|0", key_id);
}

std::unexpected<Error> refuse_other(std::string_view name) {
  return fail(Code::FailedPrecondition,
              fmt::format("{} is not the keyring of the secrets in this database: restore the one "
                          "that is from its backup, or copy it from another replica",
                          name));
}

/// Null: it has no canary.
Result<std::optional<bool>> opens_canary(state::Transaction& tx, const KeyringKey& key) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT sealed FROM keyring_canaries WHERE key_id = ?"));
  select.bind(key.id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  GANTRY_TRY(const SealedText sealed, parse_sealed(select.text(0)));
  const auto clear = open_sealed(sealed, key.bytes, bound_to(key.id));
  return clear && clear->view() == kCanaryText;
}

Result<void> insert_canary(state::Transaction& tx, const KeyringKey& key) {
  GANTRY_TRY(const SealedText sealed, make_sealed({.kek = key.id}, key.bytes, bound_to(key.id),
                                                  Secret::copy_of(kCanaryText)));
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO keyring_canaries (key_id, sealed) VALUES (?, ?)"));
  insert.bind(key.id).bind(format_sealed(sealed));
  return insert.run();
}

Result<void> check_used_keys(state::Transaction& tx, const Keyring& keyring,
                             std::string_view name) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT kek, count(*) FROM data_keys GROUP BY kek ORDER BY kek"));
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return {};
    if (keyring.find(select.text(0)) != nullptr) continue;
    return fail(Code::FailedPrecondition,
                fmt::format("{} has no key \"{}\", which {} data keys of this database are sealed "
                            "with: restore it from a backup, or copy the keyring from another "
                            "replica",
                            name, select.text(0), select.integer(1)));
  }
}

Result<bool> has_canaries(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select, tx.prepare("SELECT 1 FROM keyring_canaries LIMIT 1"));
  return select.step();
}

}  // namespace

Result<void> admit_keyring(state::Transaction& tx, AuditLog& audit, const Keyring& keyring,
                           std::string_view name) {
  GANTRY_TRY(const bool has_some, has_canaries(tx));
  bool is_known = false;
  bool is_active_known = false;
  for (const KeyringKey& key : keyring.keys()) {
    GANTRY_TRY(const std::optional<bool> opens, opens_canary(tx, key));
    if (opens && !*opens) return refuse_other(name);
    is_known |= opens.has_value();
    is_active_known |= opens.has_value() && &key == &keyring.active();
  }
  if (has_some && !is_known) return refuse_other(name);
  GANTRY_CHECK(check_used_keys(tx, keyring, name));
  if (is_active_known) return {};
  GANTRY_CHECK(insert_canary(tx, keyring.active()));
  if (!has_some) return {};
  return audit.append(
      tx, {.event = "keyring.rotated",
           .actor = {.type = Actor::Type::System, .name = "gantry"},
           .target = {.type = "file", .name = "keyring.json"},
           .changes = {{.field = "active", .before = {}, .after = keyring.active().id}}});
}

Result<bool> has_data_keys(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select, tx.prepare("SELECT 1 FROM data_keys LIMIT 1"));
  return select.step();
}

Result<void> forget_canaries(state::Transaction& tx) {
  return tx.execute("DELETE FROM keyring_canaries");
}

Result<std::vector<std::string>> known_key_ids(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT key_id FROM keyring_canaries UNION SELECT kek FROM data_keys "
                        "ORDER BY 1"));
  std::vector<std::string> ids;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return ids;
    ids.emplace_back(select.text(0));
  }
}

Result<void> forget_unused_canaries(state::Transaction& tx, std::string_view active) {
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM keyring_canaries WHERE key_id <> ? AND NOT EXISTS (SELECT 1 "
                        "FROM data_keys WHERE data_keys.kek = keyring_canaries.key_id)"));
  remove.bind(active);
  return remove.run();
}

}  // namespace gantry::access
