#include <cerrno>
#include <map>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/connection_internal.h"

namespace gantry::state {
namespace {

constexpr std::size_t kCachedStatementsMax = 128;

// "Gnty" in the file's header: tells our file from somebody else's database.
constexpr std::int64_t kApplicationId = 0x476e7479;

Code code_of(int sqlite_code) {
  switch (sqlite_code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return Code::AlreadyExists;
    default:
      break;
  }
  switch (sqlite_code & 0xff) {
    case SQLITE_CONSTRAINT:
      return Code::FailedPrecondition;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::Unavailable;
    case SQLITE_FULL:
      return Code::ResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::DataLoss;
    default:
      return Code::Internal;
  }
}

Error sqlite_error(sqlite3* handle, int sqlite_code, std::string_view doing) {
  return Error{.code = code_of(sqlite_code),
               .message = fmt::format(
                   "state database: {} ({}) in: {}",
                   handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(sqlite_code),
                   sqlite_code, doing)};
}

class SqliteConnection final : public Connection {
 public:
  static Result<std::unique_ptr<SqliteConnection>> open(const std::filesystem::path& path,
                                                        TransactionKind kind,
                                                        std::int32_t busy_timeout_ms,
                                                        const ErrorCounts& counts);
  ~SqliteConnection() override;

  Result<void> begin(TransactionKind kind) override {
    return execute(kind == TransactionKind::Read ? "BEGIN" : "BEGIN IMMEDIATE");
  }

  Result<void> commit() override { return execute("COMMIT"); }

  // It can only fail when SQLite has already rolled back.
  void rollback() override { static_cast<void>(execute("ROLLBACK")); }

  Result<std::unique_ptr<StatementBody>> prepare(std::string_view sql) override;
  Result<void> execute(std::string_view sql) override;

  [[nodiscard]] std::int64_t changed_rows() const override { return sqlite3_changes64(handle_); }

  Result<void> announce(std::int64_t) override { return {}; }

  [[nodiscard]] bool is_lost() const override { return false; }

  /// Our error for a SQLite result code, with SQLite's message and what was being done.
  [[nodiscard]] Error error(int sqlite_code, std::string_view doing) const {
    return counts_.counted(sqlite_error(handle_, sqlite_code, doing));
  }

  /// A statement is no longer used: reset it for the next time.
  void give_back(sqlite3_stmt* handle, bool is_cached);

  [[nodiscard]] sqlite3* handle() { return handle_; }

 private:
  struct Cached {
    sqlite3_stmt* handle = nullptr;
    bool is_in_use = false;
  };

  SqliteConnection(sqlite3* handle, const ErrorCounts& counts) : handle_(handle), counts_(counts) {}

  sqlite3* handle_;
  const ErrorCounts& counts_;
  std::map<std::string, Cached, std::less<>> cache_;
};

class SqliteStatement final : public StatementBody {
 public:
  SqliteStatement(SqliteConnection& connection, sqlite3_stmt* handle, bool is_cached)
      : connection_(connection), handle_(handle), is_cached_(is_cached) {}

  ~SqliteStatement() override { connection_.give_back(handle_, is_cached_); }

  void bind_integer(std::int64_t value) override {
    note(sqlite3_bind_int64(handle_, next_parameter_++, value));
  }

