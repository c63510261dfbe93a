#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "state/connection_internal.h"

namespace gantry::state {
namespace {

constexpr std::size_t kCachedStatementsMax = 128;

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

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& path,
                                                     OpenMode mode, std::int32_t busy_timeout_ms) {
  // NOMUTEX: a connection is used by one thread at a time; the pool in Db sees to it.
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (mode == OpenMode::ReadOnly ? SQLITE_OPEN_READONLY
                                                : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Connection> connection(new Connection(handle));
  if (code != SQLITE_OK)
    return std::unexpected(connection->error(code, fmt::format("opening {}", path.string())));
  if (mode == OpenMode::ReadWrite) ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  sqlite3_busy_timeout(handle, busy_timeout_ms);
  // FULL: a commit is on disk when it returns, as for every acknowledged write of Gantry.
  GANTRY_CHECK(connection->execute(
      mode == OpenMode::ReadWrite
          ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            "PRAGMA trusted_schema=OFF;"
          : "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF;"));
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, cached] : cache_) sqlite3_finalize(cached.handle);
  sqlite3_close_v2(handle_);
}

Result<Statement> Connection::prepare(std::string_view sql) {
  const auto found = cache_.find(sql);
  if (found != cache_.end() && !found->second.is_in_use) {
    found->second.is_in_use = true;
    return Statement(*this, found->second.handle, true);
  }
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code, sql));
  const bool is_cached = found == cache_.end() && cache_.size() < kCachedStatementsMax;
  if (is_cached) cache_.emplace(sql, Cached{.handle = handle, .is_in_use = true});
  return Statement(*this, handle, is_cached);
}

Result<void> Connection::execute(std::string_view sql) {
  const int code = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code, sql.substr(0, 80)));
  return {};
}

Error Connection::error(int sqlite_code, std::string_view doing) const {
  return Error{.code = code_of(sqlite_code),
               .message = fmt::format(
                   "state database: {} ({}) in: {}",
                   handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(sqlite_code),
                   sqlite_code, doing)};
}

void Connection::give_back(sqlite3_stmt* handle, bool is_cached) {
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

std::int64_t Connection::changed_rows() const {
  return sqlite3_changes64(handle_);
}

Statement::Statement(Connection& connection, sqlite3_stmt* handle, bool is_cached)
    : connection_(&connection), handle_(handle), is_cached_(is_cached) {}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      handle_(std::exchange(other.handle_, nullptr)),
      is_cached_(other.is_cached_),
      next_parameter_(other.next_parameter_),
      bind_error_(other.bind_error_) {}

Statement::~Statement() {
  if (handle_ != nullptr) connection_->give_back(handle_, is_cached_);
}

void Statement::note(int sqlite_code) {
  if (sqlite_code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = sqlite_code;
}

Statement& Statement::bind_integer(std::int64_t value) {
  note(sqlite3_bind_int64(handle_, next_parameter_++, value));
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  // A null pointer would bind NULL; an empty text is not that.
  note(sqlite3_bind_text64(handle_, next_parameter_++, text.data() == nullptr ? "" : text.data(),
                           text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(std::span<const std::byte> blob) {
  note(sqlite3_bind_blob64(handle_, next_parameter_++,
                           blob.empty() ? "" : static_cast<const void*>(blob.data()), blob.size(),
                           SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind(std::optional<std::int64_t> value) {
  return value ? bind_integer(*value) : bind_null();
}

Statement& Statement::bind_null() {
  note(sqlite3_bind_null(handle_, next_parameter_++));
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_ != SQLITE_OK)
    return std::unexpected(connection_->error(bind_error_, sqlite3_sql(handle_)));
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(connection_->error(code, sqlite3_sql(handle_)));
}

Result<void> Statement::run() {
  while (true) {
    GANTRY_TRY(const bool has_row, step());
    if (!has_row) return {};
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string_view Statement::text(int column) const {
  const void* const data = sqlite3_column_text(handle_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::span<const std::byte> Statement::blob(int column) const {
  const void* const data = sqlite3_column_blob(handle_, column);
  if (data == nullptr) return {};
  return {static_cast<const std::byte*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

}  // namespace gantry::state
