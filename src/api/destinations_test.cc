#include "api/destinations.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "access/secrets/keyring_canary.h"
#include "api/testing/control_api_fixture.h"

namespace gantry::api {
namespace {

using access::Keyring;
using access::KeyringSource;
using access::Scope;
using nlohmann::json;
using testing::Answer;

constexpr std::string_view kPath = "/api/v1/observability/destinations";
constexpr std::string_view kSecret = "glc_0123456789AbCd";

/// Deliveries of which a test says how they fare.
class FakeDeliveries final : public broadcast::DeliveryDesk {
 public:
  broadcast::DestinationHealth health(const broadcast::DestinationId& id) const override {
    EXPECT_FALSE(id.empty());
    return state;
  }

  Result<broadcast::DeadLetterPage> dead_letters(const broadcast::DestinationId& /*id*/,
                                                 std::optional<std::uint64_t> before,
                                                 std::size_t limit) override {
    asked_before = before;
    asked_limit = limit;
    return page;
  }

  Result<std::uint64_t> replay(const broadcast::DestinationId& /*id*/,
                               std::uint64_t letters_max) override {
    return std::min<std::uint64_t>(letters_max, 3);
  }

  Result<std::uint64_t> clear(const broadcast::DestinationId& id) override {
    cleared.push_back(id);
    return 7;
  }

  broadcast::DestinationHealth state;
  broadcast::DeadLetterPage page;
  std::optional<std::uint64_t> asked_before;
  std::size_t asked_limit = 0;
  std::vector<broadcast::DestinationId> cleared;
};

class DestinationsApiTest : public testing::ControlApiFixture {
 protected:
  DestinationsApiTest() : ControlApiFixture(kPath, "write") {
    allow("write", {Scope::DestinationsRead, Scope::DestinationsWrite}, whole_stack());
    allow("read", {Scope::DestinationsRead}, whole_stack());
    allow("org", {Scope::DestinationsRead, Scope::DestinationsWrite}, whole_org());
    allow("none", {Scope::MetricsRead}, whole_stack());
    add_destination_routes(router_, services_);
  }

  void SetUp() override {
    ControlFixture::SetUp();
    if (IsSkipped()) return;
    const auto made = access::create_keyring(source_, Keyring::make("k1"));
    ASSERT_TRUE(made) << made.error().message;
  }

