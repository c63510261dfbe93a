// What only PostgreSQL does: lost connections, other programs' tables, URLs with passwords.

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "state/db.h"
#include "state/testing/postgres_server.h"
#include "state/testing/test_database.h"

namespace gantry::state {
namespace {

constexpr std::array kThings = {
    Migration{.version = 1,
              .name = "things",
              .sql = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"},
};

class PostgresTest : public testing::Test {
 protected:
  void SetUp() override {
    if (database_.is_missing()) GTEST_SKIP() << PostgresServer::why_not();
    server_ = PostgresServer::shared();
    auto db = Db::open_postgres(database_.url(), {.statement_timeout_ms = 200}, kThings);
    ASSERT_TRUE(db) << db.error().message;
    db_ = *std::move(db);
  }

  Result<std::int64_t> count() {
    GANTRY_TRY(Transaction tx, db_->begin_read());
    GANTRY_TRY(Statement statement, tx.prepare("SELECT count(*) FROM things"));
    GANTRY_TRY([[maybe_unused]] const bool has_row, statement.step());
    return statement.integer(0);
  }

  void cut_connections() {
    server_->run(database_.url(),
                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                 "pg_backend_pid() AND datname = current_database()");
  }

  TestDatabase database_{BackendKind::Postgres};
  PostgresServer* server_ = nullptr;
  std::unique_ptr<Db> db_;
};

TEST_F(PostgresTest, AConnectionLostInATransactionIsUnavailableAndTheNextWorks) {
  {
    auto tx = db_->begin_write();
    ASSERT_TRUE(tx && tx->execute("INSERT INTO things (name) VALUES ('lost')"));
    cut_connections();
    const auto committed = tx->commit();
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, Code::Unavailable) << committed.error().message;
  }
  EXPECT_EQ(count().value_or(-1), 0);
  EXPECT_TRUE(db_->begin_write());
}

TEST_F(PostgresTest, ConnectionsLostAtRestAreReplacedUnnoticed) {
  ASSERT_TRUE(count() && db_->begin_write());
  cut_connections();
  EXPECT_EQ(count().value_or(-1), 0);
  EXPECT_TRUE(db_->begin_write());
}

TEST_F(PostgresTest, AServerThatIsAwayIsUnavailableUntilItIsBack) {
  ASSERT_TRUE(count());
  server_->stop();
  const auto away = count();
  const auto refused = Db::open_postgres(database_.url(), {}, kThings);
  server_->start();
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Code::Unavailable);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unavailable);
  EXPECT_EQ(refused.error().message.find("never-shown"), std::string::npos);
  EXPECT_EQ(count().value_or(-1), 0);
}

TEST_F(PostgresTest, AStatementHasATimeLimit) {
  auto tx = db_->begin_read();
  ASSERT_TRUE(tx);
  const auto slow = tx->execute("SELECT pg_sleep(5)");
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, Code::Unavailable) << slow.error().message;
}

TEST_F(PostgresTest, ATransactionThatCannotCommitSaysSo) {
  auto tx = db_->begin_write();
  ASSERT_TRUE(tx && tx->execute("INSERT INTO things (name) VALUES ('a')"));
  auto broken = tx->prepare("SELECT 1 / (id - id) FROM things");
  ASSERT_TRUE(broken);
  EXPECT_FALSE(broken->step());
  EXPECT_FALSE(tx->commit());
}

TEST_F(PostgresTest, AnotherProgramsTablesAreRefused) {
  const std::string url = server_->make_database();
  server_->run(url, "CREATE TABLE schema_migrations (version varchar(255) PRIMARY KEY)");
  const auto db = Db::open_postgres(url, {}, kThings);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, Code::FailedPrecondition);
  EXPECT_NE(db.error().message.find("has tables but not Gantry's"), std::string::npos)
      << db.error().message;
}

TEST_F(PostgresTest, AnotherEncodingIsRefused) {
  server_->run(database_.url(),
               "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' "
               "TEMPLATE template0");
  std::string url = database_.url();
  url.replace(url.find("test_"), url.find('?') - url.find("test_"), "latin");
  const auto db = Db::open_postgres(url, {}, kThings);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, Code::FailedPrecondition);
  EXPECT_NE(db.error().message.find("its encoding is LATIN1"), std::string::npos);
}

TEST_F(PostgresTest, ItIsNotBackedUpByUs) {
  const auto backup = db_->backup(database_.directory() / "copy");
  ASSERT_FALSE(backup);
  EXPECT_EQ(backup.error().code, Code::FailedPrecondition);
  EXPECT_NE(backup.error().message.find("pg_dump"), std::string::npos);
}

TEST(PostgresUrlTest, NamesTheDatabaseWithoutThePassword) {
  const auto db = Db::open_postgres("postgres://gantry:s3cret@127.0.0.1:1/state?connect_timeout=1",
                                    {}, kThings);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, Code::Unavailable);
  EXPECT_TRUE(db.error().message.starts_with("PostgreSQL database state on 127.0.0.1:1: "))
      << db.error().message;
  EXPECT_EQ(db.error().message.find("s3cret"), std::string::npos);
}

TEST(PostgresUrlTest, WhatIsNoUrlIsRefusedWithoutShowingIt) {
  for (const std::string_view url :
       {"mysql://a:s3cret@host/x", "host=x password=s3cret", "postgres://a:s3cret%zz@host/x",
        "postgres://a:s3cret@host/x?s3cret=1", "postgres://a@[s3cret/x"}) {
    const auto db = Db::open_postgres(url, {}, kThings);
    ASSERT_FALSE(db) << url;
    EXPECT_EQ(db.error().code, Code::InvalidArgument) << url;
    EXPECT_EQ(db.error().message.find("s3cret"), std::string::npos) << url;
  }
}

}  // namespace
}  // namespace gantry::state
