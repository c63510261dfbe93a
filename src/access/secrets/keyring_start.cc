#include "access/secrets/keyring_start.h"

#include <optional>
#include <utility>

#include <fmt/core.h>

#include "access/secret_key.h"
#include "access/secrets/keyring_canary.h"
#include "core/log.h"

namespace gantry::access {
namespace {

constexpr std::string_view kFirstKey = "k1";

std::unexpected<Error> refuse_missing(const KeyringSource& source, const state::Db& db) {
  return fail(
      Code::FailedPrecondition,
      fmt::format("{} is missing, and without it no secret in {} can be opened: {}", source.name(),
                  db.name(),
                  db.is_shared() ? "copy it from another replica, or restore it from its backup"
                                 : "restore it from its backup"));
}

/// Canaries of a keyring that was lost before it had sealed anything go with it.
Result<Keyring> make_keyring(const KeyringSource& source, state::Transaction& tx, AuditLog& audit) {
  Keyring keyring = Keyring::make(std::string(kFirstKey));
  GANTRY_CHECK(forget_canaries(tx));
  GANTRY_CHECK(create_keyring(source, keyring));
  GANTRY_CHECK(admit_keyring(tx, audit, keyring, source.name()));
  return keyring;
}

}  // namespace

Result<std::unique_ptr<LiveKeyring>> open_keyring(KeyringSource source, state::Db& db,
                                                  AuditLog& audit) {
  auto read = read_keyring(source);
  if (!read && read.error().code != Code::NotFound) return std::unexpected(std::move(read).error());
  std::optional<Keyring> keyring;
  if (read) keyring = *std::move(read);
  GANTRY_TRY(state::Transaction tx, db.begin_write());
  GANTRY_TRY(const bool is_needed, has_data_keys(tx));
  if (!keyring && is_needed) return refuse_missing(source, db);
  if (keyring) {
    GANTRY_CHECK(admit_keyring(tx, audit, *keyring, source.name()));
  } else if (!db.is_shared()) {
    GANTRY_TRY(keyring, make_keyring(source, tx, audit));
  }
  GANTRY_CHECK(tx.commit());
  if (keyring)
    log::info("keyring opened", {{"source", source.name()},
                                 {"active", keyring->active().id},
                                 {"keys", keyring->keys().size()}});
  return std::make_unique<LiveKeyring>(std::move(source), std::move(keyring));
}

Result<void> init_keyring(const KeyringSource& source, state::Db& db, AuditLog& audit) {
  GANTRY_CHECK(prepare_cryptography());
  GANTRY_TRY(state::Transaction tx, db.begin_write());
  GANTRY_TRY(const bool is_needed, has_data_keys(tx));
  if (is_needed)
    return fail(Code::FailedPrecondition,
                fmt::format("{} has secrets that are sealed with a keyring: {}", db.name(),
                            "restore that one, or copy it from another replica"));
  GANTRY_TRY([[maybe_unused]] const Keyring made, make_keyring(source, tx, audit));
  return tx.commit();
}

}  // namespace gantry::access
