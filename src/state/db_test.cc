#include "state/db.h"

#include <array>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gantry::state {
namespace {

constexpr std::array kOne = {
    Migration{.version = 1,
              .name = "things",
              .sql = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
                     "data BLOB, size INTEGER) STRICT;"},
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

class DbTest : public testing::Test {
 protected:
  DbTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gantry-db-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ / "gantry.db";
  }

  ~DbTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Db> open(std::span<const Migration> migrations = kTwo) {
    auto db = Db::open(path_, {}, migrations);
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

  static std::int64_t count(Db& db) {
    auto tx = db.begin_read();
    EXPECT_TRUE(tx);
    auto statement = tx->prepare("SELECT count(*) FROM things");
    EXPECT_TRUE(statement && statement->step().value_or(false));
    return statement->integer(0);
  }

  std::filesystem::path directory_;
  std::filesystem::path path_;
};

TEST_F(DbTest, CommittedRowsAreThereAfterReopening) {
  {
    auto db = open();
    ASSERT_TRUE(insert(*db, "a"));
    EXPECT_EQ(count(*db), 2);
  }
  auto db = open();
  EXPECT_EQ(count(*db), 2);
  EXPECT_EQ(db->schema_version(), 2);
}

TEST_F(DbTest, WhatIsNotCommittedIsRolledBack) {
  auto db = open();
  {
    auto tx = db->begin_write();
    ASSERT_TRUE(tx);
    ASSERT_TRUE(tx->execute("INSERT INTO things (name) VALUES ('lost')"));
  }
  EXPECT_EQ(count(*db), 1);
}

TEST_F(DbTest, EveryTypeOfValueComesBack) {
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
  ASSERT_EQ(select->blob(2).size(), 3U);
  EXPECT_EQ(select->blob(2)[2], std::byte{255});
  EXPECT_TRUE(select->is_null(3));
  EXPECT_EQ(select->optional_integer(3), std::nullopt);
}

TEST_F(DbTest, AnEmptyTextIsNotNull) {
  auto db = open();
  EXPECT_TRUE(insert(*db, std::string_view()));
}

TEST_F(DbTest, ConstraintsHaveCodes) {
  auto db = open();
  const auto duplicate = insert(*db, "new");
  ASSERT_FALSE(duplicate);
  EXPECT_EQ(duplicate.error().code, Code::AlreadyExists);
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  const auto orphan = tx->execute("INSERT INTO parts (thing) VALUES (77)");
  ASSERT_FALSE(orphan);
  EXPECT_EQ(orphan.error().code, Code::FailedPrecondition);
  const auto wrong_type = tx->execute("INSERT INTO things (name, size) VALUES ('x', 'many')");
  ASSERT_FALSE(wrong_type);
  EXPECT_EQ(wrong_type.error().code, Code::FailedPrecondition);
}

TEST_F(DbTest, MigrationsRunOnceAndInOrder) {
  {
    EXPECT_EQ(open(kOne)->schema_version(), 1);
  }
  {
    EXPECT_EQ(count(*open(kTwo)), 1);
  }
  EXPECT_EQ(count(*open(kTwo)), 1);
}

TEST_F(DbTest, AFailedMigrationLeavesTheFileAsItWas) {
  {
    open(kOne);
  }
  const auto broken = Db::open(path_, {}, kBroken);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find("migration 2 \"broken\""), std::string::npos)
      << broken.error().message;
  EXPECT_EQ(open(kTwo)->schema_version(), 2);
}

TEST_F(DbTest, ANewerSchemaIsRefusedByName) {
  {
    open(kTwo);
  }
  const auto older = Db::open(path_, {}, kOne);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Code::FailedPrecondition);
  EXPECT_EQ(older.error().message,
            path_.string() +
                " was written by a newer gantry: it has schema version 2 (\"parts\"), this program "
                "knows versions up to 1");
}

TEST_F(DbTest, AnotherProgramsDatabaseIsRefused) {
  {
    auto db = open(kOne);
    auto tx = db->begin_write();
    ASSERT_TRUE(tx && tx->execute("PRAGMA application_id=5") && tx->commit());
  }
  const auto foreign = Db::open(path_, {}, kOne);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::FailedPrecondition);
}

TEST_F(DbTest, TheFileIsPrivate) {
  auto db = open();
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(DbTest, AReaderSeesASnapshotWhileAWriterCommits) {
  auto db = open();
  auto reader = db->begin_read();
  ASSERT_TRUE(reader);
  const auto read_count = [&] {
    auto statement = reader->prepare("SELECT count(*) FROM things");
    EXPECT_TRUE(statement && statement->step().value_or(false));
    return statement->integer(0);
  };
  EXPECT_EQ(read_count(), 1);
  std::thread writer([&] { EXPECT_TRUE(insert(*db, "later")); });
  writer.join();
  EXPECT_EQ(read_count(), 1);
}

TEST_F(DbTest, ManyThreadsTakeTurns) {
  auto db = open();
  constexpr int kThreads = 6;
  constexpr int kRows = 5;
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRows; ++i) {
          if (!insert(*db, std::to_string(t) + "-" + std::to_string(i))) ++failures;
          if (count(*db) < 1) ++failures;
        }
      });
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(count(*db), 1 + kThreads * kRows);
}

TEST_F(DbTest, TheProductsSchemaApplies) {
  auto db = open(migrations());
  ASSERT_NE(db, nullptr);
  int expected = 1;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.version, expected++);
  auto tx = db->begin_write();
  ASSERT_TRUE(tx);
  EXPECT_FALSE(tx->execute("INSERT INTO stacks VALUES (1000000, 7, 'main', 'main', 'local', 0, 0)"))
      << "a stack needs its organisation";
}

}  // namespace
}  // namespace gantry::state
