#include "state/db.h"

#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/mutex.h"
#include "core/time.h"
#include "state/connection_internal.h"

namespace gantry::state {
namespace {

// "Gnty" in the file's header: tells our file from somebody else's database.
constexpr std::int64_t kApplicationId = 0x476e7479;

Result<std::int64_t> read_integer(Connection& connection, std::string_view sql) {
  GANTRY_TRY(Statement statement, connection.prepare(sql));
  GANTRY_TRY(const bool has_row, statement.step());
  return has_row ? statement.integer(0) : 0;
}

/// Marks an empty file as ours; refuses another program's.
Result<void> claim_file(Connection& connection, const std::filesystem::path& path) {
  GANTRY_TRY(const std::int64_t id, read_integer(connection, "PRAGMA application_id"));
  if (id == kApplicationId) return {};
  GANTRY_TRY(const std::int64_t tables,
             read_integer(connection, "SELECT count(*) FROM sqlite_schema"));
  if (id != 0 || tables != 0)
    return fail(Code::FailedPrecondition,
                fmt::format("{} is a SQLite database but not Gantry's", path.string()));
  return connection.execute(fmt::format("PRAGMA application_id={}", kApplicationId));
}

/// Refuses a file that a newer program has changed, naming the first step unknown here.
Result<void> refuse_newer(Connection& connection, const std::filesystem::path& path, int known) {
  GANTRY_TRY(Statement newer,
             connection.prepare("SELECT version, name FROM schema_migrations WHERE version > ? "
                                "ORDER BY version LIMIT 1"));
  newer.bind(known);
  GANTRY_TRY(const bool has_row, newer.step());
  if (!has_row) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("{} was written by a newer gantry: it has schema version {} (\"{}\"), "
                          "this program knows versions up to {}",
                          path.string(), newer.integer(0), newer.text(1), known));
}

Result<void> apply(Connection& connection, const Migration& migration) {
  const SystemClock clock;
  GANTRY_CHECK(connection.execute("BEGIN IMMEDIATE"));
  const auto run = [&]() -> Result<void> {
    GANTRY_CHECK(connection.execute(migration.sql));
    GANTRY_TRY(
        Statement insert,
        connection.prepare(
            "INSERT INTO schema_migrations (version, name, applied_at_ms) VALUES (?, ?, ?)"));
    insert.bind(migration.version).bind(migration.name).bind(clock.now().since_epoch);
    return insert.run();
  };
  if (auto applied = run(); !applied) {
    static_cast<void>(connection.execute("ROLLBACK"));
    return fail(applied.error().code, fmt::format("migration {} \"{}\": {}", migration.version,
                                                  migration.name, applied.error().message));
  }
  return connection.execute("COMMIT");
}

Result<int> migrate(Connection& connection, const std::filesystem::path& path,
                    std::span<const Migration> migrations) {
  GANTRY_CHECK(claim_file(connection, path));
  GANTRY_CHECK(
      connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY "
                         "KEY, name TEXT NOT NULL, applied_at_ms INTEGER NOT NULL) STRICT"));
  GANTRY_CHECK(refuse_newer(connection, path, static_cast<int>(migrations.size())));
  GANTRY_TRY(const std::int64_t current,
             read_integer(connection, "SELECT max(version) FROM schema_migrations"));
  for (const Migration& migration : migrations.subspan(static_cast<std::size_t>(current)))
    GANTRY_CHECK(apply(connection, migration));
  return static_cast<int>(migrations.size());
}

}  // namespace

struct Db::Impl {
  std::filesystem::path path;
  Options options;
  int schema_version = 0;

  core::Mutex mutex;
  core::ConditionVariable changed;
  std::unique_ptr<Connection> writer GANTRY_GUARDED_BY(mutex);  // null while lent
  std::vector<std::unique_ptr<Connection>> idle_readers GANTRY_GUARDED_BY(mutex);
  std::size_t reader_count GANTRY_GUARDED_BY(mutex) = 0;  // idle and lent

