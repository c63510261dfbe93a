// The gateway as the server mounts it, in front of a provider that the test scripts.

#include "server/gateway_parts.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "access/control_plane.h"
#include "core/mutex.h"
#include "gateway/key_rows.h"
#include "net/client.h"
#include "net/testing/raw_server.h"
#include "server/config_load.h"
#include "server/server.h"

namespace gantry::server {
namespace {

using access::ControlChange;
using net::testing::RawServer;

constexpr std::string_view kQuestion =
    R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"my secret plan"}]})";
constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024",)"
    R"("choices":[{"index":0,"message":{"role":"assistant","content":"fine words"},)"
    R"("finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}})";

class GatewayPartsTest : public testing::Test {
 protected:
  GatewayPartsTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "gantry-gateway-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    std::ofstream(directory_ / "provider-key") << "sk-provider\n";
    config_.data = (directory_ / "data").string();
    config_.server.listen = "127.0.0.1:0";
    config_.otlp.http_listen.clear();
    config_.otlp.grpc_listen.clear();
    config_.server.ingest_threads = 4;
    config_.query.concurrency = 2;
    config_.server.shutdown_timeout = {2'000};
    config_.egress.allow = {"127.0.0.1"};
    config_.self.metrics = false;
    config_.self.traces = false;
    config_.log.level = log::Level::Error;
  }

  ~GatewayPartsTest() override {
    server_.reset();
    provider_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// Answers every request; "" leaves it without one.
  void start_provider(std::string body = std::string(kAnswer)) {
    provider_.emplace([this, body = std::move(body)](RawServer::Connection& connection, int) {
      for (std::string request; !(request = connection.read_request()).empty();) {
        {
          const core::Lock lock(mutex_);
          last_request_ = request;
        }
        if (body.empty()) return connection.wait_for_end();
        connection.send(
            fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: {}\r\n\r\n{}",
                        body.size(), body));
      }
    });
  }

  std::string last_request() {
    const core::Lock lock(mutex_);
    return last_request_;
  }

  /// `more`: further lines of the section.
  Config with_gateway(std::string_view model = "openai/gpt-4o", std::string_view secret_file = "",
                      std::string_view more = "") {
    Config config = config_;
    const std::string section = fmt::format(
        "gateway:\n"
        "  enabled: true\n"
        "{}"
        "  providers:\n"
        "    - slug: openai\n"
        "      name: OpenAI\n"
        "      base_url: http://127.0.0.1:{}/v1\n"
        "      keys: [{{secret: \"file:{}\"}}]\n"
        "  models:\n"
        "    - id: {}\n"
        "      pricing: {{prompt: \"0.000001\", completion: \"0.00001\"}}\n"
        "      endpoints: [{{provider: openai, model: gpt-4o-2024}}]\n",
        more, provider_->port(),
        secret_file.empty() ? (directory_ / "provider-key").string() : std::string(secret_file),
        model);
    const auto applied = apply_yaml(config, section, "test");
    EXPECT_TRUE(applied) << (applied ? "" : applied.error().message);
    return config;
  }

  void start(const Config& config) {
    next_ = config;
    auto server = Server::start(config, [this] { return next_; });
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    if (server_->first_start()) first_start_ = server_->first_start();
  }

  /// Through the database, as another process would. Returns what `act(org, stack, change)` does.
  template <class Act>
  auto administer(Act act) {
    const SystemClock clock;
    core::MetricRegistry registry;
    auto parts = AccessParts::open(directory_ / "data", config_, clock, registry);
    EXPECT_TRUE(parts) << (parts ? "" : parts.error().message);
    const auto stacks = (*parts)->directory->list_stacks();
    const access::Stack stack = stacks->front();
    auto change =
        ControlChange::begin(*(*parts)->control, access::system_control_principal(stack.org));
    auto result = act(stack.org, stack.id, *change);
    EXPECT_TRUE(result);
    EXPECT_TRUE(change->commit());
    return *std::move(result);
  }

