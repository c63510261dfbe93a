#include "gateway/rate_window.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::gateway {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kStart = 1'000 * kMinute;

TimestampMs at(std::int64_t ms) {
  return {kStart + ms};
}

TEST(RateWindowTest, TheLastMinuteLeavesEvenly) {
  RateWindow window;
  window.charge(at(30'000), 60);
  EXPECT_EQ(window.charged(at(59'999)), 60);
  EXPECT_EQ(window.charged(at(kMinute)), 60);
  EXPECT_EQ(window.charged(at(kMinute + 15'000)), 45);
  EXPECT_EQ(window.charged(at(kMinute + 15'001)), 45) << "rounded up";
  window.charge(at(kMinute + 30'000), 5);
  EXPECT_EQ(window.charged(at(kMinute + 30'000)), 35);
  EXPECT_EQ(window.charged(at(2 * kMinute)), 5);
  EXPECT_EQ(window.charged(at(4 * kMinute)), 0);
}

TEST(RateWindowTest, ABurstAtTheBoundaryCountsOnce) {
  RateWindow window;
  window.charge(at(59'000), 100);
  EXPECT_EQ(window.wait_for(at(59'500), 1, 100), DurationMs{1'100});
  EXPECT_EQ(window.charged(at(kMinute + 1'000)), 99);
}

TEST(RateWindowTest, CorrectsWhatStillCounts) {
  RateWindow window;
  window.charge(at(0), 100);
  window.correct(at(1), at(0), -40);
  EXPECT_EQ(window.charged(at(1)), 60);
  window.charge(at(kMinute), 10);
  window.correct(at(kMinute), at(0), 20);
  EXPECT_EQ(window.charged(at(kMinute)), 90);
  window.correct(at(kMinute), at(0), -1'000);
  EXPECT_EQ(window.charged(at(kMinute)), 10) << "never less than nothing";
  window.correct(at(2 * kMinute), at(0), 1'000);
  EXPECT_EQ(window.charged(at(2 * kMinute)), 10) << "out of the window";
}

TEST(RateWindowTest, AClockSetBackKeepsTheCurrentMinuteOnly) {
  RateWindow window;
  window.charge(at(10 * kMinute), 5);
  window.charge(at(11 * kMinute), 7);
  EXPECT_EQ(window.charged(at(0)), 7);
  EXPECT_EQ(window.charged(at(2 * kMinute)), 0);
}

TEST(RateWindowTest, WhatIsAboveTheLimitNeverFits) {
  RateWindow window;
  EXPECT_EQ(window.wait_for(at(0), 101, 100), std::nullopt);
  EXPECT_EQ(window.wait_for(at(0), 100, 100), DurationMs{0});
}

RC_GTEST_PROP(RateWindowTest, FitsAfterTheWaitAndNotBefore, ()) {
  RateWindow window;
  const auto limit = *rc::gen::inRange<std::int64_t>(1, 1'000);
  std::int64_t now = 0;
  for (int i = 0; i < 10; ++i) {
    now += *rc::gen::inRange<std::int64_t>(0, 50'000);
    const auto amount = *rc::gen::inRange<std::int64_t>(1, 100);
    if (window.charged(at(now)) + amount <= limit) window.charge(at(now), amount);
    RC_ASSERT(window.charged(at(now)) <= limit);
  }
  const auto amount = *rc::gen::inRange<std::int64_t>(1, limit + 1);
  const auto wait = window.wait_for(at(now), amount, limit);
  RC_ASSERT(wait.has_value());
  RateWindow before = window;
  RC_ASSERT(window.charged(at(now + wait->count)) + amount <= limit);
  if (wait->count > 0) RC_ASSERT(before.charged(at(now + wait->count - 1)) + amount > limit);
}

}  // namespace
}  // namespace gantry::gateway
