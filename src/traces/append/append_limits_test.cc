#include "traces/append/append_limits.h"

#include <gtest/gtest.h>

#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

constexpr TimestampMs kNow{1'795'262'400'000};

TEST(ByteRateTest, LetsBurstsOfTwoSecondsThrough) {
  ByteRate rate;
  EXPECT_FALSE(rate.take(2000, 1000, kNow));
  EXPECT_EQ(rate.take(1, 1000, kNow), DurationMs{1});
  EXPECT_FALSE(rate.take(500, 1000, kNow + DurationMs{500}));
  EXPECT_EQ(rate.take(1500, 1000, kNow + DurationMs{500}), DurationMs{1500});
}

TEST(ByteRateTest, LetsALargeRequestThroughWhenNothingElseWent) {
  ByteRate rate;
  EXPECT_FALSE(rate.take(10'000, 1000, kNow));
  EXPECT_EQ(rate.take(1, 1000, kNow), DurationMs{8001});
}

TEST(ByteRateTest, GivesBackAndSwitchesOff) {
  ByteRate rate;
  EXPECT_FALSE(rate.take(2000, 1000, kNow));
  rate.give_back(2000);
  EXPECT_FALSE(rate.take(2000, 1000, kNow));
  EXPECT_FALSE(rate.take(1'000'000, 0, kNow));
}

TEST(ByteRateTest, AClockThatStepsBackDrainsNothing) {
  ByteRate rate;
  EXPECT_FALSE(rate.take(2000, 1000, kNow));
  EXPECT_TRUE(rate.take(1000, 1000, kNow + DurationMs{-5000}));
  EXPECT_FALSE(rate.take(1000, 1000, kNow + DurationMs{-4000}));
}

TEST(TraceBudgetTest, GivesBackWhatWasNotStored) {
  TraceBudget budget;
  Limits limits;
  limits.bytes_per_trace_max = 200;
  const telemetry::SpanBatch batch = make_batch({{.id = 1}});
  telemetry::SpanAppendResult result;
  const auto admitted = budget.admit(batch, limits, result);
  ASSERT_EQ(admitted.size(), 1U);
  EXPECT_TRUE(budget.admit(batch, limits, result).empty());
  budget.give_back(batch, admitted);
  EXPECT_EQ(budget.admit(batch, limits, result).size(), 1U);
  EXPECT_EQ(result.spans_rejected(), 1U);
}

}  // namespace
}  // namespace gantry::traces
