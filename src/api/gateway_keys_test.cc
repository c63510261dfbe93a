#include "api/gateway_keys.h"

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/testing/control_api_fixture.h"
#include "gateway/key_rows.h"
#include "state/auth_epoch.h"

namespace gantry::api {
namespace {

using access::Realm;
using access::Scope;
using nlohmann::json;
using testing::Answer;

constexpr std::string_view kPath = "/api/v1/keys";
constexpr std::int64_t kPicoPerUsd = 1'000'000'000'000;

class GatewayKeysApiTest : public testing::ControlApiFixture {
 protected:
  GatewayKeysApiTest() : ControlApiFixture(kPath, "manage") {
    const std::vector<Scope> all = {Scope::AccessPoliciesRead, Scope::AccessPoliciesWrite,
                                    Scope::AccessPoliciesDelete, Scope::LlmInvoke};
    allow("manage", all, whole_stack());
    allow("read", {Scope::AccessPoliciesRead}, whole_stack());
    allow("write", {Scope::AccessPoliciesWrite, Scope::LlmInvoke}, whole_stack());
    allow("no-llm", {Scope::AccessPoliciesWrite, Scope::AccessPoliciesDelete}, whole_stack());
    allow("org", all, whole_org());
    allow("part", all,
          {.type = Realm::Type::Stack,
           .identifier = stack_.value(),
           .label_policies = {{R"({team="a"})"}}});
    add_gateway_key_routes(router_, services_);
  }

  /// The answer that has its secret.
  json made(const std::string& body = R"({"name":"k"})", std::string_view token = "manage") {
    Answer answer = send(net::Method::Post, "", body, token);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return std::move(answer.body);
  }

  static std::string one(const json& made) { return "/" + made["data"]["hash"].get<std::string>(); }

  /// The name of the key with this secret, as calls find it.
  std::string found(const json& made) {
    const auto key = finder_.find(made["key"].get<std::string>());
    if (!key) return key.error().message;
    return *key == nullptr ? "-" : (*key)->settings.name;
  }

  /// What is wrong with a body that makes a key.
  std::string reason(const std::string& body) {
    const Answer answer = send(net::Method::Post, "", body);
    if (answer.status != 400) return std::to_string(answer.status);
    EXPECT_EQ(answer.body["error"]["message"], "Invalid request parameters");
    return answer.body["error"]["metadata"]["reason"];
  }

  /// Calls with a key that cost so much.
  void spend(const json& made, std::int64_t usd) {
    const auto key = finder_.find(made["key"].get<std::string>());
    ASSERT_TRUE(key && *key != nullptr);
    const gateway::PicoUsd cost{usd * kPicoPerUsd};
    auto admission = budgets_.admit(**key, {.cost = cost, .tokens = 1});
    ASSERT_TRUE(admission);
    ASSERT_TRUE(std::holds_alternative<gateway::Reservation>(*admission));
    std::get<gateway::Reservation>(*admission).settle({.cost = cost, .tokens = 1});
  }

