// Two servers with data directories of their own on one PostgreSQL database.

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "net/client.h"
#include "server/server.h"
#include "state/auth_epoch.h"
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

  /// Two processes; the second has the first's key.
  void start_both() {
    auto one = start("first");
    ASSERT_TRUE(one) << one.error().message;
    first_ = *std::move(one);
    copy_key("first", "second");
    auto two = start("second");
    ASSERT_TRUE(two) << two.error().message;
    second_ = *std::move(two);
  }

  static net::ClientResponse ask(const Server& server, std::string method, const std::string& path,
                                 const std::string& authorization, std::string body = {}) {
    net::ClientRequest request;
    request.method = std::move(method);
    request.url = server.url() + path;
    request.headers.set("Authorization", authorization);
    if (body.starts_with('{')) request.headers.set("Content-Type", "application/json");
    request.body = std::move(body);
    auto response = net::send(request);
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    return response ? *std::move(response) : net::ClientResponse{};
  }

  /// By the first server's control API.
  std::string administer(std::string method, const std::string& path, std::string body = {}) {
    const auto answer = ask(*first_, std::move(method), path,
                            "Bearer " + first_->first_start()->admin_token, std::move(body));
    EXPECT_LT(answer.status, 300) << path << ": " << answer.body;
    return answer.body;
  }

  /// A line of Influx to the second server, with the first start's token for writing.
  int write_to_second(const std::string& instance_id, const std::string& line) {
    return ask(*second_, "POST", "/api/v1/push/influx/write",
               "Bearer " + instance_id + ":" + org_token_, line)
        .status;
  }

  void make_organisation_token() {
    const auto policy = nlohmann::json::parse(
        administer("POST", "/api/v1/accesspolicies?region=local",
                   R"({"name":"anywhere","scopes":["metrics:read","metrics:write"],)"
                   R"("realms":[{"type":"org","identifier":"1"}]})"));
    const auto token = nlohmann::json::parse(administer(
        "POST", "/api/v1/tokens?region=local",
        nlohmann::json{{"accessPolicyId", policy.value("id", "")}, {"name", "anywhere"}}.dump()));
    org_token_ = token.value("token", "");
  }

  /// Until `is_done`, at most as long as it may take with a notification.
  template <class Condition>
  static bool soon(const Condition& is_done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1'500);
    while (!is_done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
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
    auto tx = (*db)->begin_write();
    ASSERT_TRUE(tx);
    {
      auto update = tx->prepare("UPDATE tokens SET revoked_at_ms = ? WHERE name = ?");
      ASSERT_TRUE(update);
      update->bind(SystemClock().now().since_epoch).bind(token_name);
      ASSERT_TRUE(update->run());
    }
    ASSERT_EQ(tx->changed_rows(), 1);
    ASSERT_TRUE(state::bump_auth_epoch(*tx, SystemClock().now()));
    ASSERT_TRUE(tx->commit());
  }

  std::unique_ptr<Server> first_;
  std::unique_ptr<Server> second_;
  std::string org_token_;
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

TEST_F(ReplicasTest, AStackMadeOnOneIsServedByTheOther) {
  start_both();
  make_organisation_token();
  administer("POST", "/api/instances", R"({"name":"games"})");
  EXPECT_TRUE(soon([&] { return write_to_second("1000001", "score value=1") == 204; }));
  EXPECT_TRUE(std::filesystem::exists(data_of("second") / "stacks" / "1000001" / "metrics"));
  const auto answer =
      ask(*second_, "GET", "/api/v1/query?query=score", "Bearer 1000001:" + org_token_);
  EXPECT_NE(answer.body.find(R"("1"])"), std::string::npos) << answer.body;
}

TEST_F(ReplicasTest, LimitsChangedOnOneHoldOnTheOther) {
  start_both();
  make_organisation_token();
  administer("POST", "/api/instances", R"({"name":"games"})");
  ASSERT_TRUE(soon([&] { return write_to_second("1000001", "a value=1") == 204; }));
  administer("POST", "/api/instances/games", R"({"settings":{"limits":{"activeSeriesMax":1}}})");
  int series = 0;
  EXPECT_TRUE(soon([&] {
    return write_to_second("1000001", "b" + std::to_string(++series) + " value=1") == 429;
  }));
  EXPECT_EQ(write_to_second("1000000", "b value=1"), 204) << "another stack's limits stay";
}

TEST_F(ReplicasTest, AStackDeletedOnOneIsGoneFromTheOther) {
  start_both();
  make_organisation_token();
  administer("POST", "/api/instances", R"({"name":"games"})");
  ASSERT_TRUE(soon([&] { return write_to_second("1000001", "a value=1") == 204; }));
  administer("DELETE", "/api/instances/games");
  EXPECT_TRUE(soon([&] { return write_to_second("1000001", "a value=2") == 401; }));
  EXPECT_TRUE(soon([&] {
    return std::filesystem::exists(data_of("second") / "deleted-stacks" / "1000001" / "metrics");
  }));
  EXPECT_TRUE(std::filesystem::exists(data_of("first") / "deleted-stacks" / "1000001"));
  EXPECT_FALSE(std::filesystem::exists(data_of("second") / "stacks" / "1000001"));
  EXPECT_EQ(write_to_second("1000000", "a value=1"), 204);
}

TEST_F(ReplicasTest, WhatHappenedWhileTheDatabaseWasAwayIsCaughtUpWith) {
  start_both();
  make_organisation_token();
  state::PostgresServer& server = *state::PostgresServer::shared();
  server.stop();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  server.start();
  administer("POST", "/api/instances", R"({"name":"games"})");
  // The listener connects again after a second.
  EXPECT_TRUE(soon([&] { return write_to_second("1000001", "a value=1") == 204; }) ||
              soon([&] { return write_to_second("1000001", "a value=1") == 204; }));
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
