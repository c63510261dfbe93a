#include <fmt/core.h>

#include "core/time.h"
#include "state/connection_internal.h"

namespace gantry::state {
namespace {

constexpr std::string_view kMigrationsTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT "
    "NULL, "
    "applied_at_ms INTEGER NOT NULL) STRICT";

/// Refuses a database that a newer program has changed, naming the first step unknown here.
Result<void> refuse_newer(Backend& backend, Connection& connection, int known) {
  GANTRY_TRY(const auto newer,
             connection.prepare("SELECT version, name FROM schema_migrations WHERE version > ? "
                                "ORDER BY version LIMIT 1"));
  newer->bind_integer(known);
  GANTRY_TRY(const bool has_row, newer->step());
  if (!has_row) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("{} was written by a newer gantry: it has schema version {} (\"{}\"), "
                          "this program knows versions up to {}",
                          backend.name(), newer->integer(0), newer->text(1), known));
}

Result<bool> is_applied(Connection& connection, int version) {
  GANTRY_TRY(const auto select,
             connection.prepare("SELECT version FROM schema_migrations WHERE version = ?"));
  select->bind_integer(version);
  return select->step();
}

Result<void> apply(Backend& backend, Connection& connection, const Migration& migration) {
  GANTRY_TRY(const bool is_done, is_applied(connection, migration.version));
  if (is_done) return {};
  GANTRY_CHECK(connection.execute(backend.translate(migration.sql)));
  const SystemClock clock;
  GANTRY_TRY(const auto insert,
             connection.prepare(
                 "INSERT INTO schema_migrations (version, name, applied_at_ms) VALUES (?, ?, ?)"));
  insert->bind_integer(migration.version);
  insert->bind_text(migration.name);
  insert->bind_integer(clock.now().since_epoch);
  GANTRY_TRY([[maybe_unused]] const bool has_row, insert->step());
  return {};
}

/// What another process did meanwhile is seen by `body`: it runs under the writers' lock.
template <class Body>
Result<void> in_transaction(Connection& connection, Body body) {
  GANTRY_CHECK(connection.begin(TransactionKind::Migration));
  auto done = body();
  if (done) done = connection.commit();
  if (!done) connection.rollback();
  return done;
}

}  // namespace

Result<int> migrate(Backend& backend, Connection& connection,
                    std::span<const Migration> migrations) {
  GANTRY_CHECK(in_transaction(connection, [&]() -> Result<void> {
    GANTRY_CHECK(backend.claim(connection));
    GANTRY_CHECK(connection.execute(backend.translate(kMigrationsTable)));
    return refuse_newer(backend, connection, static_cast<int>(migrations.size()));
  }));
  for (const Migration& migration : migrations) {
    auto applied =
        in_transaction(connection, [&] { return apply(backend, connection, migration); });
    if (!applied)
      return fail(applied.error().code, fmt::format("migration {} \"{}\": {}", migration.version,
                                                    migration.name, applied.error().message));
  }
  return static_cast<int>(migrations.size());
}

}  // namespace gantry::state
