#include "gateway/sticky_sessions.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

constexpr SessionKey kSession{.owner = "o", .session = "s", .model = "a/b"};

TEST(StickySessions, LastTenMinutesFromTheLastSuccess) {
  ManualClock clock(TimestampMs{0});
  StickySessions sessions(clock);
  EXPECT_EQ(sessions.find_provider(kSession), std::nullopt);
  sessions.record_success(kSession, "openai");
  clock.advance({599'999});
  EXPECT_EQ(sessions.find_provider(kSession), "openai");
  sessions.record_success(kSession, "azure");
  clock.advance({599'999});
  EXPECT_EQ(sessions.find_provider(kSession), "azure");
  clock.advance({1});
  EXPECT_EQ(sessions.find_provider(kSession), std::nullopt);
}

TEST(StickySessions, BelongToOneOwnerAndModel) {
  ManualClock clock(TimestampMs{0});
  StickySessions sessions(clock);
  sessions.record_success(kSession, "openai");
  EXPECT_EQ(sessions.find_provider({.owner = "p", .session = "s", .model = "a/b"}), std::nullopt);
  EXPECT_EQ(sessions.find_provider({.owner = "o", .session = "t", .model = "a/b"}), std::nullopt);
  EXPECT_EQ(sessions.find_provider({.owner = "o", .session = "s", .model = "a/c"}), std::nullopt);
  EXPECT_EQ(sessions.find_provider({.owner = "os", .session = "", .model = "a/b"}), std::nullopt);
}

TEST(StickySessions, NeedASession) {
  ManualClock clock(TimestampMs{0});
  StickySessions sessions(clock);
  const SessionKey none{.owner = "o", .session = "", .model = "a/b"};
  sessions.record_success(none, "openai");
  EXPECT_EQ(sessions.find_provider(none), std::nullopt);
  EXPECT_EQ(sessions.session_count(), 0U);
}

TEST(StickySessions, ForgetTheOldestOfTooMany) {
  ManualClock clock(TimestampMs{0});
  StickySessions sessions(clock, 3);
  const auto key = [](const std::string& session) {
    return SessionKey{.owner = "o", .session = session, .model = "m"};
  };
  const std::string names[] = {"0", "1", "2", "3"};
  for (int i = 0; i < 3; ++i) sessions.record_success(key(names[i]), "openai");
  sessions.record_success(key(names[0]), "openai");
  sessions.record_success(key(names[3]), "openai");
  EXPECT_EQ(sessions.session_count(), 3U);
  EXPECT_TRUE(sessions.find_provider(key(names[0])));
  EXPECT_FALSE(sessions.find_provider(key(names[1])));
  clock.advance(StickySessions::kLifetime);
  sessions.record_success(key(names[1]), "openai");
  EXPECT_EQ(sessions.session_count(), 1U);
}

}  // namespace
}  // namespace gantry::gateway
