// Two servers with data directories of their own on one PostgreSQL database.

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "access/directory.h"
#include "net/client.h"
#include "server/server.h"
#include "state/db.h"
#include "state/testing/postgres_server.h"
#include "state/testing/test_database.h"

namespace gantry::server {
namespace {

class ReplicasTest : public testing::Test {
 protected:
  void SetUp() override {
    if (database_.is_missing()) GTEST_SKIP() << state::PostgresServer::why_not();
  }

  std::filesystem::path data_of(const std::string& name) const {
    return database_.directory() / name;
  }

  Result<std::unique_ptr<Server>> start(const std::string& name) {
    Config config;
    config.data = data_of(name).string();
    config.state.url = database_.url();
    config.server.listen = "127.0.0.1:0";
    config.otlp.http_listen.clear();
    config.otlp.grpc_listen.clear();
    config.server.ingest_threads = 2;
    config.query.concurrency = 2;
    config.server.shutdown_timeout = {2'000};
    config.self.metrics = false;
    config.log.level = log::Level::Error;
    return Server::start(config, [config] { return config; });
  }

  void copy_key(const std::string& from, const std::string& to) {
    std::filesystem::create_directories(data_of(to));
    std::filesystem::copy_file(data_of(from) / "secret.key", data_of(to) / "secret.key");
  }

  static int status_of(const Server& server, const std::string& token) {
    net::ClientRequest request;
    request.method = "GET";
    request.url = server.url() + "/api/v1/query?query=1";
    request.headers.set("Authorization", "Bearer " + token);
    const auto response = net::send(request);
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    return response ? static_cast<int>(response->status) : 0;
  }

  /// By a third process: whoever else uses the database.
  void revoke(const std::string& token_name) {
    const auto db = state::Db::open_postgres(database_.url(), {}, state::migrations());
    ASSERT_TRUE(db) << db.error().message;
    access::Directory directory(**db);
    auto tx = directory.begin_write();
    ASSERT_TRUE(tx);
    std::string id;
    {
      auto select = tx->prepare("SELECT id FROM tokens WHERE name = ?");
      ASSERT_TRUE(select);
      select->bind(token_name);
      ASSERT_TRUE(select->step().value_or(false));
      id = select->text(0);
    }
    ASSERT_TRUE(directory.revoke_token(*tx, id, SystemClock().now()));
    ASSERT_TRUE(tx->commit());
  }

  state::TestDatabase database_{state::BackendKind::Postgres};
};

TEST_F(ReplicasTest, TheSecondFindsTheFirstStartDoneAndNeedsTheKey) {
  const auto first = start("first");
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE((*first)->first_start());
  const auto without_key = start("second");
  ASSERT_FALSE(without_key);
  EXPECT_EQ(without_key.error().code, Code::FailedPrecondition);
  EXPECT_NE(without_key.error().message.find("copy secret.key from another replica"),
            std::string::npos)
      << without_key.error().message;
  copy_key("first", "second");
  const auto second = start("second");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_FALSE((*second)->first_start());
  EXPECT_FALSE(std::filesystem::exists(data_of("second") / "first-start.json"));
  EXPECT_EQ(status_of(**second, (*first)->first_start()->read_token), 200);
}

TEST_F(ReplicasTest, ARevokedTokenIsRefusedByEachWithinASecond) {
  const auto first = start("first");
  ASSERT_TRUE(first) << first.error().message;
  copy_key("first", "second");
  const auto second = start("second");
  ASSERT_TRUE(second) << second.error().message;
  const access::FirstStart tokens = *(*first)->first_start();
  for (const auto* const server : {&first, &second})
    ASSERT_EQ(status_of(***server, tokens.read_token), 200) << "and it is in the cache now";
  revoke("first-read");
  const auto revoked = std::chrono::steady_clock::now();
  for (const auto* const server : {&first, &second}) {
    while (status_of(***server, tokens.read_token) != 401) {
      // The bound is for a machine with time to spare; without a notification it would be 2 s.
      ASSERT_LT(std::chrono::steady_clock::now() - revoked, std::chrono::milliseconds(1'500));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(status_of(***server, tokens.admin_token), 200);
  }
}

TEST_F(ReplicasTest, KnownTokensAreGoodWhileTheDatabaseIsAway) {
  const auto first = start("first");
  ASSERT_TRUE(first) << first.error().message;
  const access::FirstStart tokens = *(*first)->first_start();
  ASSERT_EQ(status_of(**first, tokens.read_token), 200);
  state::PostgresServer& server = *state::PostgresServer::shared();
  server.stop();
  EXPECT_EQ(status_of(**first, tokens.read_token), 200);
  EXPECT_EQ(status_of(**first, "glc_" + std::string(60, 'x')), 503) << "nobody knows";
  server.start();
  EXPECT_EQ(status_of(**first, tokens.admin_token), 200);
}

TEST_F(ReplicasTest, WithoutItsDatabaseNoneStarts) {
  state::PostgresServer& server = *state::PostgresServer::shared();
  server.stop();
  const auto started = start("first");
  server.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::Unavailable);
  EXPECT_TRUE(started.error().message.starts_with("PostgreSQL database "))
      << started.error().message;
}

}  // namespace
}  // namespace gantry::server
