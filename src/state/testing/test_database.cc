#include "state/testing/test_database.h"

#include <cstdlib>
#include <string_view>

#include "state/testing/postgres_server.h"

namespace gantry::state {

TestDatabase::TestDatabase(BackendKind kind) {
  std::string pattern = (std::filesystem::temp_directory_path() / "gantry-db-XXXXXX").string();
  directory_ = ::mkdtemp(pattern.data());
  if (kind == BackendKind::Sqlite) return;
  PostgresServer* const server = PostgresServer::shared();
  is_missing_ = server == nullptr;
  if (server != nullptr) url_ = server->make_database();
}

TestDatabase::~TestDatabase() {
  std::filesystem::remove_all(directory_);
}

BackendKind TestDatabase::kind_from_environment() {
  const char* const kind = std::getenv("GANTRY_TEST_STATE");
  return kind != nullptr && std::string_view(kind) == "postgres" ? BackendKind::Postgres
                                                                 : BackendKind::Sqlite;
}

Result<std::unique_ptr<Db>> TestDatabase::open(std::span<const Migration> migrations,
                                               Db::Options options) const {
  return Db::open_url(url_, directory_, options, migrations);
}

}  // namespace gantry::state
