#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "state/db.h"
#include "state/testing/test_database.h"

namespace gantry::state {
namespace {

constexpr std::array kThings = {
    Migration{.version = 1,
              .name = "things",
              .sql = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"},
};

class SqliteTest : public testing::Test {
 protected:
  std::unique_ptr<Db> open(const std::filesystem::path& path) {
    auto db = Db::open(path, {}, kThings);
    EXPECT_TRUE(db) << (db ? "" : db.error().message);
    return db ? *std::move(db) : nullptr;
  }

  static void insert(Db& db) {
    auto tx = db.begin_write();
    ASSERT_TRUE(tx && tx->execute("INSERT INTO things (name) VALUES ('a')") && tx->commit());
  }

  static std::int64_t count(Db& db) {
    auto tx = db.begin_read();
    EXPECT_TRUE(tx);
    auto statement = tx->prepare("SELECT count(*) FROM things");
    EXPECT_TRUE(statement && statement->step().value_or(false));
    return statement->integer(0);
  }

  static unsigned mode_of(const std::filesystem::path& path) {
    struct stat status{};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_mode & 0777U;
  }

  TestDatabase database_{BackendKind::Sqlite};
  std::filesystem::path path_ = database_.directory() / "gantry.db";
};

TEST_F(SqliteTest, TheFileIsPrivate) {
  open(path_);
  EXPECT_EQ(mode_of(path_), 0600U);
}

TEST_F(SqliteTest, AnotherProgramsDatabaseIsRefused) {
  {
    auto db = open(path_);
    auto tx = db->begin_write();
    ASSERT_TRUE(tx && tx->execute("PRAGMA application_id=5") && tx->commit());
  }
  const auto foreign = Db::open(path_, {}, kThings);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::FailedPrecondition);
}

TEST_F(SqliteTest, ABackupIsADatabaseAsOfThatMoment) {
  const auto db = open(path_);
  insert(*db);
  const auto copy = database_.directory() / "copy.db";
  std::ofstream(copy) << "an older backup";
  ASSERT_TRUE(db->backup(copy));
  insert(*db);
  EXPECT_EQ(mode_of(copy), 0600U);
  EXPECT_EQ(count(*open(copy)), 1);
  EXPECT_EQ(count(*db), 2);
  EXPECT_FALSE(std::filesystem::exists(database_.directory() / "copy.db.tmp"));
}

TEST_F(SqliteTest, ABackupWaitsForNoWriterAndNoneForIt) {
  const auto db = open(path_);
  insert(*db);
  auto tx = db->begin_write();
  ASSERT_TRUE(tx && tx->execute("INSERT INTO things (name) VALUES ('not committed')"));
  const auto copy = database_.directory() / "copy.db";
  ASSERT_TRUE(db->backup(copy));
  ASSERT_TRUE(tx->commit());
  EXPECT_EQ(count(*open(copy)), 1);
}

TEST_F(SqliteTest, ABackupDoesNotReplaceTheDatabase) {
  const auto db = open(path_);
  insert(*db);
  const auto same = database_.directory() / "." / "gantry.db";
  const auto refused = db->backup(same);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::InvalidArgument);
  EXPECT_EQ(count(*db), 1);
}

TEST_F(SqliteTest, ABackupThatCannotBeWrittenLeavesNothing) {
  const auto db = open(path_);
  const auto nowhere = db->backup(database_.directory() / "missing" / "copy.db");
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find("No such file or directory"), std::string::npos)
      << nowhere.error().message;
  const auto directory = database_.directory() / "directory";
  std::filesystem::create_directory(directory);
  EXPECT_FALSE(db->backup(directory));
  EXPECT_FALSE(std::filesystem::exists(database_.directory() / "directory.tmp"));
}

}  // namespace
}  // namespace gantry::state
