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