  void bind_text(std::string_view text) override {
    // A null pointer would bind NULL; an empty text is not that.
    note(sqlite3_bind_text64(handle_, next_parameter_++, text.data() == nullptr ? "" : text.data(),
                             text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  }

  void bind_blob(std::span<const std::byte> blob) override {
    note(sqlite3_bind_blob64(handle_, next_parameter_++,
                             blob.empty() ? "" : static_cast<const void*>(blob.data()), blob.size(),
                             SQLITE_TRANSIENT));
  }

  void bind_null() override { note(sqlite3_bind_null(handle_, next_parameter_++)); }

  Result<bool> step() override {
    if (bind_error_ != SQLITE_OK)
      return std::unexpected(connection_.error(bind_error_, sqlite3_sql(handle_)));
    if (is_done_) return false;  // SQLite would begin again
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    is_done_ = true;
    if (code == SQLITE_DONE) return false;
    return std::unexpected(connection_.error(code, sqlite3_sql(handle_)));
  }

  [[nodiscard]] std::int64_t integer(int column) const override {
    return sqlite3_column_int64(handle_, column);
  }

  [[nodiscard]] std::string_view text(int column) const override {
    const void* const data = sqlite3_column_text(handle_, column);
    if (data == nullptr) return {};
    return {static_cast<const char*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
  }

  [[nodiscard]] std::span<const std::byte> blob(int column) const override {
    const void* const data = sqlite3_column_blob(handle_, column);
    if (data == nullptr) return {};
    return {static_cast<const std::byte*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
  }

  [[nodiscard]] bool is_null(int column) const override {
    return sqlite3_column_type(handle_, column) == SQLITE_NULL;
  }

 private:
  void note(int sqlite_code) {
    if (sqlite_code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = sqlite_code;
  }

  SqliteConnection& connection_;
  sqlite3_stmt* handle_;
  bool is_cached_;
  bool is_done_ = false;
  int next_parameter_ = 1;
  int bind_error_ = SQLITE_OK;
};

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::filesystem::path& path,
                                                                 TransactionKind kind,
                                                                 std::int32_t busy_timeout_ms,
                                                                 const ErrorCounts& counts) {
  const bool is_read = kind == TransactionKind::Read;
  // NOMUTEX: a connection is used by one thread at a time; the pool in Db sees to it.
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (is_read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(handle, counts));
  if (code != SQLITE_OK)
    return std::unexpected(connection->error(code, fmt::format("opening {}", path.string())));
  if (!is_read) ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  sqlite3_busy_timeout(handle, busy_timeout_ms);
  // FULL: a commit is on disk when it returns, as for every acknowledged write of Gantry.
  // case_sensitive_like: as on PostgreSQL.
  GANTRY_CHECK(connection->execute(
      is_read ? "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA case_sensitive_like=ON;"
              : "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                "PRAGMA trusted_schema=OFF; PRAGMA case_sensitive_like=ON;"));
  return connection;
}

SqliteConnection::~SqliteConnection() {
  for (auto& [sql, cached] : cache_) sqlite3_finalize(cached.handle);
  sqlite3_close_v2(handle_);
}

Result<std::unique_ptr<StatementBody>> SqliteConnection::prepare(std::string_view sql) {
  const auto found = cache_.find(sql);
  if (found != cache_.end() && !found->second.is_in_use) {
    found->second.is_in_use = true;
    return std::make_unique<SqliteStatement>(*this, found->second.handle, true);
  }
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code, sql));
  const bool is_cached = found == cache_.end() && cache_.size() < kCachedStatementsMax;
  if (is_cached) cache_.emplace(sql, Cached{.handle = handle, .is_in_use = true});
  return std::make_unique<SqliteStatement>(*this, handle, is_cached);
}

Result<void> SqliteConnection::execute(std::string_view sql) {
  const int code = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code, sql.substr(0, 80)));
  return {};
}

void SqliteConnection::give_back(sqlite3_stmt* handle, bool is_cached) {
  if (!is_cached) {
    sqlite3_finalize(handle);
    return;
  }
  sqlite3_reset(handle);
  sqlite3_clear_bindings(handle);
  const auto found = cache_.find(std::string_view(sqlite3_sql(handle)));
  GANTRY_ASSERT(found != cache_.end(), "a cached statement is in the cache");
  found->second.is_in_use = false;
}

Result<std::int64_t> read_integer(Connection& connection, std::string_view sql) {
  GANTRY_TRY(const std::unique_ptr<StatementBody> statement, connection.prepare(sql));
  GANTRY_TRY(const bool has_row, statement->step());
  return has_row ? statement->integer(0) : 0;
}

class SqliteBackend final : public Backend {
 public:
  SqliteBackend(std::filesystem::path path, const Db::Options& options)
      : path_(std::move(path)),
        name_(path_.string()),
        busy_timeout_ms_(options.busy_timeout_ms),
        counts_(options.registry) {}

  Result<std::unique_ptr<Connection>> connect(TransactionKind kind) override {
    return SqliteConnection::open(path_, kind, busy_timeout_ms_, counts_);
  }

  Result<void> claim(Connection& connection) override {
    GANTRY_TRY(const std::int64_t id, read_integer(connection, "PRAGMA application_id"));
    if (id == kApplicationId) return {};
    GANTRY_TRY(const std::int64_t tables,
               read_integer(connection, "SELECT count(*) FROM sqlite_schema"));
    if (id != 0 || tables != 0)
      return fail(Code::FailedPrecondition,
                  fmt::format("{} is a SQLite database but not Gantry's", name_));
    return connection.execute(fmt::format("PRAGMA application_id={}", kApplicationId));
  }

  [[nodiscard]] std::string translate(std::string_view migration) const override {
    return std::string(migration);
  }

  Result<std::unique_ptr<EpochConnection>> listen() override { return nullptr; }

  Result<void> backup(const std::filesystem::path& to) override;

  [[nodiscard]] bool is_shared() const override { return false; }

  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  Result<void> copy_to(const std::filesystem::path& target);

  std::filesystem::path path_;
  std::string name_;
  std::int32_t busy_timeout_ms_;
  ErrorCounts counts_;
};

Result<void> SqliteBackend::copy_to(const std::filesystem::path& target) {
  GANTRY_TRY(const auto source,
             SqliteConnection::open(path_, TransactionKind::Read, busy_timeout_ms_, counts_));
  sqlite3* copy = nullptr;
  const std::unique_ptr<sqlite3*, void (*)(sqlite3**)> closer(
      &copy, [](sqlite3** handle) { sqlite3_close_v2(*handle); });
  const auto copy_error = [&](int code) {
    return std::unexpected(
        counts_.counted(sqlite_error(copy, code, fmt::format("copying to {}", target.string()))));
  };
  const int opened = sqlite3_open_v2(target.c_str(), &copy,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, nullptr);
  if (opened != SQLITE_OK) return copy_error(opened);
  sqlite3_backup* const backup = sqlite3_backup_init(copy, "main", source->handle(), "main");
  if (backup == nullptr) return copy_error(sqlite3_extended_errcode(copy));
  // All pages in one step: one read snapshot, which keeps no writer of a WAL database waiting. In
  // several steps every commit in between would begin the copy again.
  const int stepped = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) return copy_error(finished != SQLITE_OK ? finished : stepped);
  return {};
}

Error file_error(std::string_view doing, const std::filesystem::path& path) {
  const int number = errno;
  return Error{
      .code = number == ENOSPC || number == EDQUOT ? Code::ResourceExhausted : Code::Internal,
      .message =
          fmt::format("{} {}: {}", doing, path.string(), std::generic_category().message(number))};
}

Result<void> sync_path(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(file_error("opening", path));
  const bool is_synced = ::fsync(fd) == 0;
  Error error = file_error("syncing", path);
  ::close(fd);
  if (!is_synced) return std::unexpected(std::move(error));
  return {};
}

Result<void> SqliteBackend::backup(const std::filesystem::path& to) {
  std::error_code ignored;  // either file may be missing
  if (std::filesystem::equivalent(path_, to, ignored))
    return fail(Code::InvalidArgument,
                fmt::format("{} is the database itself, not a place for its backup", to.string()));
  std::filesystem::path temporary = to;
  temporary += ".tmp";
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return std::unexpected(file_error("creating", temporary));
  ::close(fd);
  auto copied = copy_to(temporary);
  if (copied) copied = sync_path(temporary);
  if (copied && ::rename(temporary.c_str(), to.c_str()) != 0)
    copied = std::unexpected(file_error("renaming to", to));
  if (!copied) {
    ::unlink(temporary.c_str());
    return copied;
  }
  return sync_path(to.parent_path().empty() ? "." : to.parent_path());
}

}  // namespace

std::unique_ptr<Backend> make_sqlite_backend(std::filesystem::path path,
                                             const Db::Options& options) {
  return std::make_unique<SqliteBackend>(std::move(path), options);
}

}  // namespace gantry::state
