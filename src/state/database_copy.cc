#include "state/database_copy.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "state/connection_internal.h"

namespace gantry::state {
namespace {

/// Of one INSERT. PostgreSQL takes 65,535 parameters in a statement.
constexpr std::size_t kBatchRows = 200;

/// Migrations make the rows of this one.
constexpr std::string_view kTableWithRows = "auth_epoch";

struct Table {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::string> types;     ///< "INTEGER", "TEXT", "BLOB"
  std::string identity;               ///< The column that numbers itself; "": none.
  std::vector<std::string> referred;  ///< Tables whose rows must be there first.
};

struct Value {
  enum class Kind : std::uint8_t { Null, Integer, Text, Blob };

  Kind kind = Kind::Null;
  std::int64_t integer = 0;
  std::string bytes;  ///< Of a text or blob.
};

Result<std::vector<std::string>> read_texts(Transaction& tx, const std::string& sql) {
  GANTRY_TRY(Statement select, tx.prepare(sql));
  std::vector<std::string> texts;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return texts;
    texts.emplace_back(select.text(0));
  }
}

Result<std::int64_t> count_rows(Transaction& tx, const std::string& table) {
  GANTRY_TRY(Statement select, tx.prepare("SELECT count(*) FROM " + table));
  GANTRY_TRY(const bool has_row, select.step());
  return has_row ? select.integer(0) : 0;
}

/// Names come from the schema that this program made: they need no quoting.
Result<Table> read_table(Transaction& tx, std::string name) {
  Table table{.name = std::move(name)};
  std::size_t key_columns = 0;
  GANTRY_TRY(Statement select,
             tx.prepare(fmt::format("SELECT name, type, pk FROM pragma_table_info('{}') ORDER BY "
                                    "cid",
                                    table.name)));
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) break;
    table.columns.emplace_back(select.text(0));
    table.types.emplace_back(select.text(1));
    if (select.integer(2) == 0) continue;
    ++key_columns;
    if (table.types.back() == "INTEGER") table.identity = table.columns.back();
  }
  if (key_columns != 1) table.identity.clear();
  GANTRY_TRY(table.referred,
             read_texts(tx, fmt::format("SELECT \"table\" FROM pragma_foreign_key_list('{}')",
                                        table.name)));
  return table;
}

/// What is referred to comes before what refers to it.
Result<std::vector<Table>> read_tables(Transaction& tx) {
  GANTRY_TRY(const std::vector<std::string> names,
             read_texts(tx,
                        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> "
                        "'schema_migrations' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name"));
  std::vector<Table> waiting;
  for (const std::string& name : names) {
    GANTRY_TRY(Table table, read_table(tx, name));
    waiting.push_back(std::move(table));
  }
  std::vector<Table> ordered;
  while (!waiting.empty()) {
    const auto ready = std::ranges::find_if(waiting, [&](const Table& table) {
      return std::ranges::all_of(table.referred, [&](const std::string& other) {
        return other == table.name ||
               std::ranges::find(ordered, other, &Table::name) != ordered.end();
      });
    });
    GANTRY_ASSERT(ready != waiting.end(),
                  "tables of the schema do not refer to each other in turn");
    ordered.push_back(std::move(*ready));
    waiting.erase(ready);
  }
  return ordered;
}

Value read_value(const Statement& row, const Table& table, int column) {
  using Kind = Value::Kind;
  if (row.is_null(column)) return {};
  const std::string& type = table.types[static_cast<std::size_t>(column)];
  if (type == "INTEGER")
    return {.kind = Kind::Integer, .integer = row.integer(column), .bytes = {}};
  if (type == "TEXT")
    return {.kind = Kind::Text, .integer = 0, .bytes = std::string(row.text(column))};
  GANTRY_ASSERT(type == "BLOB", "the schema has three types");
  const auto blob = row.blob(column);
  return {.kind = Kind::Blob,
          .integer = 0,
          .bytes = std::string(reinterpret_cast<const char*>(blob.data()), blob.size())};
}

void bind_value(Statement& insert, const Value& value) {
  switch (value.kind) {
    case Value::Kind::Null:
      insert.bind_null();
      return;
    case Value::Kind::Integer:
      insert.bind(value.integer);
      return;
    case Value::Kind::Text:
      insert.bind(std::string_view(value.bytes));
      return;
    case Value::Kind::Blob:
      insert.bind(std::as_bytes(std::span(value.bytes)));
      return;
  }
}

/// `values` holds whole rows, one after the other.
Result<void> insert_rows(Transaction& to, const Table& table, const std::vector<Value>& values) {
  if (values.empty()) return {};
  const std::vector<std::string_view> marks(table.columns.size(), "?");
  const std::string row = fmt::format("({})", fmt::join(marks, ", "));
  const std::vector<std::string_view> rows(values.size() / table.columns.size(), row);
  GANTRY_TRY(Statement insert,
             to.prepare(fmt::format("INSERT INTO {} ({}) VALUES {}", table.name,
                                    fmt::join(table.columns, ", "), fmt::join(rows, ", "))));
  for (const Value& value : values) bind_value(insert, value);
  return insert.run();
}

