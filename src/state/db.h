#pragma once

// The control-plane database: SQLite or PostgreSQL behind three classes. One SQL text serves both
// when it keeps to the rules in README.md.
//
//   GANTRY_TRY(auto db, state::Db::open(path, {}, state::migrations()));
//   GANTRY_TRY(state::Transaction tx, db->begin_write());
//   GANTRY_TRY(state::Statement insert, tx.prepare("INSERT INTO stacks (id, slug) VALUES (?, ?)"));
//   insert.bind(1000000).bind("main");
//   GANTRY_CHECK(insert.run());
//   GANTRY_CHECK(tx.commit());
//
// Every call may block on disk: never from an I/O thread.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "state/schema.h"

namespace gantry::state {

class ChangeListener;
class StatementBody;

/// A prepared statement with `?` placeholders, bound in order. Belongs to the transaction that made
/// it and must not outlive it. A binding that fails is reported by the next step. Runs once.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  template <std::integral T>
  Statement& bind(T value) {
    return bind_integer(static_cast<std::int64_t>(value));
  }

  /// Valid UTF-8 without NUL; anything else is InvalidArgument at the next step.
  Statement& bind(std::string_view text);
  Statement& bind(std::span<const std::byte> blob);
  Statement& bind(std::optional<std::int64_t> value);
  Statement& bind_null();

  /// Moves to the next row; false after the last. An error leaves the transaction as it was before
  /// this statement. Errors: AlreadyExists (unique), FailedPrecondition (another constraint or the
  /// wrong type), InvalidArgument (text), ResourceExhausted (disk full), Unavailable (busy, lock
  /// time-out, connection lost), Internal, DataLoss.
  Result<bool> step();

  /// Runs a statement that has no rows to offer.
  Result<void> run();

  /// Columns of the current row, counted from 0. Views are valid until the next step.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::span<const std::byte> blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::optional<std::int64_t> optional_integer(int column) const;

 private:
  friend class Transaction;
  explicit Statement(std::unique_ptr<StatementBody> body);
  Statement& bind_integer(std::int64_t value);

  std::unique_ptr<StatementBody> body_;
  bool has_bad_text_ = false;
};

/// A unit of work on one connection; rolled back when destroyed without `commit`. Movable, one
/// thread at a time.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  /// Statements are cached by their text: pass constants.
  Result<Statement> prepare(std::string_view sql);

  /// Several statements without parameters or rows.
  Result<void> execute(std::string_view sql);

  /// On disk when it returns. The transaction is over either way. After Unavailable on PostgreSQL
  /// it may or may not have happened: the connection was lost before the answer.
  Result<void> commit();

  /// Rows changed by the last INSERT, UPDATE or DELETE that ran.
  [[nodiscard]] std::int64_t changed_rows() const;

 private:
  friend class Db;
  friend Result<void> bump_auth_epoch(Transaction& tx, TimestampMs now);
  struct Lease;
  explicit Transaction(std::unique_ptr<Lease> lease);

  std::unique_ptr<Lease> lease_;
};

/// Thread-safe.
class Db {
 public:
  struct Options {
    std::int32_t busy_timeout_ms = 5'000;        ///< The longest wait for another process's lock.
    std::int32_t statement_timeout_ms = 30'000;  ///< PostgreSQL: the longest run of one statement.
    std::size_t readers_max = 4;  ///< Connections kept for reads; more readers at once wait.
    core::MetricRegistry* registry = nullptr;  ///< For gantry_state_errors_total; outlives the Db.
  };

  /// Opens or creates the file (mode 0600) and applies the migrations that it has not seen. Errors:
  /// FailedPrecondition (not our file, or a newer schema: the message names it), Internal,
  /// DataLoss.
  static Result<std::unique_ptr<Db>> open(const std::filesystem::path& path, Options options,
                                          std::span<const Migration> migrations);

  /// The same in the PostgreSQL database that `url` (postgres://… or postgresql://…, as libpq reads
  /// them) names. Processes that start at once take turns. Nothing that it says or logs holds the
  /// password. Errors: InvalidArgument (not such a URL), Unavailable (no connection),
  /// FailedPrecondition (also: older than PostgreSQL 15, not UTF-8), Internal, DataLoss.
  static Result<std::unique_ptr<Db>> open_postgres(std::string_view url, Options options,
                                                   std::span<const Migration> migrations);

  /// Is it a URL for `open_postgres`? Connects nowhere. Errors: InvalidArgument.
  static Result<void> check_url(std::string_view url);

  /// What the setting `state.url` means: PostgreSQL, or `directory`/gantry.db when it is empty.
  static Result<std::unique_ptr<Db>> open_url(std::string_view url,
                                              const std::filesystem::path& directory,
                                              Options options,
                                              std::span<const Migration> migrations);

  ~Db();
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;

  /// Waits for other writers, on PostgreSQL also for those of other processes (Unavailable after
  /// `busy_timeout_ms`). A thread must not hold two transactions at once.
  Result<Transaction> begin_write();

  /// A snapshot as of its first statement.
  Result<Transaction> begin_read();

  /// Copies a SQLite database into the file `to` (mode 0600), which is there whole or not at all
  /// and replaces an older one. A snapshot: what is committed meanwhile is not in it, and no writer
  /// waits. Errors: InvalidArgument (`to` is the database), FailedPrecondition (PostgreSQL: pg_dump
  /// does that), ResourceExhausted, Internal.
  Result<void> backup(const std::filesystem::path& to);

  /// Schema version the database has: the number of its last migration.
  [[nodiscard]] int schema_version() const;

  /// Other processes may use the same database: it is PostgreSQL.
  [[nodiscard]] bool is_shared() const;

  /// The file, or server and database: for messages.
  [[nodiscard]] const std::string& name() const;

 private:
  friend class ChangeListener;
  friend class Transaction;
  struct Impl;
  explicit Db(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::state
