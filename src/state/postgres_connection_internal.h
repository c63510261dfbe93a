#pragma once

// One PostgreSQL connection and its prepared statements.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "state/postgres_session_internal.h"

namespace gantry::state {

/// One thread.
class PostgresConnection final : public Connection {
 public:
  PostgresConnection(PgConn connection, const ErrorCounts& counts)
      : connection_(std::move(connection)), counts_(counts) {}

  struct Prepared {
    std::string name;
    std::vector<Oid> parameters;
    bool is_cached = false;
    bool is_read = false;  ///< It changes nothing: no savepoint.
  };

  /// A bound value, as libpq wants it.
  struct Value {
    enum class Kind : std::uint8_t { Null, Integer, Text, Blob };

    Kind kind = Kind::Null;
    std::string bytes;
  };

  Result<void> begin(TransactionKind kind) override;
  Result<void> commit() override;
  void rollback() override;
  Result<std::unique_ptr<StatementBody>> prepare(std::string_view sql) override;
  Result<void> execute(std::string_view sql) override;

  [[nodiscard]] std::int64_t changed_rows() const override { return changed_rows_; }

  Result<void> announce(std::int64_t epoch) override;
  [[nodiscard]] bool is_lost() const override;

  /// Runs a prepared statement; values that are missing at the end are null.
  Result<PgResult> run(const Prepared& prepared, std::span<const Value> values,
                       std::string_view sql);

  /// A statement that is not in the cache is no longer used.
  void forget(const Prepared& prepared);

  [[nodiscard]] Error counted(Error error) const { return counts_.counted(std::move(error)); }

 private:
  Result<PgResult> query(const std::string& sql, std::string_view doing);
  Result<Prepared> make_prepared(std::string_view sql);
  template <class Work>
  Result<PgResult> in_savepoint(bool is_read, std::string_view doing, Work work);

  PgConn connection_;
  const ErrorCounts& counts_;
  std::map<std::string, Prepared, std::less<>> cache_;
  std::uint64_t prepared_count_ = 0;
  std::int64_t changed_rows_ = 0;
  bool is_write_ = false;
  bool has_savepoint_ = false;
};

}  // namespace gantry::state