  Answer send(net::Method method, std::string_view target, std::string body = {},
              std::string_view token = "write") {
    Answer answer = ControlApiFixture::send(method, target, std::move(body), token);
    EXPECT_FALSE(answer.body.dump().contains(kSecret)) << answer.body;
    return answer;
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

  KeyringSource source_{
      .kind = KeyringSource::Kind::File, .path = path_ / access::kKeyringFile, .text = {}};
  access::LiveKeyring keyring_{source_, std::nullopt};
  access::Sealer sealer_{{.keyring = keyring_, .audit = audit_, .clock = clock_},
                         access::Sealer::Options{}};
  access::StoredSecrets secrets_{sealer_};
  RequestRate test_rate_{clock_, 4};
  ConnectionVerdict verdict_{
      .is_ok = true, .status = 200, .latency_ms = 12, .error_code = {}, .message = {}};
  std::vector<broadcast::Destination> tested_;
  std::function<void()> meanwhile_;  ///< Happens while a connection is tested.
  FakeDeliveries deliveries_;
  DestinationServices services_{.gate = gate_,
                                .control = plane_,
                                .secrets = secrets_,
                                .rate = rate_,
                                .test_rate = test_rate_,
                                .test =
                                    [this](const broadcast::Destination& destination) {
                                      tested_.push_back(destination);
                                      if (meanwhile_) std::exchange(meanwhile_, {})();
                                      return verdict_;
                                    },
                                .deliveries = deliveries_};
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
  allow("second", {Scope::DestinationsRead, Scope::DestinationsWrite}, whole(second));
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

TEST_F(DestinationsApiTest, DestinationsOfMetricsCountSamples) {
  const Answer made =
      send(net::Method::Post, "",
           R"({"type":"influx","name":"m","config":{"url":"https://influx.example.com"}})");
  ASSERT_EQ(made.status, 201);
  ASSERT_EQ(tested_.size(), 1U);
  const std::string id = made.body["data"]["id"];
  const Answer health = send(net::Method::Get, "/" + id + "/health");
  EXPECT_EQ(health.body["data"]["sent_samples"], 0);
  EXPECT_FALSE(health.body["data"].contains("sent_spans"));
}

TEST_F(DestinationsApiTest, SaysHowADeliveryFares) {
  const std::string one = "/" + made();
  auto& statistics = deliveries_.state.statistics;
  statistics.state = broadcast::DeliveryState::Failing;
  statistics.sent_events = 12;
  statistics.last_success = TimestampMs{1'790'000'000'000};
  statistics.last_error =
      broadcast::DeliveryStatistics::Failure{.at = TimestampMs{1'790'000'001'000},
                                             .kind = broadcast::FailureKind::RateLimited,
                                             .status = 429,
                                             .message = "slow down"};
  deliveries_.state.queue = {
      .items = 5, .bytes = 500, .oldest_ms = clock_.now().since_epoch - 1500};
  deliveries_.state.dead_letters = {.letters = 2, .bytes = 20};
  const Answer answer = send(net::Method::Get, one + "/health", "", "read");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json& data = answer.body["data"];
  EXPECT_EQ(data["state"], "failing");
  EXPECT_EQ(data["problem"], nullptr);
  EXPECT_EQ(data["queue"], json::parse(R"({"events":5,"bytes":500,"oldest_seconds":1.5})"));
  EXPECT_EQ(data["sent_events"], 12);
  EXPECT_EQ(data["last_success"], "2026-09-21T14:13:20Z");
  EXPECT_EQ(data["last_error"]["code"], "rate_limited");
  EXPECT_EQ(data["last_error"]["status"], 429);
  EXPECT_EQ(data["dead_letters"]["events"], 2);

  deliveries_.state.problem = "the keyring has no such key";
  EXPECT_EQ(send(net::Method::Get, one + "/health").body["data"]["state"], "held");
  EXPECT_EQ(send(net::Method::Patch, one, R"({"enabled":false})").status, 200);
  EXPECT_EQ(send(net::Method::Get, one + "/health").body["data"]["state"], "disabled");
  expect_error(send(net::Method::Get, "/nope/health"), 404, "Resource not found");
  EXPECT_EQ(send(net::Method::Get, one + "/health", "", "none").status, 403);
}

TEST_F(DestinationsApiTest, DeadLettersAreListedSentAgainAndDeleted) {
  const std::string id = made();
  const std::string letters = "/" + id + "/dead-letters";
  deliveries_.page.letters.push_back({.id = 65'537,
                                      .refused_ms = 1'790'000'000'000,
                                      .refusal = {.status = 0, .message = "older than 86400 s"},
                                      .item_count = 4,
                                      .payload_bytes = 900});
  deliveries_.page.before = 65'537;
  const Answer listed = send(net::Method::Get, letters + "?limit=1&before=131072", "", "read");
  ASSERT_EQ(listed.status, 200) << listed.body;
  EXPECT_EQ(deliveries_.asked_before, 131'072U);
  EXPECT_EQ(deliveries_.asked_limit, 1U);
  EXPECT_EQ(listed.body["before"], "65537");
  EXPECT_EQ(listed.body["data"][0]["id"], "65537");
  EXPECT_EQ(listed.body["data"][0]["status"], nullptr);
  EXPECT_EQ(listed.body["data"][0]["spans"], 4);
  expect_error(send(net::Method::Get, letters + "?before=x"), 400, "Invalid request parameters",
               "before: must be the id of a dead letter");

  EXPECT_EQ(send(net::Method::Post, letters + "/replay", "", "read").status, 403);
  EXPECT_EQ(send(net::Method::Post, letters + "/replay").body["data"]["replayed"], 3);
  EXPECT_EQ(send(net::Method::Post, letters + "/replay?limit=2").body["data"]["replayed"], 2);
  EXPECT_EQ(send(net::Method::Delete, letters, "", "read").status, 403);
  EXPECT_TRUE(deliveries_.cleared.empty());
  EXPECT_EQ(send(net::Method::Delete, letters).body["data"]["deleted"], 7);
  EXPECT_EQ(deliveries_.cleared, std::vector{id});
  ASSERT_TRUE(audit_.flush());
  EXPECT_EQ(events().back(), "destination.dead_letters_cleared");
}

TEST_F(DestinationsApiTest, AReplayIsStartedShownAndCancelled) {
  const std::string replay = "/" + made() + "/replay";
  expect_error(send(net::Method::Get, replay), 404, "Resource not found",
               "nothing has been replayed");
  expect_error(send(net::Method::Delete, replay), 404, "Resource not found");
  const Answer begun =
      send(net::Method::Post, replay, R"({"start":0.5,"end":"1970-01-01T01:00:01+01:00"})");
  ASSERT_EQ(begun.status, 202) << begun.body;
  const json& data = begun.body["data"];
  EXPECT_EQ(data["state"], "running");
  EXPECT_EQ(data["start"], "1970-01-01T00:00:00.500Z");
  EXPECT_EQ(data["end"], "1970-01-01T00:00:01Z");
  EXPECT_EQ(data["position"], data["start"]);
  EXPECT_EQ(data["traces_read"], 0);
  EXPECT_EQ(data["traces_queued"], 0);
  EXPECT_EQ(data["spans_queued"], 0);
  EXPECT_EQ(data["samples_read"], 0);
  EXPECT_EQ(data["samples_queued"], 0);
  EXPECT_EQ(data["error"], nullptr);
  EXPECT_EQ(send(net::Method::Get, replay, "", "read").body, begun.body);
  expect_error(send(net::Method::Post, replay, R"({"start":0,"end":1})"), 409,
               "Resource conflict. Please try again later.",
               "a replay to this destination is running");
  EXPECT_EQ(send(net::Method::Post, replay, R"({"start":0,"end":1})", "read").status, 403);
  EXPECT_EQ(send(net::Method::Delete, replay, "", "read").status, 403);
  EXPECT_EQ(send(net::Method::Get, replay, "", "none").status, 403);

  const Answer cancelled = send(net::Method::Delete, replay);
  EXPECT_EQ(cancelled.status, 200);
  EXPECT_EQ(cancelled.body["data"]["state"], "cancelled");
  EXPECT_EQ(cancelled.body["data"]["id"], data["id"]);
  EXPECT_EQ(send(net::Method::Post, replay, R"({"start":"0","end":1})").status, 202);
  ASSERT_TRUE(audit_.flush());
  std::vector<std::string> replays = events();
  std::erase_if(replays, [](const std::string& event) { return !event.contains(".replay_"); });
  EXPECT_EQ(replays,
            (std::vector<std::string>{"destination.replay_started", "destination.replay_cancelled",
                                      "destination.replay_started"}));
}

TEST_F(DestinationsApiTest, ARangeOfAReplayIsInThePast) {
  const std::string replay = "/" + made() + "/replay";
  const std::string now = std::to_string(clock_.now().since_epoch / 1000);
  const Answer cut =
      send(net::Method::Post, replay, fmt::format(R"({{"start":0,"end":{}}})", 1e12));
  ASSERT_EQ(cut.status, 202) << cut.body;
  EXPECT_EQ(cut.body["data"]["end"], cut.body["data"]["created_at"]);
  EXPECT_EQ(send(net::Method::Delete, replay).status, 200);
  for (const std::string& body :
       {std::string(R"({"start":5,"end":5})"), std::string(R"({"start":6,"end":5})"),
        fmt::format(R"({{"start":{0}1,"end":{0}2}})", now)})
    expect_error(send(net::Method::Post, replay, body), 400, "Invalid request parameters",
                 "start: must be before the end, and before now");
  for (const std::string_view body :
       {"", "[]", "{", R"({"start":1})", R"({"start":1,"end":null})", R"({"start":1,"end":"soon"})",
        R"({"start":1,"end":2,"limit":3})", R"({"start":1,"start":1,"end":2})"})
    expect_error(send(net::Method::Post, replay, std::string(body)), 400,
                 "Invalid request parameters");
}

TEST_F(DestinationsApiTest, NothingIsReplayedToWhatIsDisabledOrNotThere) {
  const std::string one = "/" + made();
  EXPECT_EQ(send(net::Method::Patch, one, R"({"enabled":false})").status, 200);
  expect_error(send(net::Method::Post, one + "/replay", R"({"start":0,"end":1})"), 409,
               "Resource conflict. Please try again later.", "the destination is disabled");
  expect_error(send(net::Method::Post, "/nope/replay", R"({"start":0,"end":1})"), 404,
               "Resource not found");
  EXPECT_EQ(send(net::Method::Get, "/nope/replay").status, 404);
}

}  // namespace
}  // namespace gantry::api
