#include "api/destinations.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "access/secrets/keyring_canary.h"
#include "access/testing/control_fixture.h"

namespace gantry::api {
namespace {

using access::Keyring;
using access::KeyringSource;
using access::Realm;
using access::Scope;
using nlohmann::json;

constexpr std::string_view kPath = "/api/v1/observability/destinations";
constexpr std::string_view kSecret = "glc_0123456789AbCd";

struct Answer {
  int status = 0;
  json body;
};

class DestinationsApiTest : public access::ControlFixture {
 protected:
  DestinationsApiTest() {
    allow("write", {Scope::DestinationsRead, Scope::DestinationsWrite},
          {.type = Realm::Type::Stack, .identifier = stack_.value(), .label_policies = {}});
    allow("read", {Scope::DestinationsRead},
          {.type = Realm::Type::Stack, .identifier = stack_.value(), .label_policies = {}});
    allow("org", {Scope::DestinationsRead, Scope::DestinationsWrite},
          {.type = Realm::Type::Org, .identifier = org_.value(), .label_policies = {}});
    allow("none", {Scope::MetricsRead},
          {.type = Realm::Type::Stack, .identifier = stack_.value(), .label_policies = {}});
    add_destination_routes(router_, services_);
  }

  void SetUp() override {
    ControlFixture::SetUp();
    if (IsSkipped()) return;
    const auto made = access::create_keyring(source_, Keyring::make("k1"));
    ASSERT_TRUE(made) << made.error().message;
  }

  /// The token glc_NAME.
  void allow(std::string_view name, std::vector<Scope> scopes, Realm realm) {
    const std::string policy = add_policy(org_, name, std::move(scopes), {std::move(realm)});
    add_token(org_, policy, name, fmt::format("glc_{}", name));
  }

  Answer send(net::Method method, std::string_view target, std::string body = {},
              std::string_view token = "write") {
    net::Request request;
    request.method = method;
    const std::string url = fmt::format("{}{}", kPath, target);
    const std::size_t query = url.find('?');
    request.path = request.raw_path = url.substr(0, query);
    if (query != std::string::npos) request.raw_query = url.substr(query + 1);
    if (!token.empty()) request.headers.set("Authorization", fmt::format("Bearer glc_{}", token));
    request.body = std::move(body);
    const net::RouteMatch match = router_.find(method, request.path);
    EXPECT_NE(match.route, nullptr) << url;
    if (match.route == nullptr) return {};
    request.path_parameters = match.path_parameters;
    const net::Response response = match.route->handler(request);
    EXPECT_FALSE(response.body.contains(kSecret)) << response.body;
    EXPECT_EQ(response.headers.find("Cache-Control"), "no-store");
    return {.status = response.status, .body = json::parse(response.body)};
  }

  static std::string draft(std::string_view name = "copy") {
    return fmt::format(
        R"({{"type":"grafana","name":"{}","config":{{"instanceId":"1","apiKey":"{}"}}}})", name,
        kSecret);
  }

  /// Its id.
  std::string made(std::string_view name = "copy") {
    const Answer answer = send(net::Method::Post, "", draft(name));
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.status == 201 ? answer.body["data"]["id"].get<std::string>() : "";
  }

  static void expect_error(const Answer& answer, int status, std::string_view message,
                           std::string_view reason = {}) {
    EXPECT_EQ(answer.status, status) << answer.body;
    ASSERT_TRUE(answer.body.contains("error")) << answer.body;
    const json& error = answer.body["error"];
    EXPECT_EQ(error["code"], status);
    EXPECT_EQ(error["message"], message);
    if (!reason.empty()) EXPECT_EQ(error["metadata"]["reason"], reason);
  }

  KeyringSource source_{
      .kind = KeyringSource::Kind::File, .path = path_ / access::kKeyringFile, .text = {}};
  access::LiveKeyring keyring_{source_, std::nullopt};
  access::Sealer sealer_{{.keyring = keyring_, .audit = audit_, .clock = clock_},
                         access::Sealer::Options{}};
  access::StoredSecrets secrets_{sealer_};
  access::StackStores stores_;
  access::Gate gate_{authenticator_, stores_, registry_, {}};
  RequestRate rate_{clock_, 0};
  RequestRate test_rate_{clock_, 4};
  ConnectionVerdict verdict_{
      .is_ok = true, .status = 200, .latency_ms = 12, .error_code = {}, .message = {}};
  std::vector<broadcast::Destination> tested_;
  std::function<void()> meanwhile_;  ///< Happens while a connection is tested.
  DestinationServices services_{.gate = gate_,
                                .control = plane_,
                                .secrets = secrets_,
                                .rate = rate_,
                                .test_rate = test_rate_,
                                .test = [this](const broadcast::Destination& destination) {
                                  tested_.push_back(destination);
                                  if (meanwhile_) std::exchange(meanwhile_, {})();
                                  return verdict_;
                                }};
  net::Router router_;
};

TEST_F(DestinationsApiTest, OneLivesAndDies) {
  const Answer created = send(net::Method::Post, "", draft());
  ASSERT_EQ(created.status, 201) << created.body;
  const json& made = created.body["data"];
  EXPECT_EQ(made["type"], "grafana");
  EXPECT_EQ(made["workspace_id"], std::to_string(stack_.value()));
  EXPECT_EQ(made["config"]["apiKey"], "glc_...AbCd");
  ASSERT_EQ(tested_.size(), 1U);
  EXPECT_EQ(tested_[0].config.secret, kSecret);
  const std::string one = "/" + made["id"].get<std::string>();

  EXPECT_EQ(send(net::Method::Get, one, {}, "read").body["data"], made);
  const Answer listed = send(net::Method::Get, "", {}, "read");
  EXPECT_EQ(listed.status, 200);
  EXPECT_EQ(listed.body["data"], json::array({made}));
  EXPECT_EQ(listed.body["total_count"], 1);

  const Answer changed = send(net::Method::Patch, one, R"({"name":"renamed","enabled":false})");
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.body["data"]["name"], "renamed");
  EXPECT_EQ(changed.body["data"]["enabled"], false);
  EXPECT_EQ(tested_.size(), 1U) << "neither type nor config was touched";

