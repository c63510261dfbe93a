#include "server/server.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/client.h"
#include "server/settings.h"

namespace gantry::server {
namespace {

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "gantry-server-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    config_.data = (directory_ / "data").string();
    config_.server.listen = "127.0.0.1:0";
    config_.otlp.http_listen = "127.0.0.1:0";
    config_.otlp.grpc_listen = "127.0.0.1:0";
    config_.server.ingest_threads = 2;
    config_.query.concurrency = 2;
    config_.server.shutdown_timeout = {2'000};
    config_.self.metrics = false;
    config_.log.level = log::Level::Error;
    next_ = config_;
  }

  ~ServerTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  void start() {
    auto server = Server::start(config_, [this] { return next_; });
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }

  net::ClientResponse ask(const std::string& path, const std::string& authorization = "",
                          const std::string& body = "") {
    net::ClientRequest request;
    request.method = body.empty() ? "GET" : "POST";
    request.url = server_->url() + path;
    request.body = body;
    if (!authorization.empty()) request.headers.set("Authorization", authorization);
    const auto response = net::send(request);
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    return response ? *response : net::ClientResponse{};
  }

  std::string writer() const { return "Bearer " + server_->first_start()->write_token; }

  std::string reader() const { return "Bearer " + server_->first_start()->read_token; }

  std::filesystem::path directory_;
  Config config_;
  Result<Config> next_ = Config{};
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnEmptyDirectoryBecomesAServerThatStoresAndAnswers) {
  start();
  ASSERT_TRUE(server_->first_start());
  EXPECT_EQ(server_->url(), "http://127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_EQ(server_->first_start()->url, server_->url());
  EXPECT_EQ(ask("/api/v1/push/influx/write", writer(), "test,bar_label=abc metric=35.2").status,
            204);
  const auto answer = ask("/api/v1/query?query=test_metric", reader());
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("\"35.2\""), std::string::npos) << answer.body;
  for (const std::string prefix : {"/prometheus", "/api/prom"})
    EXPECT_EQ(ask(prefix + "/api/v1/query?query=test_metric", reader()).status, 200) << prefix;
}

TEST_F(ServerTest, EveryOtherStartKeepsDataAndTokens) {
  start();
  const access::FirstStart first = *server_->first_start();
  ASSERT_EQ(ask("/write", writer(), "kept value=1").status, 204);
  ASSERT_TRUE(server_->stop());
  server_.reset();
  start();
  EXPECT_FALSE(server_->first_start());
  const auto answer = ask("/api/v1/query?query=kept", "Bearer " + first.read_token);
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("kept"), std::string::npos) << answer.body;
}

TEST_F(ServerTest, ScopesAreSeparate) {
  start();
  EXPECT_EQ(ask("/write", reader(), "x value=1").status, 403);
  EXPECT_EQ(ask("/api/v1/query?query=1", writer()).status, 403);
  const auto anonymous = ask("/api/v1/query?query=1");
  EXPECT_EQ(anonymous.status, 401);
  EXPECT_EQ(anonymous.headers.find("WWW-Authenticate"), "Bearer realm=\"gantry\"");
}

