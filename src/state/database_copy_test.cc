#include "state/database_copy.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "state/testing/postgres_server.h"
#include "state/testing/test_database.h"

namespace gantry::state {
namespace {

constexpr std::array kSchema = {Migration{.version = 1, .name = "things", .sql = R"sql(
CREATE TABLE auth_epoch (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  epoch         INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO auth_epoch (id, epoch, changed_at_ms) VALUES (1, 0, 0);
CREATE TABLE organisations (
  id   INTEGER PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE
) STRICT;
-- Its name comes before that of the table it refers to.
CREATE TABLE a_part (
  organisation_id INTEGER NOT NULL REFERENCES organisations (id),
  name            TEXT,
  hash            BLOB,
  PRIMARY KEY (organisation_id, name)
) STRICT;
)sql"}};

class BackupFileTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Db>> open(const std::filesystem::path& path) {
    return Db::open(path, {}, kSchema);
  }

  void add(Db& db, std::string_view slug) {
    auto tx = db.begin_write();
    ASSERT_TRUE(tx);
    {
      auto insert = tx->prepare("INSERT INTO organisations (slug) VALUES (?)");
      ASSERT_TRUE(insert);
      insert->bind(slug);
      ASSERT_TRUE(insert->run());
    }
    ASSERT_TRUE(tx->commit());
  }

  static std::int64_t count(Db& db) {
    auto tx = db.begin_read();
    auto select = tx->prepare("SELECT count(*) FROM organisations");
    EXPECT_TRUE(select && select->step().value_or(false));
    return select->integer(0);
  }

  TestDatabase database_{BackendKind::Sqlite};
  std::filesystem::path path_ = database_.directory() / "gantry.db";
  std::filesystem::path copy_ = database_.directory() / "copy.db";
};

TEST_F(BackupFileTest, CopiesBesideAProcessThatWrites) {
  auto db = *open(path_);
  add(*db, "committed");
  auto tx = db->begin_write();
  ASSERT_TRUE(tx && tx->execute("INSERT INTO organisations (slug) VALUES ('not yet')"));
  const auto copied = backup_file(path_, copy_);
  ASSERT_TRUE(copied) << copied.error().message;
  ASSERT_TRUE(tx->commit());
  EXPECT_EQ(count(**open(copy_)), 1);
  EXPECT_EQ(count(*db), 2);
  struct stat status{};
  ASSERT_EQ(::stat(copy_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(BackupFileTest, CopiesWhileNobodyHasItOpenAndMigratesNothing) {
  add(**open(path_), "main");
  ASSERT_TRUE(backup_file(path_, copy_));
  EXPECT_EQ((*open(copy_))->schema_version(), 1);
  EXPECT_EQ(count(**open(copy_)), 1);
}

TEST_F(BackupFileTest, OverwritesNothing) {
  add(**open(path_), "main");
  std::ofstream(copy_) << "precious";
  for (const auto& there : {copy_, path_}) {
    const auto refused = backup_file(path_, there);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::AlreadyExists);
  }
  std::ifstream file(copy_);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "precious");
}

TEST_F(BackupFileTest, WhatIsNoDatabaseOfOursIsRefused) {
  const auto missing = backup_file(path_, copy_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::NotFound);
  std::ofstream(path_) << std::string(8192, 'x');
  EXPECT_FALSE(backup_file(path_, copy_));
  EXPECT_FALSE(std::filesystem::exists(copy_));
}

class DatabaseCopyTest : public BackupFileTest {
 protected:
  void SetUp() override {
    if (target_.is_missing()) GTEST_SKIP() << PostgresServer::why_not();
    from_ = *open(path_);
    to_ = *target_.open(kSchema);
  }

  static std::string run(const std::string& url, const std::string& sql) {
    return PostgresServer::shared()->run(url, sql);
  }

  void fill() {
    auto tx = from_->begin_write();
    ASSERT_TRUE(tx);
    ASSERT_TRUE(
        tx->execute("UPDATE auth_epoch SET epoch = 41, changed_at_ms = 7; INSERT INTO "
                    "organisations (id, slug) VALUES (1, 'main'), (7, 'ä''\"\\ ')"));
    for (int i = 0; i < 1'001; ++i) {
      auto insert =
          tx->prepare("INSERT INTO a_part (organisation_id, name, hash) VALUES (7, ?, ?)");
      ASSERT_TRUE(insert);
      const std::string bytes = {'\0', '\xff', static_cast<char>(i)};
      insert->bind(std::to_string(i)).bind(std::as_bytes(std::span(bytes)));
      ASSERT_TRUE(insert->run());
    }
    ASSERT_TRUE(tx->execute("INSERT INTO a_part (organisation_id, name) VALUES (1, '')"));
    ASSERT_TRUE(tx->commit());
  }

  TestDatabase target_{BackendKind::Postgres};
  std::unique_ptr<Db> from_;
  std::unique_ptr<Db> to_;
};

TEST_F(DatabaseCopyTest, BringsEveryRowOfEveryTable) {
  fill();
  const auto copied = copy_database(*from_, *to_);
  ASSERT_TRUE(copied) << copied.error().message;
  std::string counts;
  for (const CopiedTable& table : *copied)
    counts += table.name + "=" + std::to_string(table.row_count) + " ";
  EXPECT_EQ(counts, "auth_epoch=1 organisations=2 a_part=1002 ");
  EXPECT_EQ(run(target_.url(), "SELECT epoch FROM auth_epoch"), "41");
  EXPECT_EQ(run(target_.url(), "SELECT slug FROM organisations WHERE id = 7"), "ä'\"\\ ");
  EXPECT_EQ(run(target_.url(), "SELECT encode(hash, 'hex') FROM a_part WHERE name = '999'"),
            "00ffe7");
  EXPECT_EQ(run(target_.url(), "SELECT count(*) FROM a_part WHERE hash IS NULL AND name = ''"),
            "1");
}

TEST_F(DatabaseCopyTest, NumbersGoOnAfterThoseThatCame) {
  fill();
  ASSERT_TRUE(copy_database(*from_, *to_));
  add(*to_, "next");
  EXPECT_EQ(run(target_.url(), "SELECT id FROM organisations WHERE slug = 'next'"), "8");
}

TEST_F(DatabaseCopyTest, ATargetWithRowsIsRefusedAndStaysAsItIs) {
  fill();
  add(*to_, "somebody");
  const auto refused = copy_database(*from_, *to_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  EXPECT_NE(refused.error().message.find("organisations has 1 rows"), std::string::npos);
  EXPECT_EQ(run(target_.url(), "SELECT epoch FROM auth_epoch"), "0");
  const auto looked = check_copy_target(target_.url());
  ASSERT_FALSE(looked);
  EXPECT_EQ(looked.error().code, Code::FailedPrecondition);
}

TEST_F(DatabaseCopyTest, AFailureHalfWayLeavesNothing) {
  fill();
  run(target_.url(), "ALTER TABLE a_part ADD CHECK (name <> '900')");
  ASSERT_FALSE(copy_database(*from_, *to_));
  EXPECT_EQ(run(target_.url(), "SELECT count(*) FROM organisations"), "0");
  EXPECT_EQ(run(target_.url(), "SELECT epoch FROM auth_epoch"), "0");
  run(target_.url(), "ALTER TABLE a_part DROP CONSTRAINT a_part_name_check");
  EXPECT_TRUE(copy_database(*from_, *to_)) << "and it can be tried again";
}

TEST_F(DatabaseCopyTest, ADatabaseIsLookedAtBeforeAnythingIsMadeInIt) {
  const std::string fresh = PostgresServer::shared()->make_database();
  EXPECT_TRUE(check_copy_target(fresh));
  EXPECT_EQ(run(fresh,
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = "
                "current_schema()"),
            "0");
  EXPECT_TRUE(check_copy_target(target_.url())) << "made, but empty";
  run(fresh, "CREATE TABLE somebody_elses (id int)");
  EXPECT_FALSE(check_copy_target(fresh));
}

TEST_F(DatabaseCopyTest, TheRealSchemaArrivesWhole) {
  const TestDatabase source(BackendKind::Sqlite);
  const TestDatabase target(BackendKind::Postgres);
  const auto from = source.open(migrations());
  const auto to = target.open(migrations());
  ASSERT_TRUE(from && to);
  const auto copied = copy_database(**from, **to);
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_EQ(std::to_string(copied->size() + 1),
            run(target.url(),
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = "
                "current_schema()"))
      << "all but schema_migrations";
}

}  // namespace
}  // namespace gantry::state
