#include "access/secrets/data_keys.h"

#include <utility>

#include <fmt/core.h>

#include "access/secrets/keyring_canary.h"

namespace gantry::access {
namespace {

std::string bound_to(OrgId org, std::int64_t id) {
  return fmt::format("gantry|v1|data_keys|wrapped|{}|{}", id, org.value());
}

DataKeyRow read_row(OrgId org, const state::Statement& select) {
  return {.org = org,
          .id = select.integer(0),
          .wrapped = std::string(select.text(1)),
          .made_under = std::string(select.text(2)),
          .sealed_count = select.integer(3)};
}

Result<void> count_use(state::Transaction& tx, OrgId org, std::int64_t id) {
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE data_keys SET sealed_count = sealed_count + 1 WHERE org_id = ? AND "
                        "id = ?"));
  update.bind(org.value()).bind(id);
  return update.run();
}

}  // namespace

Result<DataKey> DataKeys::take(state::Transaction& tx, OrgId org) const {
  GANTRY_TRY(const std::optional<DataKeyRow> row, newest(tx, org));
  std::int64_t id = row ? row->id : 0;
  if (!row || row->sealed_count >= seals_max_) {
    GANTRY_TRY(id, make(tx, org));
  }
  GANTRY_CHECK(count_use(tx, org, id));
  return open(tx, org, id);
}

Result<DataKey> DataKeys::open(state::Transaction& tx, OrgId org, std::int64_t id) const {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT id, wrapped, made_under, sealed_count FROM data_keys WHERE org_id "
                        "= ? AND id = ?"));
  select.bind(org.value()).bind(id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row)
    return fail(Code::DataLoss, fmt::format("sealed with data key {} of organisation {}, which is "
                                            "not in the database",
                                            id, org.value()));
  const DataKeyRow row = read_row(org, select);
  GANTRY_TRY(Secret bytes, unwrap(row));
  GANTRY_TRY(const SealedText wrapped, parse_sealed(row.wrapped));
  return DataKey{.header = {.kek = wrapped.header.kek, .data_key = id, .algorithm = algorithm_},
                 .bytes = std::move(bytes)};
}

Result<std::int64_t> DataKeys::make(state::Transaction& tx, OrgId org) const {
  // As the file is now: what a rotation has replaced seals nothing new. And a replica whose file
  // was forgotten is told here, before others meet a key that they cannot open.
  GANTRY_TRY(const auto keyring, parts_.keyring.read_again());
  GANTRY_CHECK(admit_keyring(tx, parts_.audit, *keyring, parts_.keyring.source().name()));
  GANTRY_TRY(const std::optional<DataKeyRow> before, newest(tx, org));
  const std::int64_t id = before ? before->id + 1 : 1;
  GANTRY_TRY(const std::string wrapped,
             wrap(keyring->active(), org, id, Secret::random(kSealKeyBytes)));
  GANTRY_TRY(
      state::Statement insert,
      tx.prepare("INSERT INTO data_keys (org_id, id, kek, made_under, wrapped, sealed_count, "
                 "created_at_ms) VALUES (?, ?, ?, ?, ?, 0, ?)"));
  insert.bind(org.value())
      .bind(id)
      .bind(keyring->active().id)
      .bind(keyring->active().id)
      .bind(wrapped)
      .bind(parts_.clock.now().since_epoch);
  GANTRY_CHECK(insert.run());
  return id;
}

Result<std::optional<DataKeyRow>> DataKeys::newest(state::Transaction& tx, OrgId org) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT id, wrapped, made_under, sealed_count FROM data_keys WHERE org_id "
                        "= ? ORDER BY id DESC LIMIT 1"));
  select.bind(org.value());
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return read_row(org, select);
}

Result<void> DataKeys::wrap_again(state::Transaction& tx, const DataKeyRow& row) const {
  const auto keyring = parts_.keyring.current();
  GANTRY_ASSERT(keyring != nullptr, "who wraps again has admitted a keyring");
  GANTRY_TRY(const Secret bytes, unwrap(row));
  GANTRY_TRY(const std::string wrapped, wrap(keyring->active(), row.org, row.id, bytes));
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE data_keys SET kek = ?, wrapped = ? WHERE org_id = ? AND id = ?"));
  update.bind(keyring->active().id).bind(wrapped).bind(row.org.value()).bind(row.id);
  return update.run();
}

Result<Secret> DataKeys::unwrap(const DataKeyRow& row) const {
  const auto in_context = [&](const Error& error) {
    return fail(error.code, fmt::format("data key {} of organisation {}: {}", row.id,
                                        row.org.value(), error.message));
  };
  const auto sealed = parse_sealed(row.wrapped);
  if (!sealed) return in_context(sealed.error());
  const auto key = parts_.keyring.find(sealed->header.kek);
  if (!key) return in_context(key.error());
  auto bytes = open_sealed(*sealed, **key, bound_to(row.org, row.id));
  if (!bytes) return in_context(bytes.error());
  if (bytes->size() != kSealKeyBytes)
    return in_context({.code = Code::DataLoss, .message = "not of a key's size"});
  return bytes;
}

Result<std::string> DataKeys::wrap(const KeyringKey& key, OrgId org, std::int64_t id,
                                   const Secret& bytes) const {
  GANTRY_TRY(const SealedText sealed,
             make_sealed({.kek = key.id, .data_key = id, .algorithm = algorithm_}, key.bytes,
                         bound_to(org, id), bytes));
  return format_sealed(sealed);
}

}  // namespace gantry::access
