#pragma once

// What a Db needs of a database: SQLite (sqlite_connection.cc) and PostgreSQL
// (postgres_connection.cc) each implement these.

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/metrics.h"
#include "state/auth_epoch.h"
#include "state/db.h"

namespace gantry::state {

/// gantry_state_errors_total: what an operator should know of, not broken constraints. Thread-safe.
class ErrorCounts {
 public:
  /// `registry` may be null: nothing is counted.
  explicit ErrorCounts(core::MetricRegistry* registry);

  /// Counts `error` and gives it back.
  [[nodiscard]] Error counted(Error error) const;

 private:
  static constexpr std::array kCounted = {Code::Unavailable, Code::ResourceExhausted,
                                          Code::Internal, Code::DataLoss};
  std::array<core::Counter*, kCounted.size()> counters_{};
};

/// What a Statement promises, for one back end.
class StatementBody {
 public:
  StatementBody() = default;
  StatementBody(const StatementBody&) = delete;
  StatementBody& operator=(const StatementBody&) = delete;
  virtual ~StatementBody() = default;

  virtual void bind_integer(std::int64_t value) = 0;
  virtual void bind_text(std::string_view text) = 0;
  virtual void bind_blob(std::span<const std::byte> blob) = 0;
  virtual void bind_null() = 0;
  virtual Result<bool> step() = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual std::string_view text(int column) const = 0;
  [[nodiscard]] virtual std::span<const std::byte> blob(int column) const = 0;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
};

enum class TransactionKind : std::uint8_t {
  Read,
  Write,
  Migration,  ///< A write that may wait and take longer.
};

/// One connection and its statement cache. Used by one thread at a time.
class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  virtual Result<void> begin(TransactionKind kind) = 0;
  virtual Result<void> commit() = 0;
  virtual void rollback() = 0;

  virtual Result<std::unique_ptr<StatementBody>> prepare(std::string_view sql) = 0;
  virtual Result<void> execute(std::string_view sql) = 0;
  [[nodiscard]] virtual std::int64_t changed_rows() const = 0;

  /// Tells other processes of the epoch when the transaction commits.
  virtual Result<void> announce(std::int64_t epoch) = 0;

  /// It was lost, and is good for nothing but being closed.
  [[nodiscard]] virtual bool is_lost() const = 0;
};

/// Hears of epochs that other processes commit. One thread.
class EpochConnection {
 public:
  EpochConnection() = default;
  EpochConnection(const EpochConnection&) = delete;
  EpochConnection& operator=(const EpochConnection&) = delete;
  virtual ~EpochConnection() = default;

  virtual Result<AuthEpoch> read_epoch() = 0;

  /// Returns when something was announced, `wake_fd` is readable, or the time is over.
  virtual Result<void> wait(int wake_fd, DurationMs timeout) = 0;
};

/// Where connections come from. Thread-safe.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// For reads only, or for everything.
  virtual Result<std::unique_ptr<Connection>> connect(TransactionKind kind) = 0;

  /// In a transaction: takes an empty database; refuses another program's (FailedPrecondition).
  virtual Result<void> claim(Connection& connection) = 0;

  /// A migration's text in this database's words.
  [[nodiscard]] virtual std::string translate(std::string_view migration) const = 0;

  /// Null when no other process can change the database.
  virtual Result<std::unique_ptr<EpochConnection>> listen() = 0;

  virtual Result<void> backup(const std::filesystem::path& to) = 0;
  [[nodiscard]] virtual bool is_shared() const = 0;
  [[nodiscard]] virtual const std::string& name() const = 0;
};

[[nodiscard]] std::unique_ptr<Backend> make_sqlite_backend(std::filesystem::path path,
                                                           const Db::Options& options);
[[nodiscard]] Result<std::unique_ptr<Backend>> make_postgres_backend(std::string_view url,
                                                                     const Db::Options& options);

/// Applies the migrations that the database has not seen; returns its schema version.
Result<int> migrate(Backend& backend, Connection& connection,
                    std::span<const Migration> migrations);

}  // namespace gantry::state