TEST_F(ServerTest, HealthOwnMetricsAndUnknownPaths) {
  start();
  EXPECT_EQ(ask("/-/healthy").status, 200);
  EXPECT_EQ(ask("/-/ready").status, 200);
  const auto metrics = ask("/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_NE(metrics.body.find("\ngantry_ready 1"), std::string::npos);
  EXPECT_NE(metrics.body.find("# TYPE gantry_build_info gauge"), std::string::npos);
  const auto unknown = ask("/no/such/path");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_NE(unknown.body.find("\"status\":\"error\""), std::string::npos);
}

TEST_F(ServerTest, OwnMetricsCanAskForAToken) {
  config_.server.metrics_require_token = true;
  start();
  EXPECT_EQ(ask("/metrics").status, 401);
  EXPECT_EQ(ask("/metrics", writer()).status, 403);
  EXPECT_EQ(ask("/metrics", reader()).status, 200);
}

TEST_F(ServerTest, ASecondOneIsToldWhoHoldsTheDirectory) {
  start();
  const auto second = Server::start(config_, [this] { return next_; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::FailedPrecondition);
  EXPECT_NE(second.error().message.find(std::to_string(getpid())), std::string::npos)
      << second.error().message;
}

TEST_F(ServerTest, ABusyPortLeavesNothingBehind) {
  start();
  Config other = config_;
  other.data = (directory_ / "other").string();
  other.server.listen = "127.0.0.1:" + std::to_string(server_->port());
  const auto second = Server::start(other, [this] { return next_; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Unavailable) << second.error().message;
  EXPECT_FALSE(std::filesystem::exists(directory_ / "other" / "first-start.json"));
  other.server.listen = "127.0.0.1:0";
  EXPECT_TRUE(Server::start(other, [this] { return next_; }));
}

TEST_F(ServerTest, WithoutADirectoryItSaysSo) {
  config_.data.clear();
  const auto server = Server::start(config_, [this] { return next_; });
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().message.find("--data DIR"), std::string::npos);
}

TEST_F(ServerTest, ABadCertificateIsNamed) {
  config_.tls.cert_file = (directory_ / "no.pem").string();
  config_.tls.key_file = (directory_ / "no.key").string();
  const auto server = Server::start(config_, [this] { return next_; });
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().message.find("no.pem"), std::string::npos) << server.error().message;
}

TEST_F(ServerTest, ItsOwnMetricsArriveInTheMainStack) {
  config_.self.metrics = true;
  config_.collect.interval = {100};
  start();
  std::string body;
  const std::int64_t deadline_ns = monotonic_ns() + 10'000'000'000;
  while (monotonic_ns() < deadline_ns && body.find("gantry") == std::string::npos) {
    std::this_thread::yield();
    body = ask("/api/v1/query?query=up", reader()).body;
  }
  EXPECT_NE(body.find("\"job\":\"gantry\""), std::string::npos) << body;
}

TEST_F(ServerTest, AReloadAppliesWhatCanChange) {
  start();
  next_ = config_;
  next_->query.steps_max = 10;
  next_->server.io_threads = 7;
  const std::string query = "/api/v1/query_range?query=1&start=0&end=100&step=1";
  EXPECT_EQ(ask(query, reader()).status, 200);
  ASSERT_TRUE(server_->reload());
  EXPECT_EQ(ask(query, reader()).status, 400);
  const auto shown = ask("/api/v1/status/flags", reader());
  EXPECT_NE(shown.body.find("\"query.steps_max\":\"10\""), std::string::npos) << shown.body;
  EXPECT_NE(shown.body.find("\"server.io_threads\":\"2\""), std::string::npos) << "needs a restart";
}

TEST_F(ServerTest, AFailedReloadChangesNothing) {
  start();
  next_ = fail(Code::InvalidArgument, "gantry.yaml:1:1: unknown key");
  EXPECT_FALSE(server_->reload());
  EXPECT_NE(ask("/metrics").body.find("\ngantry_config_last_reload_successful 0"),
            std::string::npos);
  EXPECT_EQ(ask("/-/ready").status, 200);
}

TEST_F(ServerTest, WritesStopWhenTheDiskIsSaidToBeFull) {
  start();
  ASSERT_EQ(ask("/write", writer(), "before value=1").status, 204);
  next_ = config_;
  next_->disk_free_min = std::uint64_t{1} << 62U;
  ASSERT_TRUE(server_->reload());
  const auto refused = ask("/write", writer(), "during value=1");
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.headers.contains("Retry-After"));
  EXPECT_EQ(ask("/api/v1/query?query=before", reader()).status, 200);
  next_ = config_;
  ASSERT_TRUE(server_->reload());
  EXPECT_EQ(ask("/write", writer(), "after value=1").status, 204);
}

TEST_F(ServerTest, OtlpHasAListenerOfItsOwn) {
  start();
  net::ClientRequest request;
  request.method = "POST";
  request.url = "http://127.0.0.1:" + std::to_string(server_->otlp_http_port()) + "/v1/metrics";
  request.headers.set("Content-Type", "application/json");
  request.headers.set("Authorization", writer());
  request.body =
      R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"otlp.gauge","gauge":{"dataPoints":[{"asDouble":4.5}]}}]}]}]})";
  const auto response = net::send(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200) << response->body;
  EXPECT_NE(ask("/api/v1/query?query=otlp_gauge", reader()).body.find("\"4.5\""),
            std::string::npos);
  EXPECT_NE(server_->otlp_grpc_port(), 0);
}

TEST_F(ServerTest, ListenersCanBeOff) {
  config_.otlp.http_listen.clear();
  config_.otlp.grpc_listen.clear();
  start();
  EXPECT_EQ(server_->otlp_http_port(), 0);
  EXPECT_EQ(server_->otlp_grpc_port(), 0);
  EXPECT_EQ(ask("/-/ready").status, 200);
}

// Whatever egress.allow says, nothing is sent round in a circle.
TEST_F(ServerTest, DestinationsAreTestedTenTimesAMinuteAndAreNeverTheServerItself) {
  config_.egress.allow = {"127.0.0.1"};
  start();
  const std::string admin = "Bearer " + server_->first_start()->admin_token;
  const std::string body =
      R"({"type":"otel-collector","config":{"endpoint":")" + server_->url() + R"(/v1/traces"}})";
  const auto test = [&] { return ask("/api/v1/observability/destinations/test", admin, body); };
  EXPECT_TRUE(test().body.contains("invalid_config"));
  int tested = 1;
  // Twice ten: a minute may begin meanwhile.
  while (tested <= 20 && test().status == 200) ++tested;
  EXPECT_GE(tested, 10);
  EXPECT_LE(tested, 20);
  EXPECT_EQ(ask("/api/v1/observability/destinations", admin).body,
            R"({"data":[],"total_count":0})");
  EXPECT_EQ(ask("/api/v1/observability/destinations", reader()).status, 403);
  EXPECT_TRUE(std::filesystem::is_directory(directory_ / "data" / "broadcast" / "dead-letters"));
}

}  // namespace
}  // namespace gantry::server