Result<void> copy_rows(Transaction& from, Transaction& to, const Table& table) {
  GANTRY_TRY(
      Statement select,
      from.prepare(fmt::format("SELECT {} FROM {}", fmt::join(table.columns, ", "), table.name)));
  std::vector<Value> values;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return insert_rows(to, table, values);
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      values.push_back(read_value(select, table, static_cast<int>(column)));
    if (values.size() < kBatchRows * table.columns.size()) continue;
    GANTRY_CHECK(insert_rows(to, table, values));
    values.clear();
  }
}

/// Rows came with their numbers: the next one that numbers itself goes on after them.
Result<void> raise_identity(Transaction& to, const Table& table) {
  if (table.identity.empty()) return {};
  GANTRY_TRY(Statement raise,
             to.prepare(fmt::format("SELECT setval(pg_get_serial_sequence('{0}', '{1}'), "
                                    "coalesce(max({1}), 0) + 1, false) FROM {0}",
                                    table.name, table.identity)));
  return raise.run();
}

Result<void> refuse_rows(Transaction& to, const Table& table, const std::string& database) {
  if (table.name == kTableWithRows) return to.execute(fmt::format("DELETE FROM {}", table.name));
  GANTRY_TRY(const std::int64_t count, count_rows(to, table.name));
  if (count == 0) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("{} is not empty: {} has {} rows", database, table.name, count));
}

}  // namespace

Result<void> backup_file(const std::filesystem::path& database, const std::filesystem::path& to) {
  std::error_code ignored;
  if (!std::filesystem::exists(database, ignored))
    return fail(Code::NotFound, fmt::format("there is no {}", database.string()));
  if (std::filesystem::exists(std::filesystem::symlink_status(to, ignored)))
    return fail(Code::AlreadyExists,
                fmt::format("{} exists, and a backup overwrites nothing", to.string()));
  const std::unique_ptr<Backend> backend = make_sqlite_backend(database, {});
  {
    GANTRY_TRY(const std::unique_ptr<Connection> connection,
               backend->connect(TransactionKind::Read));
    GANTRY_CHECK(backend->claim(*connection));
  }
  return backend->backup(to);
}

Result<void> check_copy_target(std::string_view url) {
  GANTRY_TRY(const std::unique_ptr<Backend> backend, make_postgres_backend(url, {}));
  GANTRY_TRY(const std::unique_ptr<Connection> connection, backend->connect(TransactionKind::Read));
  GANTRY_CHECK(connection->begin(TransactionKind::Read));
  const auto look = [&]() -> Result<void> {
    GANTRY_CHECK(backend->claim(*connection));
    GANTRY_TRY(const auto find,
               connection->prepare("SELECT count(*) FROM information_schema.tables WHERE "
                                   "table_schema = current_schema() AND table_name = "
                                   "'organisations'"));
    GANTRY_TRY(const bool has_row, find->step());
    if (!has_row || find->integer(0) == 0) return {};
    GANTRY_TRY(const auto count, connection->prepare("SELECT count(*) FROM organisations"));
    GANTRY_TRY(const bool has_count, count->step());
    if (!has_count || count->integer(0) == 0) return {};
    return fail(
        Code::FailedPrecondition,
        fmt::format("{} has organisations already: copy into an empty database", backend->name()));
  };
  auto looked = look();
  connection->rollback();
  return looked;
}

Result<std::vector<CopiedTable>> copy_database(Db& from, Db& to) {
  if (from.schema_version() != to.schema_version())
    return fail(Code::FailedPrecondition,
                fmt::format("{} has schema version {}, {} has {}", from.name(),
                            from.schema_version(), to.name(), to.schema_version()));
  GANTRY_TRY(Transaction source, from.begin_read());
  GANTRY_TRY(const std::vector<Table> tables, read_tables(source));
  GANTRY_TRY(Transaction target, to.begin_write());
  for (const Table& table : tables) GANTRY_CHECK(refuse_rows(target, table, to.name()));
  std::vector<CopiedTable> copied;
  for (const Table& table : tables) {
    GANTRY_CHECK(copy_rows(source, target, table));
    GANTRY_CHECK(raise_identity(target, table));
    GANTRY_TRY(const std::int64_t left, count_rows(source, table.name));
    GANTRY_TRY(const std::int64_t arrived, count_rows(target, table.name));
    if (left != arrived)
      return fail(Code::DataLoss, fmt::format("{}: {} rows left, {} arrived; nothing was kept",
                                              table.name, left, arrived));
    copied.push_back({.name = table.name, .row_count = arrived});
  }
  GANTRY_CHECK(target.commit());
  return copied;
}

}  // namespace gantry::state
