#include "state/db.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "state/testing/postgres_server.h"
#include "state/testing/test_database.h"

namespace gantry::state {
namespace {

constexpr std::array kOne = {
    Migration{.version = 1,
              .name = "things",
              .sql = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
                     "data BLOB, size INTEGER, note TEXT) STRICT;"},
};
constexpr std::array kTwo = {
    kOne[0],
    Migration{.version = 2,
              .name = "parts",
              .sql = "CREATE TABLE parts (id INTEGER PRIMARY KEY, thing INTEGER NOT NULL "
                     "REFERENCES things (id)) STRICT; INSERT INTO things (name) VALUES ('new');"},
};
constexpr std::array kBroken = {
    kOne[0],
    Migration{.version = 2,
              .name = "broken",
              .sql = "CREATE TABLE parts (id INTEGER) STRICT; CREATE TABLE things (id INTEGER);"},
};

/// What a database promises, on both.
class DbTest : public testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override {
    if (database_.is_missing()) GTEST_SKIP() << PostgresServer::why_not();
  }

  std::unique_ptr<Db> open(std::span<const Migration> migrations = kTwo, Db::Options options = {}) {
    auto db = database_.open(migrations, options);
    EXPECT_TRUE(db) << (db ? "" : db.error().message);
    return db ? *std::move(db) : nullptr;
  }

  static Result<void> insert(Db& db, std::string_view name) {
    GANTRY_TRY(Transaction tx, db.begin_write());
    {
      GANTRY_TRY(Statement statement, tx.prepare("INSERT INTO things (name) VALUES (?)"));
      statement.bind(name);
      GANTRY_CHECK(statement.run());
    }
    return tx.commit();
  }

  static std::int64_t count(Transaction& tx) {
    auto statement = tx.prepare("SELECT count(*) FROM things");
    EXPECT_TRUE(statement && statement->step().value_or(false));
    return statement->integer(0);
  }

  static std::int64_t count(Db& db) {
    auto tx = db.begin_read();
    EXPECT_TRUE(tx) << (tx ? "" : tx.error().message);
    return tx ? count(*tx) : -1;
  }

  /// The code of running `sql`; nothing when it runs.
  static std::optional<Code> code_of(Transaction& tx, std::string_view sql) {
    const auto done = tx.execute(sql);
    if (done) return std::nullopt;
    return done.error().code;
  }

