#pragma once

// An access directory on a temporary database, with a clock that the test moves. With
// GANTRY_TEST_STATE=postgres the same tests run on PostgreSQL.

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "access/directory.h"
#include "access/secret_key.h"
#include "access/testing/test_rows.h"
#include "access/token.h"
#include "core/time.h"
#include "state/db.h"
#include "state/schema.h"
#include "state/testing/postgres_server.h"
#include "state/testing/test_database.h"

namespace gantry::access {

inline constexpr TimestampMs kTestStart{1'700'000'000'000};

class DirectoryFixture : public testing::Test {
 protected:
  DirectoryFixture() {
    auto db = database_.open(state::migrations());
    EXPECT_TRUE(db) << (db ? "" : db.error().message);
    db_ = *std::move(db);
    directory_.emplace(*db_);
    rows_.emplace(*db_, hasher_, clock_);
  }

  void SetUp() override {
    if (database_.is_missing()) GTEST_SKIP() << state::PostgresServer::why_not();
  }

  /// Runs `body` in a transaction that commits; its Result must be good.
  template <class Body>
  auto write(Body body) {
    auto tx = directory_->begin_write();
    EXPECT_TRUE(tx);
    auto result = body(*tx);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    EXPECT_TRUE(tx->commit());
    if constexpr (!std::is_void_v<typename decltype(result)::value_type>) return *result;
  }

  OrgId add_organisation(std::string_view slug) { return rows_->add_organisation(slug); }

  StackId add_stack(OrgId org, std::string_view slug) { return rows_->add_stack(org, slug); }

  std::string add_policy(OrgId org, std::string_view name, std::vector<Scope> scopes,
                         std::vector<Realm> realms) {
    return rows_->add_policy(
        {.org = org, .name = name, .scopes = std::move(scopes), .realms = std::move(realms)});
  }

  std::string add_token(OrgId org, std::string_view policy_id, std::string_view name,
                        std::string_view secret, std::optional<TimestampMs> expires_at = {}) {
    return rows_->add_token({.org = org,
                             .policy_id = policy_id,
                             .name = name,
                             .secret = secret,
                             .expires_at = expires_at});
  }

  state::TestDatabase database_{state::TestDatabase::kind_from_environment()};
  std::filesystem::path path_ = database_.directory();
  ManualClock clock_{kTestStart};
  std::unique_ptr<state::Db> db_;
  std::optional<Directory> directory_;
  TokenHasher hasher_{
      SecretKey{.peppers = {Pepper{.id = 2, .bytes = {2}}, Pepper{.id = 1, .bytes = {1}}}}};
  std::optional<TestRows> rows_;
};

}  // namespace gantry::access
