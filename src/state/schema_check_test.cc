#include "state/schema_check.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "state/schema.h"
#include "state/testing/postgres_server.h"
#include "state/testing/test_database.h"

namespace gantry::state {
namespace {

class SchemaCheckTest : public testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override {
    if (database_.is_missing()) GTEST_SKIP() << PostgresServer::why_not();
  }

  int version() {
    const auto read = read_schema_version(database_.url(), database_.directory());
    EXPECT_TRUE(read) << read.error().message;
    return read.value_or(-1);
  }

  TestDatabase database_{GetParam()};
};

TEST_P(SchemaCheckTest, IsThatOfTheLastMigrationAndChangesNothing) {
  EXPECT_EQ(version(), 0);
  if (GetParam() == BackendKind::Sqlite)
    EXPECT_TRUE(std::filesystem::is_empty(database_.directory())) << "none was made";
  ASSERT_TRUE(database_.open(migrations().first(2)));
  EXPECT_EQ(version(), 2);
  EXPECT_EQ(version(), 2);
  const auto server = database_.open(migrations());
  ASSERT_TRUE(server);
  EXPECT_EQ(version(), (*server)->schema_version()) << "beside a server";
}

INSTANTIATE_TEST_SUITE_P(Both, SchemaCheckTest,
                         testing::Values(BackendKind::Sqlite, BackendKind::Postgres),
                         [](const auto& each) {
                           return each.param == BackendKind::Sqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace gantry::state
