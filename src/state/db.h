#pragma once

// The control-plane database: SQLite behind three classes.
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
#include "state/schema.h"

struct sqlite3_stmt;

namespace gantry::state {

class Connection;

/// A prepared statement with `?` placeholders, bound in order. Belongs to the transaction that made
/// it and must not outlive it. A binding that fails is reported by the next step.
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

  Statement& bind(std::string_view text);
  Statement& bind(std::span<const std::byte> blob);
  Statement& bind(std::optional<std::int64_t> value);
  Statement& bind_null();

  /// Moves to the next row; false after the last. Errors: AlreadyExists (unique),
  /// FailedPrecondition (another constraint), ResourceExhausted (disk full), Unavailable (busy),
  /// Internal, DataLoss.
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
  friend class Connection;
  Statement(Connection& connection, sqlite3_stmt* handle, bool is_cached);
  Statement& bind_integer(std::int64_t value);
  void note(int sqlite_code);

  Connection* connection_;
  sqlite3_stmt* handle_;
  bool is_cached_;
  int next_parameter_ = 1;
  int bind_error_ = 0;
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

  /// On disk when it returns. The transaction is over either way.
  Result<void> commit();

  /// Rows changed by the last statement that ran.
  [[nodiscard]] std::int64_t changed_rows() const;

 private:
  friend class Db;
  struct Lease;
  explicit Transaction(std::unique_ptr<Lease> lease);

  std::unique_ptr<Lease> lease_;
};

/// Thread-safe.
class Db {
 public:
  struct Options {
    std::int32_t busy_timeout_ms = 5'000;
    std::size_t readers_max = 4;  ///< Connections kept for reads; more readers at once wait.
  };

  /// Opens or creates the file (mode 0600) and applies the migrations that it has not seen. Errors:
  /// FailedPrecondition (not our file, or a newer schema: the message names it), Internal,
  /// DataLoss.
  static Result<std::unique_ptr<Db>> open(const std::filesystem::path& path, Options options,
                                          std::span<const Migration> migrations);

  ~Db();
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;

  /// Waits for other writers. A thread must not hold two transactions at once.
  Result<Transaction> begin_write();

  /// A snapshot as of its first statement.
  Result<Transaction> begin_read();

  /// Schema version the file has: the number of its last migration.
  [[nodiscard]] int schema_version() const;

 private:
  friend class Transaction;
  struct Impl;
  explicit Db(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::state