  TestDatabase database_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Backends, DbTest,
                         testing::Values(BackendKind::Sqlite, BackendKind::Postgres),
                         [](const auto& kind) {
                           return kind.param == BackendKind::Sqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(DbTest, CommittedRowsAreThereAfterReopening) {
  {
    auto db = open();
    ASSERT_TRUE(insert(*db, "a"));
    EXPECT_EQ(count(*db), 2);
  }
  auto db = open();
  EXPECT_EQ(count(*db), 2);
  EXPECT_EQ(db->schema_version(), 2);
}

TEST_P(DbTest, WhatIsNotCommittedIsRolledBack) {
  auto db = open();
  {
    auto tx = db->begin_write();
    ASSERT_TRUE(tx);
    ASSERT_TRUE(tx->execute("INSERT INTO things (name) VALUES ('lost')"));
  }
  EXPECT_EQ(count(*db), 1);
}

TEST_P(DbTest, EveryTypeOfValueComesBack) {
  auto db = open();
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  const std::array<std::byte, 3> blob{std::byte{0}, std::byte{1}, std::byte{255}};
  {
    auto statement = tx->prepare("INSERT INTO things (id, name, data, size) VALUES (?, ?, ?, ?)");
    ASSERT_TRUE(statement);
    statement->bind(9'000'000'000LL)
        .bind("text")
        .bind(std::span<const std::byte>(blob))
        .bind_null();
    ASSERT_TRUE(statement->run());
  }
  EXPECT_EQ(tx->changed_rows(), 1);
  auto select = tx->prepare("SELECT id, name, data, size FROM things WHERE id > 100");
  ASSERT_TRUE(select && select->step().value_or(false));
  EXPECT_EQ(select->integer(0), 9'000'000'000LL);
  EXPECT_EQ(select->text(1), "text");
  EXPECT_TRUE(std::ranges::equal(select->blob(2), blob));
  EXPECT_TRUE(select->is_null(3));
  EXPECT_EQ(select->optional_integer(3), std::nullopt);
  EXPECT_FALSE(*select->step());
  EXPECT_FALSE(*select->step()) << "it does not begin again";
}

struct Row {
  std::string note;
  std::vector<std::byte> data;
  std::optional<std::int64_t> size;
};

void expect_round_trip(Transaction& tx, const Row& row) {
  static int count = 0;
  const std::string name = "row " + std::to_string(++count);
  std::int64_t id = 0;
  {
    auto insert =
        tx.prepare("INSERT INTO things (name, note, data, size) VALUES (?, ?, ?, ?) RETURNING id");
    ASSERT_TRUE(insert);
    insert->bind(name).bind(row.note).bind(std::span<const std::byte>(row.data)).bind(row.size);
    const auto stepped = insert->step();
    ASSERT_TRUE(stepped && *stepped) << (stepped ? "" : stepped.error().message);
    id = insert->integer(0);
    ASSERT_FALSE(*insert->step());
  }
  auto select = tx.prepare("SELECT note, data, size FROM things WHERE id = ? AND note = ?");
  ASSERT_TRUE(select);
  select->bind(id).bind(row.note);
  ASSERT_TRUE(select->step().value_or(false));
  EXPECT_EQ(select->text(0), row.note);
  EXPECT_FALSE(select->is_null(1));
  EXPECT_TRUE(std::ranges::equal(select->blob(1), row.data));
  EXPECT_EQ(select->optional_integer(2), row.size);
}

TEST_P(DbTest, ExtremeValuesComeBack) {
  auto db = open();
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  std::vector<std::byte> bytes;
  for (int i = 0; i < 100'000; ++i) bytes.push_back(static_cast<std::byte>(i % 256));
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "Ä\t€\n😀\\'\"";
  expect_round_trip(*tx, {.note = "", .data = {}, .size = std::nullopt});
  expect_round_trip(
      *tx,
      {.note = "least", .data = {std::byte{0}}, .size = std::numeric_limits<std::int64_t>::min()});
  expect_round_trip(
      *tx, {.note = text, .data = bytes, .size = std::numeric_limits<std::int64_t>::max()});
  expect_round_trip(*tx, {.note = "\\x00", .data = {std::byte{'\\'}, std::byte{'x'}}, .size = 0});
  ASSERT_TRUE(tx->commit());
}

TEST_P(DbTest, AnyValueComesBack) {
  auto db = open();
  rc::check("bound values are read back", [&] {
    auto tx = db->begin_write();
    RC_ASSERT(tx.has_value());
    Row row;
    row.note = *rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127));
    for (const auto byte : *rc::gen::arbitrary<std::vector<std::uint8_t>>())
      row.data.push_back(static_cast<std::byte>(byte));
    row.size = *rc::gen::arbitrary<std::int64_t>();
    expect_round_trip(*tx, row);
  });
}

TEST_P(DbTest, TextIsUtf8WithoutNul) {
  auto db = open();
  for (const std::string_view bad : {std::string_view("a\0b", 3), std::string_view("\xff")}) {
    const auto inserted = insert(*db, bad);
    ASSERT_FALSE(inserted);
    EXPECT_EQ(inserted.error().code, Code::InvalidArgument);
  }
}

TEST_P(DbTest, AnIndexedTextHasALimit) {
  auto db = open();
  std::string longest;
  for (int i = 0; longest.size() < 2'500; ++i) longest += std::to_string(i * 7919);
  EXPECT_TRUE(insert(*db, longest.substr(0, 2'500)));
}

TEST_P(DbTest, AnEmptyTextIsNotNull) {
  auto db = open();
  EXPECT_TRUE(insert(*db, std::string_view()));
}

TEST_P(DbTest, ConstraintsHaveCodes) {
  auto db = open();
  const auto duplicate = insert(*db, "new");
  ASSERT_FALSE(duplicate);
  EXPECT_EQ(duplicate.error().code, Code::AlreadyExists);
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  EXPECT_EQ(code_of(*tx, "INSERT INTO parts (thing) VALUES (77)"), Code::FailedPrecondition);
  EXPECT_EQ(code_of(*tx, "INSERT INTO things (name, size) VALUES ('x', 'many')"),
            Code::FailedPrecondition);
  EXPECT_EQ(code_of(*tx, "INSERT INTO things (name) VALUES (NULL)"), Code::FailedPrecondition);
}

TEST_P(DbTest, BytesAndTextAreNotTakenForEachOther) {
  auto db = open();
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  const std::array<std::byte, 2> bytes{std::byte{'h'}, std::byte{'i'}};
  const auto code = [&](auto bind) -> std::optional<Code> {
    auto statement = tx->prepare("INSERT INTO things (name, data) VALUES (?, ?)");
    EXPECT_TRUE(statement);
    bind(*statement);
    const auto run = statement->run();
    return run ? std::nullopt : std::optional(run.error().code);
  };
  EXPECT_EQ(code([&](Statement& s) { s.bind("text").bind("text"); }), Code::FailedPrecondition);
  EXPECT_EQ(code([&](Statement& s) { s.bind(std::span<const std::byte>(bytes)).bind_null(); }),
            Code::FailedPrecondition);
  EXPECT_EQ(code([&](Statement& s) { s.bind("text").bind(5); }), Code::FailedPrecondition);
}

TEST_P(DbTest, AFailedStatementLeavesTheTransactionAsItWas) {
  auto db = open();
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  ASSERT_TRUE(tx->execute("INSERT INTO things (name) VALUES ('before')"));
  EXPECT_EQ(code_of(*tx, "INSERT INTO things (name) VALUES ('good'), ('before')"),
            Code::AlreadyExists);
  EXPECT_EQ(count(*tx), 2);
  ASSERT_TRUE(tx->execute("INSERT INTO things (name) VALUES ('after')"));
  ASSERT_TRUE(tx->commit());
  EXPECT_EQ(count(*db), 3);
}

TEST_P(DbTest, ChangedRowsAreThoseOfTheLastChange) {
  auto db = open();
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  ASSERT_TRUE(tx->execute("INSERT INTO things (name) VALUES ('a'), ('b')"));
  EXPECT_EQ(tx->changed_rows(), 2);
  EXPECT_EQ(count(*tx), 3);
  EXPECT_EQ(tx->changed_rows(), 2);
  auto update = tx->prepare("UPDATE things SET size = ? WHERE name = ?");
  ASSERT_TRUE(update);
  ASSERT_TRUE(update->bind(1).bind("nobody").run());
  EXPECT_EQ(tx->changed_rows(), 0);
}

TEST_P(DbTest, TheRulesForSqlHold) {
  auto db = open();
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  const auto ask = [&](std::string_view sql, auto... values) {
    auto statement = tx->prepare(sql);
    EXPECT_TRUE(statement) << (statement ? "" : statement.error().message);
    (statement->bind(values), ...);
    std::string rows;
    while (true) {
      const auto stepped = statement->step();
      EXPECT_TRUE(stepped) << sql << ": " << (stepped ? "" : stepped.error().message);
      if (!stepped || !*stepped) return rows;
      rows += statement->is_null(0) ? "null " : std::string(statement->text(0)) + " ";
    }
  };
  ask("INSERT INTO things (name, size) VALUES ('b', 1), ('A', NULL), ('a', 3), ('B_', 2)");
  EXPECT_EQ(ask("SELECT name FROM things ORDER BY name"), "A B_ a b new ") << "text sorts by bytes";
  EXPECT_EQ(ask("SELECT name FROM things WHERE name > ? ORDER BY name", "Z"), "a b new ");
  EXPECT_EQ(ask("SELECT size FROM things ORDER BY size NULLS FIRST, name LIMIT ?", 3),
            "null null 1 ");
  EXPECT_EQ(ask("SELECT name FROM things WHERE name LIKE ? ESCAPE '\\'", "a%"), "a ");
  EXPECT_EQ(ask("SELECT name FROM things WHERE name LIKE ? ESCAPE '\\'", "_\\_"), "B_ ");
  EXPECT_EQ(ask("SELECT sum(CASE WHEN size = 1 THEN 1 ELSE 0 END) FROM things"), "1 ");
  EXPECT_EQ(ask("SELECT name FROM things WHERE size IS NOT DISTINCT FROM ? ORDER BY name",
                std::optional<std::int64_t>()),
            "A new ");
  EXPECT_EQ(ask("SELECT 1 FROM things WHERE CAST(? AS TEXT) IS NULL LIMIT 1", "x"), "");
  EXPECT_EQ(ask("SELECT name FROM things WHERE (name, id) > (?, ?) ORDER BY name LIMIT 1", "b", 0),
            "b ");
  EXPECT_EQ(ask("INSERT INTO things (name, size) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET "
                "size = excluded.size RETURNING size",
                "a", 9),
            "9 ");
  EXPECT_EQ(ask("INSERT INTO things (name) VALUES (?) ON CONFLICT (name) DO NOTHING", "a"), "");
  auto comparison = tx->prepare(
      "SELECT size = 9, size = 8, sum(size) FROM things WHERE name = 'a' "
      "GROUP BY size");
  ASSERT_TRUE(comparison && comparison->step().value_or(false));
  EXPECT_EQ(comparison->integer(0), 1);
  EXPECT_EQ(comparison->integer(1), 0);
  EXPECT_EQ(comparison->integer(2), 9);
}

TEST_P(DbTest, MoreStatementsThanTheCacheHolds) {
  auto db = open();
  auto tx = db->begin_read();
  ASSERT_TRUE(tx);
  auto first = tx->prepare("SELECT count(*) FROM things");
  for (int i = 0; i < 200; ++i) {
    auto statement = tx->prepare("SELECT count(*) + " + std::to_string(i) + " FROM things");
    ASSERT_TRUE(statement && statement->step().value_or(false));
    EXPECT_EQ(statement->integer(0), 1 + i);
  }
  auto again = tx->prepare("SELECT count(*) FROM things");  // while the first is in use
  ASSERT_TRUE(first->step().value_or(false) && again->step().value_or(false));
  EXPECT_EQ(first->integer(0), again->integer(0));
}

TEST_P(DbTest, MigrationsRunOnceAndInOrder) {
  EXPECT_EQ(open(kOne)->schema_version(), 1);
  EXPECT_EQ(count(*open(kTwo)), 1);
  EXPECT_EQ(count(*open(kTwo)), 1);
}

TEST_P(DbTest, ProcessesThatStartAtOnceMigrateOnce) {
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        const auto db = database_.open(kTwo);
        if (!db || count(**db) != 1) ++failures;
      });
  }
  EXPECT_EQ(failures, 0);
}

TEST_P(DbTest, AFailedMigrationLeavesTheDatabaseAsItWas) {
  open(kOne);
  const auto broken = database_.open(kBroken);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find("migration 2 \"broken\""), std::string::npos)
      << broken.error().message;
  EXPECT_EQ(open(kTwo)->schema_version(), 2);
}

TEST_P(DbTest, ANewerSchemaIsRefusedByName) {
  const std::string name = open(kTwo)->name();
  const auto older = database_.open(kOne);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Code::FailedPrecondition);
  EXPECT_EQ(older.error().message,
            name +
                " was written by a newer gantry: it has schema version 2 (\"parts\"), this program "
                "knows versions up to 1");
}

TEST_P(DbTest, AReaderSeesASnapshotWhileAWriterCommits) {
  auto db = open();
  auto reader = db->begin_read();
  ASSERT_TRUE(reader);
  EXPECT_EQ(count(*reader), 1);
  std::thread writer([&] { EXPECT_TRUE(insert(*db, "later")); });
  writer.join();
  EXPECT_EQ(count(*reader), 1);
}

TEST_P(DbTest, AReaderCannotWrite) {
  auto db = open();
  auto reader = db->begin_read();
  ASSERT_TRUE(reader);
  EXPECT_FALSE(reader->execute("INSERT INTO things (name) VALUES ('sneaked in')"));
}

TEST_P(DbTest, AWriterOfAnotherProcessIsWaitedForAndSeen) {
  const auto first = open();
  const auto second = open(kTwo, {.busy_timeout_ms = 50});
  {
    auto tx = first->begin_write();
    ASSERT_TRUE(tx);
    ASSERT_TRUE(tx->execute("INSERT INTO things (name) VALUES ('first')"));
    const auto blocked = second->begin_write();
    ASSERT_FALSE(blocked);
    EXPECT_EQ(blocked.error().code, Code::Unavailable);
    ASSERT_TRUE(tx->commit());
  }
  auto tx = second->begin_write();
  ASSERT_TRUE(tx) << tx.error().message;
  EXPECT_EQ(count(*tx), 2);
}

TEST_P(DbTest, ManyThreadsTakeTurns) {
  auto db = open();
  const auto replica = open();
  constexpr int kThreads = 6;
  constexpr int kRows = 5;
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        Db& mine = t % 2 == 0 ? *db : *replica;
        for (int i = 0; i < kRows; ++i) {
          if (!insert(mine, std::to_string(t) + "-" + std::to_string(i))) ++failures;
          if (count(mine) < 1) ++failures;
        }
      });
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(count(*db), 1 + kThreads * kRows);
}

TEST_P(DbTest, TheProductsSchemaApplies) {
  auto db = open(migrations());
  ASSERT_NE(db, nullptr);
  int expected = 1;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.version, expected++);
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  EXPECT_EQ(code_of(*tx,
                    "INSERT INTO stacks (id, org_id, slug, name, zone, created_at_ms, "
                    "updated_at_ms) VALUES (1000000, 7, 'main', 'main', 'local', 0, 0)"),
            Code::FailedPrecondition)
      << "a stack needs its organisation";
}

TEST_P(DbTest, FailuresAreCounted) {
  core::MetricRegistry registry;
  const auto holder = open();
  const auto db = open(kTwo, {.busy_timeout_ms = 10, .registry = &registry});
  const auto tx = holder->begin_write();
  EXPECT_FALSE(db->begin_write());
  const auto value = [&](std::string_view code) {
    return registry
        .counter("gantry_state_errors_total",
                 "Failures of the state database; broken constraints are not counted.",
                 {{"code", std::string(code)}})
        .value();
  };
  EXPECT_EQ(value("UNAVAILABLE"), 1U);
  EXPECT_EQ(value("INTERNAL"), 0U);
}

}  // namespace
}  // namespace gantry::state