  gateway::KeyBudgets budgets_{*db_, clock_, {}};
  gateway::GatewayKeyFinder finder_{*db_, hasher_, clock_, registry_, {}};
  GatewayKeyServices services_{
      .gate = gate_, .control = plane_, .rate = rate_, .budgets = budgets_};
};

constexpr std::string_view kFull =
    R"({"name":"batch","limit":12.5,"limit_reset":"weekly","include_byok_in_limit":true,)"
    R"("rpm":60,"tpm":100000,"max_concurrent":8,"allowed_models":["openai/gpt-4o"],)"
    R"("expires_at":"2100-01-01T00:00:00Z"})";

TEST_F(GatewayKeysApiTest, OneLivesAndDies) {
  const json created = made(std::string(kFull));
  const std::string secret = created["key"];
  EXPECT_TRUE(secret.starts_with("gk_")) << secret;
  EXPECT_EQ(secret.size(), 51U);
  const json& data = created["data"];
  EXPECT_EQ(data["name"], "batch");
  EXPECT_EQ(data["limit"], 12.5);
  EXPECT_EQ(data["limit_remaining"], 12.5);
  EXPECT_EQ(data["limit_reset"], "weekly");
  EXPECT_EQ(data["usage"], 0);
  EXPECT_EQ(data["rpm"], 60);
  EXPECT_EQ(data["allowed_models"], json::array({"openai/gpt-4o"}));
  EXPECT_EQ(data["expires_at"], "2100-01-01T00:00:00Z");
  EXPECT_EQ(data["disabled"], false);
  EXPECT_EQ(data["workspace_id"], std::to_string(stack_.value()));
  EXPECT_EQ(found(created), "batch");

  const Answer read = send(net::Method::Get, one(created), {}, "read");
  EXPECT_EQ(read.status, 200);
  EXPECT_EQ(read.body["data"], data);
  EXPECT_FALSE(read.body.contains("key"));
  EXPECT_FALSE(read.body.dump().contains(secret.substr(8, 30)));
  EXPECT_EQ(send(net::Method::Get, "", {}, "read").body["data"], json::array({data}));

  const Answer deleted = send(net::Method::Delete, one(created));
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(deleted.body, json::parse(R"({"deleted":true})"));
  expect_error(send(net::Method::Get, one(created)), 404, "Resource not found");
  expect_error(send(net::Method::Patch, one(created), "{}"), 404, "Resource not found");
  expect_error(send(net::Method::Delete, one(created)), 404, "Resource not found");
  expect_error(send(net::Method::Get, "/nothing"), 404, "Resource not found");
}

TEST_F(GatewayKeysApiTest, AChangeKeepsWhatItDoesNotName) {
  const json created = made(std::string(kFull));
  json expected = created["data"];
  const Answer named = send(net::Method::Patch, one(created), R"({"name":"b","disabled":true})");
  ASSERT_EQ(named.status, 200) << named.body;
  expected["name"] = "b";
  expected["disabled"] = true;
  EXPECT_EQ(named.body["data"], expected);
  const Answer freed = send(net::Method::Patch, one(created),
                            R"({"limit":null,"limit_reset":null,"rpm":null,"tpm":null,)"
                            R"("max_concurrent":null,"allowed_models":null,"expires_at":null})");
  ASSERT_EQ(freed.status, 200) << freed.body;
  for (const char* const name :
       {"limit", "limit_remaining", "limit_reset", "rpm", "tpm", "max_concurrent", "expires_at"})
    EXPECT_TRUE(freed.body["data"][name].is_null()) << name;
  EXPECT_EQ(freed.body["data"]["allowed_models"], json::array());
  EXPECT_EQ(freed.body["data"]["name"], "b");
}

TEST_F(GatewayKeysApiTest, WhatWasReadCanBeWrittenBack) {
  const json created = made(std::string(kFull));
  const json shown = send(net::Method::Get, one(created)).body["data"];
  const Answer echoed = send(net::Method::Patch, one(created), shown.dump());
  EXPECT_EQ(echoed.status, 200) << echoed.body;
  EXPECT_EQ(echoed.body["data"], shown);
  EXPECT_EQ(events().back(), "gateway_key.created") << "nothing has changed";
}

TEST_F(GatewayKeysApiTest, ChangesHoldForTheNextCall) {
  const auto listener =
      state::ChangeListener::start(*db_, clock_, registry_, {}, [&] { finder_.forget_all(); });
  ASSERT_TRUE(listener);
  const json created = made();
  EXPECT_EQ(found(created), "k");
  EXPECT_EQ(send(net::Method::Patch, one(created), R"({"disabled":true})").status, 200);
  EXPECT_EQ(found(created), "-");
  EXPECT_EQ(send(net::Method::Patch, one(created), R"({"disabled":false})").status, 200);
  EXPECT_EQ(found(created), "k");
  EXPECT_EQ(send(net::Method::Delete, one(created)).status, 200);
  EXPECT_EQ(found(created), "-");
}

TEST_F(GatewayKeysApiTest, ShowsWhatWasSpent) {
  const json created = made(R"({"name":"k","limit":10})");
  spend(created, 4);
  const json unwritten = send(net::Method::Get, one(created)).body["data"];
  EXPECT_EQ(unwritten["usage"], 4);
  EXPECT_EQ(unwritten["limit_remaining"], 6);
  ASSERT_TRUE(budgets_.flush());
  EXPECT_EQ(send(net::Method::Get, "").body["data"][0]["usage_daily"], 4);
  const Answer lowered = send(net::Method::Patch, one(created), R"({"limit":3})");
  EXPECT_EQ(lowered.body["data"]["usage"], 4);
  EXPECT_EQ(lowered.body["data"]["limit_remaining"], 0) << "never negative";
}

TEST_F(GatewayKeysApiTest, ListsBeginWhereAskedAndLeaveDisabledOnesOut) {
  for (const std::string_view name : {"a", "b", "c"}) {
    made(fmt::format(R"({{"name":"{}","disabled":{}}})", name, name == "b"));
    clock_.advance(DurationMs{1});
  }
  const auto names = [&](std::string_view query) {
    std::string joined;
    for (const json& key : send(net::Method::Get, query).body["data"])
      joined += key["name"].get<std::string>();
    return joined;
  };
  EXPECT_EQ(names(""), "ac");
  EXPECT_EQ(names("?include_disabled=true"), "abc");
  EXPECT_EQ(names("?include_disabled=true&offset=1"), "bc");
  EXPECT_EQ(names("?offset=5"), "");
  for (const std::string_view query : {"?offset=-1", "?offset=x", "?include_disabled=yes"})
    EXPECT_EQ(send(net::Method::Get, query).status, 400) << query;
}

TEST_F(GatewayKeysApiTest, SaysWhatIsWrong) {
  EXPECT_EQ(reason("[]"), "the body must be a JSON object");
  EXPECT_EQ(reason("{"), "the body is not valid JSON");
  EXPECT_EQ(reason("{}"), "name: is required");
  EXPECT_EQ(reason(R"({"name":null})"), "name: must be a string");
  EXPECT_EQ(reason(R"({"name":"k","limt":1})"), "limt: is unknown");
  EXPECT_EQ(reason(R"({"name":"k","limit":1,"limit":2})"), "limit: is in the body twice");
  const std::string limit = "limit: must be a number of USD from 0 to 1000000, or null";
  EXPECT_EQ(reason(R"({"name":"k","limit":-1})"), limit);
  EXPECT_EQ(reason(R"({"name":"k","limit":1e7})"), limit);
  EXPECT_EQ(reason(R"({"name":"k","limit":"1"})"), limit);
  EXPECT_EQ(reason(R"({"name":"k","limit_reset":"yearly"})"),
            "limit_reset: must be daily, weekly, monthly or null");
  EXPECT_EQ(reason(R"({"name":"k","rpm":0})"), "rpm: must be 1 to 1000000000");
  EXPECT_EQ(reason(R"({"name":"k","tpm":18446744073709551615})"),
            "tpm: must be 1 to 1000000000000");
  EXPECT_EQ(reason(R"({"name":"k","max_concurrent":-1})"),
            "max_concurrent: must be a whole number");
  EXPECT_EQ(reason(R"({"name":"k","allowed_models":["a",1]})"),
            "allowed_models[1]: must be a string");
  EXPECT_EQ(reason(R"({"name":"k","expires_at":"2100-01-01T00:00:00+01:00"})"),
            "expires_at: must be in UTC, such as 2030-01-02T15:04:05Z");
  EXPECT_EQ(reason(R"({"name":"k","expires_at":"2001-01-01T00:00:00Z"})"),
            "expires_at: must be in the future");
  EXPECT_EQ(reason(R"({"name":"k","workspace_id":"nowhere"})"),
            "workspace_id: no stack has this id or slug");
  EXPECT_TRUE(send(net::Method::Get, "?include_disabled=true").body["data"].empty());
}

TEST_F(GatewayKeysApiTest, AWrongChangeChangesNothing) {
  const json created = made(std::string(kFull));
  const Answer refused =
      send(net::Method::Patch, one(created), R"({"name":"other","limit":5,"rpm":0})");
  expect_error(refused, 400, "Invalid request parameters");
  EXPECT_EQ(refused.body["error"]["metadata"]["fields"],
            json::parse(R"([{"path":"rpm","reason":"must be 1 to 1000000000"}])"));
  EXPECT_EQ(send(net::Method::Get, one(created)).body["data"], created["data"]);
  EXPECT_EQ(events().back(), "gateway_key.created");
}

TEST_F(GatewayKeysApiTest, StrangersAndTheUnentitledAreRefused) {
  expect_error(send(net::Method::Get, "", {}, ""), 401, "Missing Authentication header");
  EXPECT_EQ(send(net::Method::Get, "", {}, "unknown").status, 401);
  const std::string only_management = "Only management keys can perform this operation";
  const json created = made();
  expect_error(send(net::Method::Get, "", {}, "write"), 403, only_management);
  expect_error(send(net::Method::Post, "", R"({"name":"k"})", "read"), 403, only_management);
  expect_error(send(net::Method::Patch, one(created), "{}", "read"), 403, only_management);
  expect_error(send(net::Method::Delete, one(created), {}, "write"), 403, only_management);
  const Answer beyond = send(net::Method::Post, "", R"({"name":"k"})", "no-llm");
  expect_error(beyond, 403, only_management);
  EXPECT_EQ(beyond.body["error"]["metadata"]["reason"],
            "the scope llm:invoke is not yours to grant");
  EXPECT_EQ(send(net::Method::Delete, one(created), {}, "no-llm").status, 403);
  EXPECT_EQ(send(net::Method::Get, one(created), {}, "part").status, 403);
  EXPECT_EQ(send(net::Method::Post, "", R"({"name":"k"})", "part").status, 403);
  EXPECT_EQ(send(net::Method::Get, "").body["data"].size(), 1U);
}

TEST_F(GatewayKeysApiTest, TokensOfOtherStacksSeeNothing) {
  const json created = made();
  const StackId second = add_stack(org_, "second");
  allow("second",
        {Scope::AccessPoliciesRead, Scope::AccessPoliciesWrite, Scope::AccessPoliciesDelete,
         Scope::LlmInvoke},
        whole(second));
  EXPECT_EQ(send(net::Method::Get, one(created), {}, "second").status, 403);
  EXPECT_EQ(send(net::Method::Patch, one(created), "{}", "second").status, 403);
  EXPECT_EQ(send(net::Method::Delete, one(created), {}, "second").status, 403);
  EXPECT_EQ(send(net::Method::Get, "?workspace_id=main", {}, "second").status, 403);
  EXPECT_TRUE(send(net::Method::Get, "", {}, "second").body["data"].empty());
}

TEST_F(GatewayKeysApiTest, WhoHasSeveralStacksNamesOne) {
  const StackId second = add_stack(org_, "second");
  const Answer which = send(net::Method::Post, "", R"({"name":"k"})", "org");
  EXPECT_EQ(which.body["error"]["metadata"]["reason"],
            "workspace_id: is required: there are 2 stacks to choose from");
  const json created = made(R"({"name":"k","workspace_id":"second"})", "org");
  EXPECT_EQ(created["data"]["workspace_id"], std::to_string(second.value()));
  EXPECT_EQ(send(net::Method::Get, one(created), {}, "org").status, 200);
  EXPECT_EQ(send(net::Method::Get, "?workspace_id=second", {}, "org").body["data"].size(), 1U);
  EXPECT_TRUE(send(net::Method::Get, "?workspace_id=main", {}, "org").body["data"].empty());
  expect_error(send(net::Method::Patch, one(created), R"({"workspace_id":"main"})", "org"), 400,
               "Invalid request parameters");
  EXPECT_EQ(send(net::Method::Get, "?workspace_id=foreign", {}, "org").status, 400);
}

TEST_F(GatewayKeysApiTest, TheAuditLogKnowsWhoAndNotTheSecret) {
  const json created = made();
  send(net::Method::Patch, one(created), R"({"limit":1})");
  send(net::Method::Delete, one(created));
  EXPECT_EQ(events(), (std::vector<std::string>{"gateway_key.created", "gateway_key.updated",
                                                "gateway_key.deleted"}));
  const auto records = audit_.read({});
  ASSERT_TRUE(records);
  for (const access::AuditRecord& record : *records) {
    EXPECT_EQ(record.event.actor.type, access::Actor::Type::Token);
    EXPECT_EQ(record.event.target.id, created["data"]["hash"].get<std::string>());
  }
}

}  // namespace
}  // namespace gantry::api
