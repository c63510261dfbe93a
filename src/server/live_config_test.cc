#include "server/live_config.h"

#include <gtest/gtest.h>

namespace gantry::server {
namespace {

TEST(LiveConfigTest, TakesOverWhatIsReloadable) {
  LiveConfig live(Config{}, {1'000});
  Config next;
  next.storage.limits.active_series_max = 7;
  next.server.listen = ":1";
  const auto change = live.update(next, {2'000});
  EXPECT_EQ(change.applied, std::vector<std::string>{"limits.active_series_max"});
  EXPECT_EQ(change.ignored, std::vector<std::string>{"server.listen"});
  EXPECT_EQ(live.current()->storage.limits.active_series_max, 7U);
  EXPECT_EQ(live.current()->server.listen, ":9490");
  EXPECT_EQ(live.last_reload().at, TimestampMs{2'000});
}

TEST(LiveConfigTest, WhoHoldsTheOldOneKeepsIt) {
  LiveConfig live(Config{}, {0});
  const auto before = live.current();
  Config next;
  next.query.steps_max = 1;
  live.update(next, {1});
  EXPECT_EQ(before->query.steps_max, 11'000U);
}

TEST(LiveConfigTest, AnotherListOfProvidersNeedsARestart) {
  LiveConfig live(Config{}, {0});
  Config next;
  next.oidc_providers.push_back({.name = "partners"});
  EXPECT_EQ(live.update(next, {1}).ignored, std::vector<std::string>{"oidc.providers"});
  EXPECT_TRUE(live.current()->oidc_providers.empty());
}

gateway::SettingNode setting(std::string key, std::string text) {
  return {.kind = gateway::SettingNode::Kind::Scalar,
          .text = std::move(text),
          .items = {},
          .key = std::move(key),
          .place = {}};
}

TEST(LiveConfigTest, OfTheGatewayModelsChangeAndPlacesDoNot) {
  using Kind = gateway::SettingNode::Kind;
  Config start;
  start.gateway.kind = Kind::Map;
  start.gateway.items = {setting("max_queue", "1"), setting("models", "old")};
  LiveConfig live(start, {0});
  Config next;
  next.gateway.kind = Kind::Map;
  next.gateway.items = {setting("models", "new"), setting("max_queue", "2")};
  for (const int round : {1, 2}) {
    const auto change = live.update(next, {round});
    EXPECT_EQ(change.applied.empty(), round == 2);
    EXPECT_EQ(change.ignored, std::vector<std::string>{"gateway.max_queue"}) << "still different";
  }
  const auto merged = live.current();
  ASSERT_EQ(merged->gateway.items.size(), 2U);
  EXPECT_EQ(merged->gateway.items[0].text, "1");
  EXPECT_EQ(merged->gateway.items[1].text, "new");
  EXPECT_EQ(live.update(Config{}, {3}).ignored, std::vector<std::string>{"gateway"});
  EXPECT_EQ(live.current()->gateway.kind, Kind::Map);
}

TEST(LiveConfigTest, AFailureIsRememberedUntilTheNextSuccess) {
  LiveConfig live(Config{}, {1'000});
  live.note_failure();
  EXPECT_FALSE(live.last_reload().is_successful);
  EXPECT_EQ(live.last_reload().at, TimestampMs{1'000});
  live.update(Config{}, {2'000});
  EXPECT_TRUE(live.last_reload().is_successful);
}

}  // namespace
}  // namespace gantry::server
