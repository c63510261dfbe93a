#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "state/dialect_internal.h"
#include "state/postgres_connection_internal.h"

namespace gantry::state {
namespace {

constexpr std::size_t kCachedStatementsMax = 128;

// The writers' lock ("Gnty"): PostgreSQL's writers, in all replicas, take turns as SQLite's do. A
// lock of the database, so that two Gantrys in one server do not meet.
constexpr std::string_view kTakeWritersLock = "SELECT pg_advisory_xact_lock(1198421113)";

bool is_read_only(std::string_view sql) {
  while (!sql.empty() && (sql.front() == ' ' || sql.front() == '\n')) sql.remove_prefix(1);
  return sql.starts_with("SELECT");
}

std::int64_t parse_integer(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int hex_digit(char c) {
  return c <= '9' ? c - '0' : c - 'a' + 10;
}

/// "\x00ff" as PostgreSQL writes bytes (bytea_output = hex).
std::string decode_bytes(std::string_view hex) {
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 2; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(hex_digit(hex[i]) * 16 + hex_digit(hex[i + 1]));
  return bytes;
}

class PostgresStatement final : public StatementBody {
 public:
  using Value = PostgresConnection::Value;

  PostgresStatement(PostgresConnection& connection, PostgresConnection::Prepared prepared,
                    std::string_view sql)
      : connection_(connection), prepared_(std::move(prepared)), sql_(sql) {}

  ~PostgresStatement() override {
    if (!prepared_.is_cached) connection_.forget(prepared_);
  }

  void bind_integer(std::int64_t value) override {
    values_.push_back({.kind = Value::Kind::Integer, .bytes = fmt::format("{}", value)});
  }

  void bind_text(std::string_view text) override {
    values_.push_back({.kind = Value::Kind::Text, .bytes = std::string(text)});
  }

  void bind_blob(std::span<const std::byte> blob) override {
    Value value{.kind = Value::Kind::Blob, .bytes = {}};
    for (const std::byte byte : blob) value.bytes += static_cast<char>(byte);
    values_.push_back(std::move(value));
  }

  void bind_null() override { values_.emplace_back(); }

  Result<bool> step() override {
    if (!has_run_) {
      has_run_ = true;
      GANTRY_TRY(result_, connection_.run(prepared_, values_, sql_));
    }
    if (row_ + 1 >= PQntuples(result_.get())) return false;
    ++row_;
    decode_row();
    return true;
  }

  [[nodiscard]] std::int64_t integer(int column) const override {
    if (PQftype(result_.get(), column) == kPgBool) return cell(column) == "t" ? 1 : 0;
    return parse_integer(cell(column));
  }

  [[nodiscard]] std::string_view text(int column) const override { return cell(column); }

  [[nodiscard]] std::span<const std::byte> blob(int column) const override {
    return std::as_bytes(std::span(cell(column)));
  }

  [[nodiscard]] bool is_null(int column) const override {
    return PQgetisnull(result_.get(), row_, column) != 0;
  }

 private:
  [[nodiscard]] std::string_view cell(int column) const {
    const auto& decoded = decoded_[static_cast<std::size_t>(column)];
    if (decoded) return *decoded;
    return {PQgetvalue(result_.get(), row_, column),
            static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
  }

  void decode_row() {
    const int columns = PQnfields(result_.get());
    decoded_.assign(static_cast<std::size_t>(columns), std::nullopt);
    for (int column = 0; column < columns; ++column)
      if (PQftype(result_.get(), column) == kPgBytes && !is_null(column)) {
        const std::string_view hex = cell(column);
        decoded_[static_cast<std::size_t>(column)] = decode_bytes(hex);
      }
  }

  PostgresConnection& connection_;
  PostgresConnection::Prepared prepared_;
  std::string sql_;
  std::vector<Value> values_;
  PgResult result_;
  int row_ = -1;
  bool has_run_ = false;
  std::vector<std::optional<std::string>> decoded_;  // of the row's columns, those that are bytes
};

/// PostgreSQL would read text as the escaped form of bytes, and bytes as text: SQLite's STRICT
/// tables refuse both.
Result<void> check_types(const PostgresConnection::Prepared& prepared,
                         std::span<const PostgresConnection::Value> values, std::string_view sql) {
  using Kind = PostgresConnection::Value::Kind;
  if (values.size() > prepared.parameters.size())
    return fail(Code::Internal, fmt::format("state database: {} values for {} placeholders in: {}",
                                            values.size(), prepared.parameters.size(), sql));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool wants_bytes = prepared.parameters[i] == kPgBytes;
    const bool has_bytes = values[i].kind == Kind::Blob;
    if (values[i].kind != Kind::Null && wants_bytes != has_bytes)
      return fail(
          Code::FailedPrecondition,
          fmt::format("state database: placeholder {} {} bytes, which {} bound in: {}", i + 1,
                      wants_bytes ? "wants" : "does not want", has_bytes ? "are" : "are not", sql));
  }
  return {};
}

}  // namespace

bool PostgresConnection::is_lost() const {
  return PQstatus(connection_.get()) != CONNECTION_OK;
}

Result<PgResult> PostgresConnection::query(const std::string& sql, std::string_view doing) {
  PgResult result(PQexec(connection_.get(), sql.c_str()));
  if (!is_success(result.get()))
    return std::unexpected(counts_.counted(postgres_error(connection_.get(), result.get(), doing)));
  return result;
}

Result<void> PostgresConnection::begin(TransactionKind kind) {
  has_savepoint_ = false;
  is_write_ = kind != TransactionKind::Read;
  std::string sql;
  switch (kind) {
    case TransactionKind::Read:
      sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
      break;
    case TransactionKind::Write:
      // Read committed: a snapshot made before the lock was granted would not have the last
      // writer's rows.
      sql = fmt::format("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {}", kTakeWritersLock);
      break;
    case TransactionKind::Migration:
      sql = fmt::format(
          "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = 0;"
          "SET LOCAL lock_timeout = '60s'; {}",
          kTakeWritersLock);
      break;
  }
  auto begun = query(sql, "beginning a transaction");
  if (begun) return {};
  rollback();
  return std::unexpected(std::move(begun).error());
}

Result<void> PostgresConnection::commit() {
  GANTRY_TRY(const PgResult result, query("COMMIT", "COMMIT"));
  // The server answers COMMIT of a failed transaction with a rollback, and calls that a success.
  if (std::string_view(PQcmdStatus(result.get())) != "COMMIT")
    return std::unexpected(
        counted({.code = Code::Internal,
                 .message = "state database: not committed, a statement had failed before"}));
  return {};
}

void PostgresConnection::rollback() {
  if (is_lost()) return;
  const PgResult ignored(PQexec(connection_.get(), "ROLLBACK"));
}

template <class Work>
Result<PgResult> PostgresConnection::in_savepoint(bool is_read, std::string_view doing, Work work) {
  const bool has_savepoint = is_write_ && !is_read;
  if (has_savepoint) {
    // Without it a failed statement would end the transaction; on SQLite it does not.
    GANTRY_CHECK(query(
        has_savepoint_ ? "RELEASE SAVEPOINT gantry; SAVEPOINT gantry" : "SAVEPOINT gantry", doing));
    has_savepoint_ = true;
  }
  PgResult result = work();
  if (is_success(result.get())) {
    const std::string_view status = PQcmdStatus(result.get());
    if (!status.starts_with("SELECT") && *PQcmdTuples(result.get()) != '\0')
      changed_rows_ = parse_integer(PQcmdTuples(result.get()));
    return result;
  }
  Error error = counted(postgres_error(connection_.get(), result.get(), doing));
  if (has_savepoint && !is_lost())
    const PgResult ignored(PQexec(connection_.get(), "ROLLBACK TO SAVEPOINT gantry"));
  return std::unexpected(std::move(error));
}

Result<PostgresConnection::Prepared> PostgresConnection::make_prepared(std::string_view sql) {
  Prepared prepared{.name = fmt::format("gantry_{}", ++prepared_count_),
                    .parameters = {},
                    .is_cached = cache_.size() < kCachedStatementsMax,
                    .is_read = is_read_only(sql)};
  const PgResult made(PQprepare(connection_.get(), prepared.name.c_str(),
                                to_numbered_placeholders(sql).c_str(), 0, nullptr));
  if (!is_success(made.get()))
    return std::unexpected(counted(postgres_error(connection_.get(), made.get(), sql)));
  const PgResult described(PQdescribePrepared(connection_.get(), prepared.name.c_str()));
  if (!is_success(described.get()))
    return std::unexpected(counted(postgres_error(connection_.get(), described.get(), sql)));
  for (int i = 0; i < PQnparams(described.get()); ++i)
    prepared.parameters.push_back(PQparamtype(described.get(), i));
  return prepared;
}

Result<std::unique_ptr<StatementBody>> PostgresConnection::prepare(std::string_view sql) {
  auto found = cache_.find(sql);
  if (found == cache_.end()) {
    GANTRY_TRY(Prepared prepared, make_prepared(sql));
    if (!prepared.is_cached)
      return std::make_unique<PostgresStatement>(*this, std::move(prepared), sql);
    found = cache_.emplace(sql, std::move(prepared)).first;
  }
  return std::make_unique<PostgresStatement>(*this, found->second, sql);
}

Result<PgResult> PostgresConnection::run(const Prepared& prepared, std::span<const Value> values,
                                         std::string_view sql) {
  GANTRY_CHECK(check_types(prepared, values, sql));
  const std::size_t count = prepared.parameters.size();
  std::vector<const char*> pointers(count, nullptr);
  std::vector<int> lengths(count, 0);
  std::vector<int> formats(count, 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].kind == Value::Kind::Null) continue;
    pointers[i] = values[i].bytes.c_str();
    lengths[i] = static_cast<int>(values[i].bytes.size());
    formats[i] = values[i].kind == Value::Kind::Blob ? 1 : 0;
  }
  return in_savepoint(prepared.is_read, sql, [&] {
    return PgResult(PQexecPrepared(connection_.get(), prepared.name.c_str(),
                                   static_cast<int>(count), pointers.data(), lengths.data(),
                                   formats.data(), 0));
  });
}

void PostgresConnection::forget(const Prepared& prepared) {
  if (is_lost()) return;
  // In a failed transaction it is refused; the name is never used again.
  const PgResult ignored(
      PQexec(connection_.get(), fmt::format("DEALLOCATE {}", prepared.name).c_str()));
}

Result<void> PostgresConnection::execute(std::string_view sql) {
  auto result = in_savepoint(false, sql.substr(0, 80), [&] {
    return PgResult(PQexec(connection_.get(), std::string(sql).c_str()));
  });
  if (!result) return std::unexpected(std::move(result).error());
  return {};
}

Result<void> PostgresConnection::announce(std::int64_t epoch) {
  GANTRY_TRY(const auto notify, prepare("SELECT pg_notify('gantry_auth', ?)"));
  notify->bind_text(fmt::format("{}", epoch));
  GANTRY_TRY([[maybe_unused]] const bool has_row, notify->step());
  return {};
}

}  // namespace gantry::state