  const Answer deleted = send(net::Method::Delete, one);
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(deleted.body, json::parse(R"({"deleted":true})"));
  expect_error(send(net::Method::Get, one), 404, "Resource not found");
  expect_error(send(net::Method::Delete, one), 404, "Resource not found");
}

TEST_F(DestinationsApiTest, WhatWasReadCanBeWrittenBack) {
  const std::string one = "/" + made();
  const json shown = send(net::Method::Get, one).body["data"];
  const Answer echoed = send(net::Method::Patch, one, shown.dump());
  EXPECT_EQ(echoed.status, 200) << echoed.body;
  EXPECT_EQ(echoed.body["data"], shown);
  EXPECT_EQ(tested_.back().config.secret, kSecret) << "tested with the stored secret";
}

TEST_F(DestinationsApiTest, PagesAreCounted) {
  for (const std::string_view name : {"a", "b", "c"}) {
    made(name);
    clock_.advance(DurationMs{1});
  }
  const Answer page = send(net::Method::Get, "?offset=1&limit=1");
  EXPECT_EQ(page.body["total_count"], 3);
  ASSERT_EQ(page.body["data"].size(), 1U);
  EXPECT_EQ(page.body["data"][0]["name"], "b");
  for (const std::string_view query : {"?limit=0", "?limit=101", "?offset=-1", "?offset=x"})
    EXPECT_EQ(send(net::Method::Get, query).status, 400) << query;
  expect_error(send(net::Method::Get, "?limit=101"), 400, "Invalid request parameters",
               "limit: must be a whole number from 1 to 100");
}

TEST_F(DestinationsApiTest, StrangersAndTheUnentitledAreRefused) {
  expect_error(send(net::Method::Get, "", {}, ""), 401, "Missing Authentication header");
  EXPECT_EQ(send(net::Method::Get, "", {}, "unknown").status, 401);
  const std::string only_management = "Only management keys can perform this operation";
  expect_error(send(net::Method::Get, "", {}, "none"), 403, only_management);
  expect_error(send(net::Method::Post, "", draft(), "read"), 403, only_management);
  const std::string one = "/" + made();
  expect_error(send(net::Method::Patch, one, "{}", "read"), 403, only_management);
  expect_error(send(net::Method::Delete, one, {}, "read"), 403, only_management);
  expect_error(send(net::Method::Post, one + "/test", {}, "read"), 403, only_management);
}

TEST_F(DestinationsApiTest, TokensOfOtherStacksSeeNothing) {
  const std::string one = "/" + made();
  const StackId second = add_stack(org_, "second");
  allow("second", {Scope::DestinationsRead, Scope::DestinationsWrite},
        {.type = Realm::Type::Stack, .identifier = second.value(), .label_policies = {}});
  EXPECT_EQ(send(net::Method::Get, one, {}, "second").status, 403);
  EXPECT_EQ(send(net::Method::Patch, one, R"({"config":{}})", "second").status, 403);
  EXPECT_EQ(send(net::Method::Delete, one, {}, "second").status, 403);
  EXPECT_EQ(send(net::Method::Post, one + "/test", {}, "second").status, 403);
  EXPECT_EQ(send(net::Method::Get, "?workspace_id=main", {}, "second").status, 403);
  EXPECT_EQ(send(net::Method::Get, "", {}, "second").body["total_count"], 0);
  EXPECT_EQ(send(net::Method::Get, "?workspace_id=foreign", {}, "org").status, 400);
}

TEST_F(DestinationsApiTest, WhoHasSeveralStacksNamesOne) {
  EXPECT_EQ(send(net::Method::Get, "", {}, "org").status, 200) << "there is one only";
  add_stack(org_, "second");
  expect_error(send(net::Method::Get, "", {}, "org"), 400, "Invalid request parameters",
               "workspace_id: is required: there are 2 stacks to choose from");
  json body = json::parse(draft());
  body["workspace_id"] = "second";
  const Answer created = send(net::Method::Post, "", body.dump(), "org");
  ASSERT_EQ(created.status, 201) << created.body;
  const std::string one = "/" + created.body["data"]["id"].get<std::string>();
  expect_error(send(net::Method::Patch, one, R"({"workspace_id":"main"})", "org"), 400,
               "Invalid request parameters", "workspace_id: of a destination never changes");
}

TEST_F(DestinationsApiTest, WrongFieldsAreNamed) {
  const Answer answer =
      send(net::Method::Post, "", R"({"type":"grafana","name":"n","config":{"instanceId":"x"}})");
  expect_error(answer, 400, "Invalid request parameters");
  EXPECT_EQ(answer.body["error"]["metadata"]["fields"][0]["path"], "config.instanceId");
  EXPECT_TRUE(tested_.empty());
  EXPECT_EQ(send(net::Method::Post, "?verify=perhaps", draft()).status, 400);
}

TEST_F(DestinationsApiTest, WhatFailsItsTestIsNotSaved) {
  const std::string one = "/" + made();
  verdict_ = {.is_ok = false,
              .status = 401,
              .latency_ms = 7,
              .error_code = "unauthorized",
              .message = "check apiKey"};
  const Answer refused = send(net::Method::Post, "", draft());
  expect_error(refused, 400, "Invalid request parameters");
  EXPECT_EQ(refused.body["error"]["metadata"], json::parse(R"({
      "error_type":"connection_test_failed",
      "test":{"ok":false,"status":401,"latency_ms":7,
              "error":{"code":"unauthorized","message":"check apiKey"}}})"));
  EXPECT_EQ(send(net::Method::Patch, one, R"({"config":{"instanceId":"2"}})").status, 400);
  const Answer listed = send(net::Method::Get, "");
  EXPECT_EQ(listed.body["total_count"], 1);
  EXPECT_EQ(listed.body["data"][0]["config"]["instanceId"], "1");

  tested_.clear();
  EXPECT_EQ(send(net::Method::Post, "?verify=false", draft("unverified")).status, 201);
  EXPECT_TRUE(tested_.empty());
}

TEST_F(DestinationsApiTest, ASixthConflicts) {
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(send(net::Method::Post, "?verify=false", draft("n")).status, 201);
  expect_error(send(net::Method::Post, "?verify=false", draft("n")), 409,
               "Resource conflict. Please try again later.",
               "the stack has 5 destinations of the type grafana, which is the limit");
}

TEST_F(DestinationsApiTest, AChangeDuringTheTestConflicts) {
  const std::string one = "/" + made();
  meanwhile_ = [&] {
    EXPECT_EQ(send(net::Method::Patch, one, R"({"name":"quicker"})").status, 200);
  };
  expect_error(send(net::Method::Patch, one, R"({"config":{"instanceId":"2"}})"), 409,
               "Resource conflict. Please try again later.",
               "somebody else has just changed the destination");
  EXPECT_EQ(send(net::Method::Get, one).body["data"]["name"], "quicker");
}

TEST_F(DestinationsApiTest, ConnectionsAreTestedWithoutSaving) {
  const json fine =
      json::parse(R"({"data":{"ok":true,"status":200,"latency_ms":12,"error":null}})");
  const Answer unsaved = send(net::Method::Post, "/test",
                              R"({"type":"webhook","config":{"url":"https://hook.example.com"}})");
  EXPECT_EQ(unsaved.status, 200) << unsaved.body;
  EXPECT_EQ(unsaved.body, fine);
  EXPECT_EQ(tested_.back().config.url, "https://hook.example.com");
  const std::string one = "/" + made();
  EXPECT_EQ(send(net::Method::Post, one + "/test").body, fine);
  EXPECT_EQ(tested_.back().config.secret, kSecret);
  expect_error(send(net::Method::Post, one + "/test",
                    R"({"config":{"baseUrl":"https://evil.example.com"}})"),
               400, "Invalid request parameters",
               "config.apiKey: must be entered again: config.baseUrl names another server");

  verdict_ = {.is_ok = false,
              .status = {},
              .latency_ms = 0,
              .error_code = "dns",
              .message = "no such host"};
  const Answer failed = send(net::Method::Post, one + "/test");
  EXPECT_EQ(failed.status, 200);
  EXPECT_EQ(failed.body["data"]["status"], nullptr);
  EXPECT_EQ(failed.body["data"]["error"]["code"], "dns");

  const Answer too_many = send(net::Method::Post, one + "/test");
  expect_error(too_many, 429, "too many connection tests");
  ASSERT_TRUE(audit_.flush());
  EXPECT_EQ(events().back(), "destination.tested");
}

}  // namespace
}  // namespace gantry::api
