#include "traceql/metrics/intervals.h"

#include <limits>
#include <string_view>

#include <gtest/gtest.h>

namespace gantry::traceql {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;

struct AlignCase {
  std::string_view name;
  std::int64_t start, end, step;
  std::int64_t aligned_start, aligned_end;
};

class AlignTest : public testing::TestWithParam<AlignCase> {};

TEST_P(AlignTest, FloorsTheStartAndGoesOneStepBefore) {
  const AlignCase& c = GetParam();
  const AlignedRange range = align_range(c.start, c.end, c.step);
  EXPECT_EQ(range.start_ns, c.aligned_start);
  EXPECT_EQ(range.end_ns, c.aligned_end);
}

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

INSTANTIATE_TEST_SUITE_P(Ranges, AlignTest,
                         testing::Values(AlignCase{"aligned", 120, 240, 60, 60, 240},
                                         AlignCase{"both_ends_between", 121, 239, 60, 60, 240},
                                         AlignCase{"end_just_past", 120, 241, 60, 60, 300},
                                         AlignCase{"from_the_epoch", 0, 60, 60, -60, 60},
                                         AlignCase{"before_the_epoch", -1, 1, 60, -120, 60},
                                         AlignCase{"no_step", 5, 7, 0, 5, 7},
                                         AlignCase{"to_the_last_nanosecond", 0, kMost, 60, -60,
                                                   kMost},
                                         AlignCase{"from_the_first", kLeast + 8, 0, 60, kLeast, 0}),
                         [](const auto& c) { return std::string(c.param.name); });

struct StepCase {
  std::string_view name;
  std::int64_t range;
  std::int64_t step;
};

class DefaultStepTest : public testing::TestWithParam<StepCase> {};

TEST_P(DefaultStepTest, FollowsTheRange) {
  constexpr std::int64_t kStart = 1'700'000'000 * kSecond;
  EXPECT_EQ(default_step_ns(kStart, kStart + GetParam().range), GetParam().step);
}

INSTANTIATE_TEST_SUITE_P(Ranges, DefaultStepTest,
                         testing::Values(StepCase{"nothing", 0, 50 * kMs},
                                         StepCase{"second", kSecond, 50 * kMs},
                                         StepCase{"half_minute", 30 * kSecond, 100 * kMs},
                                         StepCase{"minute", kMinute, kSecond},
                                         StepCase{"five_minutes", 5 * kMinute, kSecond},
                                         StepCase{"quarter_hour", 15 * kMinute, 3 * kSecond},
                                         StepCase{"hour", kHour, 15 * kSecond},
                                         StepCase{"six_hours", 6 * kHour, kMinute},
                                         StepCase{"day", 24 * kHour, 5 * kMinute},
                                         StepCase{"month", 30 * 24 * kHour, 3 * kHour}),
                         [](const auto& c) { return std::string(c.param.name); });

namespace m = metrics;

TEST(Intervals, AreRightClosedAndStampedAtTheirRightEdge) {
  const auto intervals =
      m::plan_intervals({.start_ns = 2 * kMinute, .end_ns = 4 * kMinute, .step_ns = kMinute});
  ASSERT_TRUE(intervals);
  EXPECT_EQ(intervals->count, 3U);
  EXPECT_EQ(intervals->find(kMinute), std::nullopt);
  EXPECT_EQ(intervals->find(kMinute + 1), 0U);
  EXPECT_EQ(intervals->find(2 * kMinute), 0U);
  EXPECT_EQ(intervals->find((2 * kMinute) + 1), 1U);
  EXPECT_EQ(intervals->find(4 * kMinute), 2U);
  EXPECT_EQ(intervals->find((4 * kMinute) + 1), std::nullopt);
  EXPECT_EQ(intervals->timestamp_ms(0), 120'000);
  EXPECT_EQ(intervals->timestamp_ms(2), 240'000);
  EXPECT_EQ(intervals->step_seconds(), 60);
}

TEST(Intervals, OfAnInstantQueryIsOneThatIsNotAligned) {
  const auto intervals = m::plan_intervals({.start_ns = 7 * kSecond, .end_ns = 17 * kSecond});
  ASSERT_TRUE(intervals);
  EXPECT_EQ(intervals->count, 1U);
  EXPECT_EQ(intervals->find(7 * kSecond), std::nullopt);
  EXPECT_EQ(intervals->find((7 * kSecond) + 1), 0U);
  EXPECT_EQ(intervals->find(17 * kSecond), 0U);
  EXPECT_EQ(intervals->find((17 * kSecond) + 1), std::nullopt);
  EXPECT_EQ(intervals->timestamp_ms(0), 17'000);
  EXPECT_EQ(intervals->step_seconds(), 10);
}

TEST(Intervals, RefuseWhatCannotBeCounted) {
  const auto text = [](const MetricsRequest& request) {
    const auto planned = m::plan_intervals(request);
    return planned ? "" : planned.error().message;
  };
  EXPECT_EQ(text({.start_ns = 5, .end_ns = 5, .step_ns = 1}), "end must be greater than start");
  EXPECT_EQ(text({.start_ns = 5, .end_ns = 9, .step_ns = -1}), "step must be positive");
  EXPECT_EQ(text({.start_ns = 0, .end_ns = kHour, .step_ns = 1}),
            "step of 1ns is too small for the given range");
  EXPECT_EQ(text({.start_ns = kLeast, .end_ns = kMost, .step_ns = 0}),
            "metrics query time range is out of range");
}

}  // namespace
}  // namespace gantry::traceql
