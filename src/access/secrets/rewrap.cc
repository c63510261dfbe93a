#include "access/secrets/rewrap.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "access/secrets/keyring_canary.h"
#include "access/secrets/stored_secrets.h"

namespace gantry::access {
namespace {

/// A row of secrets.
struct SecretRow {
  OrgId org;
  std::string table;
  std::string row;
  std::string column;
  std::string sealed;

  [[nodiscard]] SealPlace place() const {
    return {.org = org, .table = table, .column = column, .row = row};
  }
};

bool is_damage(const Error& error) {
  return error.code == Code::DataLoss || error.code == Code::FailedPrecondition;
}

class Rewrap {
 public:
  Rewrap(state::Db& db, const Sealer& sealer, std::int64_t batch_rows)
      : db_(db), sealer_(sealer), batch_rows_(batch_rows) {}

  Result<Rewrapped> run(AuditLog& audit) {
    GANTRY_CHECK(admit(audit));
    GANTRY_CHECK(wrap_data_keys());
    GANTRY_TRY(const std::vector<OrgId> organisations, read_organisations());
    for (const OrgId org : organisations) GANTRY_CHECK(seal_again(org));
    GANTRY_CHECK(finish());
    return std::move(done_);
  }

 private:
  Result<void> admit(AuditLog& audit) {
    GANTRY_TRY(keyring_, sealer_.keyring().read_again());
    GANTRY_TRY(state::Transaction tx, db_.begin_write());
    GANTRY_CHECK(admit_keyring(tx, audit, *keyring_, sealer_.keyring().source().name()));
    return tx.commit();
  }

  Result<void> wrap_data_keys() {
    DataKeyRow after;
    while (true) {
      GANTRY_TRY(state::Transaction tx, db_.begin_write());
      GANTRY_TRY(const std::vector<DataKeyRow> rows, read_older_keys(tx, after));
      for (const DataKeyRow& row : rows) {
        const auto wrapped = sealer_.keys().wrap_again(tx, row);
        if (!wrapped && !is_damage(wrapped.error())) return wrapped;
        if (wrapped)
          ++done_.data_keys;
        else
          done_.failures.push_back(wrapped.error().message);
      }
      GANTRY_CHECK(tx.commit());
      if (rows.empty()) return {};
      after = rows.back();
    }
  }