  std::unique_ptr<Connection> take_writer() {
    core::Lock lock(mutex);
    while (!writer) changed.wait(lock);
    return std::move(writer);
  }

  Result<std::unique_ptr<Connection>> take_reader() {
    {
      core::Lock lock(mutex);
      while (idle_readers.empty() && reader_count >= options.readers_max) changed.wait(lock);
      if (!idle_readers.empty()) {
        auto reader = std::move(idle_readers.back());
        idle_readers.pop_back();
        return reader;
      }
      ++reader_count;
    }
    auto opened = Connection::open(path, OpenMode::ReadOnly, options.busy_timeout_ms);
    if (!opened) {
      const core::Lock lock(mutex);
      --reader_count;
    }
    return opened;
  }

  void give_back(std::unique_ptr<Connection> connection, bool is_writer) {
    {
      const core::Lock lock(mutex);
      if (is_writer)
        writer = std::move(connection);
      else
        idle_readers.push_back(std::move(connection));
    }
    changed.notify_all();
  }
};

struct Transaction::Lease {
  Db::Impl& owner;
  std::unique_ptr<Connection> connection;
  bool is_writer = false;
  bool is_open = true;

  Lease(Db::Impl& the_owner, std::unique_ptr<Connection> the_connection, bool writes)
      : owner(the_owner), connection(std::move(the_connection)), is_writer(writes) {}

  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  ~Lease() {
    // A rollback can only fail when SQLite has already rolled back.
    if (is_open) static_cast<void>(connection->execute("ROLLBACK"));
    owner.give_back(std::move(connection), is_writer);
  }
};

Transaction::Transaction(std::unique_ptr<Lease> lease) : lease_(std::move(lease)) {}

Transaction::Transaction(Transaction&& other) noexcept = default;
Transaction::~Transaction() = default;

Result<Statement> Transaction::prepare(std::string_view sql) {
  return lease_->connection->prepare(sql);
}

Result<void> Transaction::execute(std::string_view sql) {
  return lease_->connection->execute(sql);
}

Result<void> Transaction::commit() {
  GANTRY_ASSERT(lease_->is_open, "a transaction ends once");
  GANTRY_CHECK(lease_->connection->execute("COMMIT"));
  lease_->is_open = false;
  return {};
}

std::int64_t Transaction::changed_rows() const {
  return lease_->connection->changed_rows();
}

Db::Db(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Db::~Db() = default;

Result<std::unique_ptr<Db>> Db::open(const std::filesystem::path& path, Options options,
                                     std::span<const Migration> migrations) {
  GANTRY_TRY(std::unique_ptr<Connection> writer,
             Connection::open(path, OpenMode::ReadWrite, options.busy_timeout_ms));
  GANTRY_TRY(const int version, migrate(*writer, path, migrations));
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->options = options;
  impl->schema_version = version;
  {
    const core::Lock lock(impl->mutex);
    impl->writer = std::move(writer);
  }
  return std::unique_ptr<Db>(new Db(std::move(impl)));
}

Result<Transaction> Db::begin_write() {
  auto connection = impl_->take_writer();
  auto begun = connection->execute("BEGIN IMMEDIATE");
  if (!begun) {
    impl_->give_back(std::move(connection), true);
    return std::unexpected(std::move(begun).error());
  }
  return Transaction(std::make_unique<Transaction::Lease>(*impl_, std::move(connection), true));
}

Result<Transaction> Db::begin_read() {
  GANTRY_TRY(auto connection, impl_->take_reader());
  auto begun = connection->execute("BEGIN");
  if (!begun) {
    impl_->give_back(std::move(connection), false);
    return std::unexpected(std::move(begun).error());
  }
  return Transaction(std::make_unique<Transaction::Lease>(*impl_, std::move(connection), false));
}

int Db::schema_version() const {
  return impl_->schema_version;
}

}  // namespace gantry::state