  void make_key() {
    auto issued = administer([](access::OrgId org, StackId stack, ControlChange& change) {
      return gateway::create_gateway_key(org, stack, change, {.name = "test"});
    });
    key_ = std::move(issued);
  }

  net::ClientResponse ask(std::string_view path, std::string_view token,
                          std::string_view body = "") {
    return send(body.empty() ? "GET" : "POST", path, token, body);
  }

  net::ClientResponse send(std::string_view method, std::string_view path, std::string_view token,
                           std::string_view body) {
    net::ClientRequest request;
    request.method = method;
    request.url = server_->url() + std::string(path);
    request.body = body;
    if (!token.empty()) request.headers.set("Authorization", fmt::format("Bearer {}", token));
    const auto response = net::send(request);
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    return response ? *response : net::ClientResponse{};
  }

  net::ClientResponse chat(std::string_view path = "/api/v1/chat/completions") {
    return ask(path, key_->secret, kQuestion);
  }

  std::string record_of(const std::string& id) {
    return ask("/api/v1/generation?id=" + id, key_->secret).body;
  }

  std::string own_metrics() { return ask("/metrics", "").body; }

  template <class Condition>
  static bool soon(const Condition& is_done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!is_done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  /// The stack's only trace, as the trace API shows it; "" if there is none.
  std::string stored_trace() {
    const std::string& token = first_start_->read_token;
    const auto found = nlohmann::json::parse(
        ask("/api/search?q=%7B%20name%20%3D%20%22LLM%20Generation%22%20%7D", token).body, nullptr,
        false);
    if (!found.contains("traces") || found["traces"].empty()) return "";
    const std::string id = found["traces"][0].value("traceID", "");
    return ask("/api/traces/" + id, token).body;
  }

  std::filesystem::path directory_;
  Config config_;
  Result<Config> next_ = Config{};
  core::Mutex mutex_;
  std::string last_request_ GANTRY_GUARDED_BY(mutex_);
  std::optional<RawServer> provider_;
  std::optional<access::FirstStart> first_start_;
  std::optional<gateway::IssuedGatewayKey> key_;
  std::unique_ptr<Server> server_;
};

TEST_F(GatewayPartsTest, ACallIsAnsweredRecordedCountedAndTraced) {
  start_provider();
  start(with_gateway());
  make_key();
  for (const std::string_view path : {"/api/v1/chat/completions", "/v1/chat/completions"}) {
    const auto answer = chat(path);
    EXPECT_EQ(answer.status, 200) << answer.body;
    const auto body = nlohmann::json::parse(answer.body, nullptr, false);
    EXPECT_EQ(body["choices"][0]["message"]["content"], "fine words");
    EXPECT_EQ(body["id"], answer.headers.find("X-Generation-Id"));
    const std::string id(answer.headers.find("X-Generation-Id"));
    EXPECT_TRUE(soon([&] { return record_of(id).contains("\"tokens_prompt\":1000"); }));
  }
  EXPECT_NE(last_request().find("Authorization: Bearer sk-provider\r\n"), std::string::npos);
  EXPECT_NE(last_request().find("\"model\":\"gpt-4o-2024\""), std::string::npos);
  EXPECT_TRUE(soon([&] {
    return own_metrics().contains(
        "gantry_gateway_requests_total{error_type=\"\",model=\"openai/gpt-4o\","
        "provider=\"openai\",status=\"200\"} 2");
  })) << own_metrics();
  std::string trace;
  ASSERT_TRUE(soon([&] { return !(trace = stored_trace()).empty(); }));
  EXPECT_NE(trace.find("gen_ai.usage.total_cost"), std::string::npos) << trace;
}

TEST_F(GatewayPartsTest, TheStackKeepsContentOnlyWhenAskedTo) {
  start_provider();
  for (const bool keeps : {false, true}) {
    SCOPED_TRACE(keeps);
    std::filesystem::remove_all(directory_ / "data");
    start(with_gateway("openai/gpt-4o", "", keeps ? "  io_logging: true\n" : ""));
    make_key();
    ASSERT_EQ(chat().status, 200);
    std::string trace;
    ASSERT_TRUE(soon([&] { return !(trace = stored_trace()).empty(); }));
    EXPECT_EQ(trace.contains("my secret plan"), keeps) << trace;
    EXPECT_EQ(trace.contains("fine words"), keeps) << trace;
    server_.reset();
  }
}

TEST_F(GatewayPartsTest, ADestinationGetsEachCallOnce) {
  start_provider();
  core::Mutex mutex;
  std::string received;
  const RawServer receiver([&](RawServer::Connection& connection, int) {
    for (std::string request; !(request = connection.read_request()).empty();) {
      {
        const core::Lock lock(mutex);
        received += request;
      }
      connection.send(
          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    }
  });
  start(with_gateway());
  make_key();
  constexpr std::string_view kDestinations = "/api/v1/observability/destinations";
  const auto made =
      ask(fmt::format("{}?verify=false", kDestinations), first_start_->admin_token,
          fmt::format(R"({{"type":"otel-collector","name":"copy","config":{{"compression":"none",)"
                      R"("endpoint":"http://127.0.0.1:{}/v1/traces"}}}})",
                      receiver.port()));
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string id = nlohmann::json::parse(made.body)["data"]["id"];
  ASSERT_TRUE(soon([&] {
    return ask(fmt::format("{}/{}/health", kDestinations, id), first_start_->admin_token)
        .body.contains(R"("state":"active")");
  }));
  // What the first call brought besides would be there before the second.
  for (int calls = 1; calls <= 2; ++calls) {
    const std::string generation(chat().headers.find("X-Generation-Id"));
    EXPECT_TRUE(soon([&] {
      const core::Lock lock(mutex);
      return received.contains(generation);
    }));
  }
  server_.reset();  // sends what is queued
  const core::Lock lock(mutex);
  std::size_t resources = 0;
  for (auto at = received.find("service.name"); at != std::string::npos;
       at = received.find("service.name", at + 1)) {
    ++resources;
  }
  EXPECT_EQ(resources, 2U) << received;
  EXPECT_TRUE(received.contains("my secret plan")) << "the stack's own copy is without content";
}

TEST_F(GatewayPartsTest, TheStackHasTheMetricsOfItsCalls) {
  start_provider();
  config_.self.metrics = true;
  config_.collect.interval = {100};
  start(with_gateway());
  make_key();
  ASSERT_EQ(chat().status, 200);
  ASSERT_EQ(ask("/v1/chat/completions", key_->secret, R"({"model":"none","messages":[]})").status,
            400);
  const auto value_of = [&](const std::string& query) {
    return ask("/api/v1/query?query=" + query, first_start_->read_token).body;
  };
  for (const std::string status : {"200", "400"}) {
    EXPECT_TRUE(soon([&] {
      return value_of("sum(gantry_gateway_requests_total%7Bstatus=%22" + status + "%22%7D)")
          .contains(",\"1\"]");
    })) << status;
  }
  EXPECT_TRUE(value_of("gantry_gateway_requests_total").contains("\"job\":\"gantry-gateway\""));
  EXPECT_TRUE(
      soon([&] { return value_of("gantry_gateway_inflight").contains("\"job\":\"gantry\""); }));
  EXPECT_FALSE(value_of("gen_ai_client_token_usage_count").contains("\"job\":\"gantry\""));
}

TEST_F(GatewayPartsTest, WithoutASectionItIsNotThere) {
  start(config_);
  EXPECT_EQ(ask("/v1/chat/completions", "", kQuestion).status, 404);
  EXPECT_FALSE(own_metrics().contains("gantry_gateway_"));
}

TEST_F(GatewayPartsTest, ASectionThatIsSwitchedOffIsNotServed) {
  start_provider();
  Config config = config_;
  ASSERT_TRUE(apply_yaml(config, "gateway: {enabled: false}", "test"));
  start(config);
  EXPECT_EQ(ask("/v1/chat/completions", "", kQuestion).status, 404);
}

TEST_F(GatewayPartsTest, OtherTokensAreNoKeys) {
  start_provider();
  start(with_gateway());
  const auto missing = ask("/v1/chat/completions", "", kQuestion);
  EXPECT_EQ(missing.status, 401);
  EXPECT_NE(missing.body.find("Missing Authentication header"), std::string::npos) << missing.body;
  EXPECT_EQ(ask("/v1/chat/completions", first_start_->admin_token, kQuestion).status, 401);
  EXPECT_EQ(ask("/v1/models", first_start_->read_token).status, 401);
}

TEST_F(GatewayPartsTest, AStartWithoutTheProvidersSecretFails) {
  start_provider();
  const Config config = with_gateway("openai/gpt-4o", "/no/such/file");
  const auto server = Server::start(config, [&] { return config; });
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().message.find("/no/such/file"), std::string::npos)
      << server.error().message;
}

TEST_F(GatewayPartsTest, ABrokenVocabularyIsRefused) {
  start_provider();
  const auto file = (directory_ / "o200k_base.tiktoken").string();
  std::ofstream(file) << "SGVsbG8= 0\nSGVsbG8 1\n";
  const Config config =
      with_gateway("openai/gpt-4o", "",
                   fmt::format("  tokenizers: [{{file: \"{}\", models: [\"openai/*\"]}}]\n", file));
  const std::string why = "gateway.tokenizers[0]: " + file + ":2: the token is not base64";
  const auto server = Server::start(config, [&] { return config; });
  ASSERT_FALSE(server);
  EXPECT_TRUE(server.error().message.contains(why)) << server.error().message;
  start(with_gateway("openai/gpt-4o"));
  make_key();
  next_ = config;
  const auto reloaded = server_->reload();
  ASSERT_FALSE(reloaded);
  EXPECT_TRUE(reloaded.error().message.contains(why)) << reloaded.error().message;
  EXPECT_EQ(chat().status, 200);
}

TEST_F(GatewayPartsTest, AReloadChangesModels) {
  start_provider();
  start(with_gateway("openai/gpt-4"));
  make_key();
  EXPECT_EQ(chat().status, 400);
  next_ = with_gateway("openai/gpt-4o");
  ASSERT_TRUE(server_->reload());
  EXPECT_EQ(chat().status, 200);
  next_ = config_;  // without a section: not before the next start
  ASSERT_TRUE(server_->reload());
  EXPECT_EQ(chat().status, 200);
}

TEST_F(GatewayPartsTest, AReloadWithoutASecretChangesNothing) {
  start_provider();
  start(with_gateway());
  make_key();
  next_ = with_gateway("openai/gpt-4", "/no/such/file");
  EXPECT_FALSE(server_->reload());
  EXPECT_EQ(chat().status, 200);
}

TEST_F(GatewayPartsTest, AReloadReadsSecretsAgain) {
  start_provider();
  start(with_gateway());
  make_key();
  std::ofstream(directory_ / "provider-key") << "sk-rotated";
  ASSERT_TRUE(server_->reload());
  ASSERT_EQ(chat().status, 200);
  EXPECT_NE(last_request().find("Bearer sk-rotated"), std::string::npos);
}

TEST_F(GatewayPartsTest, AnyChangeOfAccessLetsItLookAtKeysAgain) {
  start_provider();
  start(with_gateway());
  make_key();
  ASSERT_EQ(chat().status, 200);
  administer([&](access::OrgId org, StackId stack, ControlChange& change) {
    return gateway::delete_gateway_key(org, stack, change, key_->key.hash);
  });
  // Of another process nothing is heard on SQLite. A change by this one:
  net::ClientRequest request;
  request.method = "POST";
  request.url = server_->url() + "/api/v1/accesspolicies?region=local";
  request.headers.set("Authorization", "Bearer " + first_start_->admin_token);
  request.headers.set("Content-Type", "application/json");
  request.body = R"({"name":"any","scopes":["metrics:read"],)"
                 R"("realms":[{"type":"org","identifier":"1"}]})";
  const auto made = net::send(request);
  ASSERT_TRUE(made);
  ASSERT_LT(made->status, 300) << made->body;
  EXPECT_EQ(chat().status, 401);
}

TEST_F(GatewayPartsTest, KeysAreManagedOverTheApi) {
  start_provider();
  start(with_gateway());
  const std::string& admin = first_start_->admin_token;
  const auto made = nlohmann::json::parse(
      ask("/api/v1/keys", admin, R"({"name":"shop","limit":1})").body, nullptr, false);
  ASSERT_TRUE(made.contains("key")) << made;
  const std::string secret = made["key"];
  const std::string one = "/api/v1/keys/" + made["data"].value("hash", "");
  EXPECT_EQ(ask("/v1/chat/completions", secret, kQuestion).status, 200);
  EXPECT_TRUE(soon([&] { return ask(one, admin).body.contains(R"("usage":0.002,)"); }));
  EXPECT_EQ(ask("/api/v1/keys", secret).status, 401) << "a key manages no keys";
  EXPECT_EQ(send("PATCH", one, admin, R"({"disabled":true})").status, 200);
  EXPECT_EQ(ask("/v1/chat/completions", secret, kQuestion).status, 401) << "at once";
  EXPECT_EQ(send("PATCH", one, admin, R"({"disabled":false})").status, 200);
  EXPECT_EQ(ask("/v1/chat/completions", secret, kQuestion).status, 200);
  EXPECT_EQ(send("DELETE", one, admin, "").status, 200);
  EXPECT_EQ(ask("/v1/chat/completions", secret, kQuestion).status, 401);
}

TEST_F(GatewayPartsTest, WhatWasSpentOutlivesTheServer) {
  start_provider();
  start(with_gateway());
  make_key();
  const std::string id(chat().headers.find("X-Generation-Id"));
  ASSERT_TRUE(server_->stop());
  server_.reset();
  start(with_gateway());
  // 1,000 tokens at 0.000001 and 100 at 0.00001 USD.
  const auto key = nlohmann::json::parse(ask("/v1/key", key_->secret).body, nullptr, false);
  EXPECT_DOUBLE_EQ(key["data"].value("usage", 0.0), 0.002) << key;
  EXPECT_EQ(ask("/v1/generation?id=" + id, key_->secret).status, 200);
  EXPECT_FALSE(stored_trace().empty());
}

TEST_F(GatewayPartsTest, ACallUnderWayIsCutAndRecordedByTheEnd) {
  start_provider("");
  config_.server.shutdown_timeout = {100};
  start(with_gateway());
  make_key();
  std::jthread client([this] {
    static_cast<void>(net::send([this] {
      net::ClientRequest request;
      request.method = "POST";
      request.url = server_->url() + "/v1/chat/completions";
      request.body = kQuestion;
      request.headers.set("Authorization", "Bearer " + key_->secret);
      return request;
    }()));
  });
  ASSERT_TRUE(soon([&] { return !last_request().empty(); }));
  ASSERT_TRUE(server_->stop());
  client.join();
  server_.reset();
  provider_.reset();
  start_provider();
  start(with_gateway());
  std::string trace;
  EXPECT_FALSE((trace = stored_trace()).empty());
  EXPECT_NE(trace.find("client_disconnected"), std::string::npos) << trace;
}

}  // namespace
}  // namespace gantry::server