  Result<std::vector<DataKeyRow>> read_older_keys(state::Transaction& tx, const DataKeyRow& after) {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT org_id, id, wrapped FROM data_keys WHERE kek <> ? AND (org_id, "
                          "id) > (?, ?) ORDER BY org_id, id LIMIT ?"));
    select.bind(keyring_->active().id).bind(after.org.value()).bind(after.id).bind(batch_rows_);
    std::vector<DataKeyRow> rows;
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) return rows;
      rows.push_back({.org = OrgId(select.integer(0)),
                      .id = select.integer(1),
                      .wrapped = std::string(select.text(2)),
                      .made_under = {}});
    }
  }

  Result<std::vector<OrgId>> read_organisations() {
    GANTRY_TRY(state::Transaction tx, db_.begin_read());
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT DISTINCT org_id FROM data_keys ORDER BY org_id"));
    std::vector<OrgId> organisations;
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) return organisations;
      organisations.emplace_back(select.integer(0));
    }
  }

  Result<void> seal_again(OrgId org) {
    {
      GANTRY_TRY(state::Transaction tx, db_.begin_write());
      GANTRY_TRY(const std::optional<DataKeyRow> newest, DataKeys::newest(tx, org));
      if (newest && newest->made_under != keyring_->active().id) {
        GANTRY_TRY([[maybe_unused]] const std::int64_t made, sealer_.keys().make(tx, org));
        GANTRY_CHECK(tx.commit());
      }
    }
    SecretRow after{.org = org};
    while (true) {
      GANTRY_TRY(state::Transaction tx, db_.begin_write());
      GANTRY_TRY(const std::vector<SecretRow> rows, read_older_secrets(tx, after));
      for (const SecretRow& row : rows) GANTRY_CHECK(seal_again(tx, row));
      if (rows.empty()) GANTRY_CHECK(remove_unused_keys(tx, org));
      GANTRY_CHECK(tx.commit());
      if (rows.empty()) return {};
      after = rows.back();
    }
  }

  /// Those that the newest data key has not sealed.
  Result<std::vector<SecretRow>> read_older_secrets(state::Transaction& tx,
                                                    const SecretRow& after) {
    GANTRY_TRY(
        state::Statement select,
        tx.prepare("SELECT owner_table, owner_id, name, sealed FROM secrets WHERE org_id = ? AND "
                   "data_key < (SELECT max(id) FROM data_keys WHERE org_id = ?) AND (owner_table, "
                   "owner_id, name) > (?, ?, ?) ORDER BY owner_table, owner_id, name LIMIT ?"));
    select.bind(after.org.value())
        .bind(after.org.value())
        .bind(after.table)
        .bind(after.row)
        .bind(after.column)
        .bind(batch_rows_);
    std::vector<SecretRow> rows;
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) return rows;
      rows.push_back({.org = after.org,
                      .table = std::string(select.text(0)),
                      .row = std::string(select.text(1)),
                      .column = std::string(select.text(2)),
                      .sealed = std::string(select.text(3))});
    }
  }

  Result<void> seal_again(state::Transaction& tx, const SecretRow& row) {
    const auto clear = sealer_.open(tx, row.place(), row.sealed);
    if (!clear && !is_damage(clear.error())) return std::unexpected(clear.error());
    if (!clear) {
      done_.failures.push_back(fmt::format("the secret {} of {} {} of organisation {}: {}",
                                           row.column, row.table, row.row, row.org.value(),
                                           clear.error().message));
      return {};
    }
    GANTRY_TRY(const SealedValue sealed, sealer_.seal(tx, row.place(), *clear));
    GANTRY_TRY(state::Statement update,
               tx.prepare("UPDATE secrets SET data_key = ?, sealed = ? WHERE org_id = ? AND "
                          "owner_table = ? AND owner_id = ? AND name = ?"));
    update.bind(sealed.data_key)
        .bind(sealed.text)
        .bind(row.org.value())
        .bind(row.table)
        .bind(row.row)
        .bind(row.column);
    GANTRY_CHECK(update.run());
    ++done_.secrets;
    return {};
  }

  Result<void> remove_unused_keys(state::Transaction& tx, OrgId org) {
    GANTRY_TRY(
        state::Statement remove,
        tx.prepare("DELETE FROM data_keys WHERE org_id = ? AND id < (SELECT max(newer.id) FROM "
                   "data_keys newer WHERE newer.org_id = ?) AND NOT EXISTS (SELECT 1 FROM secrets "
                   "WHERE secrets.org_id = data_keys.org_id AND secrets.data_key = data_keys.id)"));
    remove.bind(org.value()).bind(org.value());
    GANTRY_CHECK(remove.run());
    done_.removed_keys += tx.changed_rows();
    return {};
  }

  Result<void> finish() {
    GANTRY_TRY(state::Transaction tx, db_.begin_write());
    GANTRY_CHECK(forget_unused_canaries(tx, keyring_->active().id));
    GANTRY_TRY(const std::vector<std::string> known, known_key_ids(tx));
    for (const KeyringKey& key : keyring_->keys())
      if (std::ranges::find(known, key.id) == known.end()) done_.unused.push_back(key.id);
    return tx.commit();
  }

  state::Db& db_;
  const Sealer& sealer_;
  std::int64_t batch_rows_;
  std::shared_ptr<const Keyring> keyring_;
  Rewrapped done_;
};

/// "k3" when neither the keyring nor the database has heard of k3 or a higher number.
Result<std::string> next_key_id(state::Transaction& tx, const Keyring& keyring) {
  GANTRY_TRY(std::vector<std::string> ids, known_key_ids(tx));
  for (const KeyringKey& key : keyring.keys()) ids.push_back(key.id);
  std::uint32_t highest = 0;
  for (const std::string& id : ids) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(id.data() + 1, id.data() + id.size(), number);
    if (id.starts_with('k') && error == std::errc() && end == id.data() + id.size())
      highest = std::max(highest, number);
  }
  return fmt::format("k{}", std::uint64_t{highest} + 1);
}

}  // namespace

Result<Rewrapped> rewrap_secrets(state::Db& db, const Sealer& sealer, AuditLog& audit,
                                 std::int64_t batch_rows) {
  return Rewrap(db, sealer, batch_rows).run(audit);
}

Result<std::string> rotate_keyring(state::Db& db, LiveKeyring& live, AuditLog& audit) {
  const std::string name = live.source().name();
  // The writers' lock makes two rotations take turns, the file included.
  GANTRY_TRY(state::Transaction tx, db.begin_write());
  GANTRY_TRY(const auto before, live.read_again());
  GANTRY_CHECK(admit_keyring(tx, audit, *before, name));
  if (before->keys().size() >= kKeyringKeysMax)
    return fail(Code::FailedPrecondition,
                fmt::format("{} has {} keys already: gantry keyring rewrap says which may go", name,
                            before->keys().size()));
  GANTRY_TRY(std::string id, next_key_id(tx, *before));
  const Keyring grown = before->with_new_key(id);
  GANTRY_CHECK(replace_keyring(live.source(), grown));
  GANTRY_CHECK(admit_keyring(tx, audit, grown, name));
  GANTRY_CHECK(tx.commit());
  GANTRY_TRY([[maybe_unused]] const auto now_used, live.read_again());
  return id;
}

}  // namespace gantry::access
