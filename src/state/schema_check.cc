#include "state/schema_check.h"

#include <memory>
#include <system_error>

#include "state/connection_internal.h"

namespace gantry::state {
namespace {

constexpr std::string_view kFindInSqlite =
    "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'";
constexpr std::string_view kFindInPostgres =
    "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND "
    "table_name = 'schema_migrations'";

Result<std::int64_t> read_number(Connection& connection, std::string_view sql) {
  GANTRY_TRY(const auto select, connection.prepare(sql));
  GANTRY_TRY(const bool has_row, select->step());
  return has_row ? select->integer(0) : 0;
}

Result<int> read_version(Backend& backend, Connection& connection) {
  GANTRY_TRY(const std::int64_t tables,
             read_number(connection, backend.is_shared() ? kFindInPostgres : kFindInSqlite));
  if (tables == 0) return 0;
  GANTRY_TRY(const std::int64_t version,
             read_number(connection, "SELECT coalesce(max(version), 0) FROM schema_migrations"));
  return static_cast<int>(version);
}

}  // namespace

Result<int> read_schema_version(std::string_view url, const std::filesystem::path& directory) {
  std::unique_ptr<Backend> backend;
  if (url.empty()) {
    const std::filesystem::path file = directory / "gantry.db";
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return 0;
    backend = make_sqlite_backend(file, {});
  } else {
    GANTRY_TRY(backend, make_postgres_backend(url, {}));
  }
  GANTRY_TRY(const std::unique_ptr<Connection> connection, backend->connect(TransactionKind::Read));
  GANTRY_CHECK(connection->begin(TransactionKind::Read));
  auto version = read_version(*backend, *connection);
  connection->rollback();
  return version;
}

}  // namespace gantry::state
