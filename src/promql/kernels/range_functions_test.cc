#include "promql/kernels/range_functions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/kernels/range_functions_reference.h"
#include "promql/kernels/sum.h"

namespace gantry::promql::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Series {
  std::vector<std::int64_t> timestamps_ms;
  std::vector<double> values;
  std::vector<std::int64_t> starts_ms;
};

using Steps = std::vector<std::optional<double>>;

Steps run(RangeKernel kernel, const Series& series, const WindowGrid& grid, std::size_t steps,
          std::vector<double> argument = {}, std::vector<double> second = {}) {
  std::vector<Window> windows(steps);
  build_windows(series.timestamps_ms, grid, windows);
  const RangeInput in{.timestamps_ms = series.timestamps_ms,
                      .values = series.values,
                      .start_timestamps_ms = series.starts_ms,
                      .windows = windows,
                      .grid = grid,
                      .argument = argument,
                      .second_argument = second,
                      .first_step_ms = grid.first_end_ms,
                      .step_ms = grid.step_ms};
  RangeScratch scratch;
  std::vector<double> out(steps);
  // Stale bits must not survive.
  std::vector<std::uint64_t> present(bitmap_words(steps), ~std::uint64_t{0});
  kernel(in, scratch, out, present);
  Steps result(steps);
  for (std::size_t step = 0; step < steps; ++step) {
    if (test_bit(present, step)) result[step] = out[step];
  }
  return result;
}

/// One window over samples every 10 s from 0 s: (-10 s, 10 s * (n - 1)].
std::optional<double> over(RangeKernel kernel, std::vector<double> values,
                           std::vector<double> argument = {}, std::vector<double> second = {}) {
  Series series;
  for (std::size_t i = 0; i < values.size(); ++i) {
    series.timestamps_ms.push_back(static_cast<std::int64_t>(i) * 10'000);
  }
  series.values = std::move(values);
  const std::int64_t last = series.timestamps_ms.empty() ? 0 : series.timestamps_ms.back();
  return run(kernel, series, {.first_end_ms = last, .step_ms = 1, .range_ms = last + 10'000}, 1,
             std::move(argument), std::move(second))[0];
}

/// A window (0 s, 60 s] over the given samples.
std::optional<double> in_minute(RangeKernel kernel, Series series) {
  return run(kernel, series, {.first_end_ms = 60'000, .step_ms = 1, .range_ms = 60'000}, 1)[0];
}

// ---- rate

TEST(Rate, ExtrapolatesToBothEndsWhenSamplesAreNear) {
  // 10 … 50 s, every 10 s: 40 in 40 s, both ends 10 s away, less than 1.1 * 10 s.
  const Series series{{10'000, 20'000, 30'000, 40'000, 50'000}, {100, 110, 120, 130, 140}, {}};
  EXPECT_DOUBLE_EQ(in_minute(increase, series).value(), 60);
  EXPECT_DOUBLE_EQ(in_minute(rate, series).value(), 1);
  EXPECT_DOUBLE_EQ(in_minute(delta, series).value(), 60);
}

TEST(Rate, HalfAGapWhereTheEndIsFar) {
  // 20 and 30 s: both ends are more than 11 s away, so 5 s to each side: 10 * 20 / 10.
  EXPECT_DOUBLE_EQ(in_minute(increase, {{20'000, 30'000}, {100, 110}, {}}).value(), 20);
}

TEST(Rate, ADistanceOfExactlyTheThresholdIsFar) {
  // Gaps of 10 s, the start is 1.1 gaps away: half a gap. The end is 9 s away: all of it.
  const Series series{{11'000, 21'000, 31'000, 41'000, 51'000}, {0, 10, 20, 30, 40}, {}};
  EXPECT_DOUBLE_EQ(in_minute(delta, series).value(), 40 + 5 + 9);
  // The mirror image.
  const Series late{{9'000, 19'000, 29'000, 39'000, 49'000}, {0, 10, 20, 30, 40}, {}};
  EXPECT_DOUBLE_EQ(in_minute(delta, late).value(), 40 + 9 + 5);
}

TEST(Rate, DoesNotExtrapolateACounterBelowZero) {
  // The counter was 2 at 10 s and grows by 1 a second: zero at 8 s.
  const Series series{{10'000, 20'000, 30'000, 40'000, 50'000}, {2, 12, 22, 32, 42}, {}};
  EXPECT_DOUBLE_EQ(in_minute(increase, series).value(), 40.0 * (40 + 2 + 10) / 40);
  EXPECT_DOUBLE_EQ(in_minute(delta, series).value(), 60);
}

TEST(Rate, AddsWhatWasLostAtResets) {
  const Series series{{10'000, 20'000, 30'000, 40'000, 50'000}, {100, 110, 5, 15, 3}, {}};
  // 3 - 100 + 110 + 15 = 28 over 40 s.
  EXPECT_DOUBLE_EQ(in_minute(increase, series).value(), 28.0 * 60 / 40);
  EXPECT_DOUBLE_EQ(in_minute(delta, series).value(), -97.0 * 60 / 40);
}

TEST(Rate, NeedsTwoSamples) {
  for (const RangeKernel kernel : {rate, increase, delta, irate, idelta, deriv}) {
    EXPECT_FALSE(in_minute(kernel, {{30'000}, {1}, {}}).has_value());
    EXPECT_FALSE(in_minute(kernel, {}).has_value());
  }
}

TEST(Rate, ConstantIsZeroAndNanSpreads) {
  EXPECT_EQ(in_minute(rate, {{10'000, 20'000}, {7, 7}, {}}), 0.0);
  EXPECT_TRUE(std::isnan(in_minute(rate, {{10'000, 20'000}, {7, kNan}, {}}).value()));
}

TEST(Rate, AStartTimeInsideTheRangeIsASampleOfZero) {
  // Born at 20 s: 30 in 20 s, 20 s to the end; one gap of 10 s: half of it is extrapolated.
  const Series series{{30'000, 40'000}, {20, 30}, {20'000, 20'000}};
  EXPECT_DOUBLE_EQ(in_minute(increase, series).value(), 30.0 * (20 + 5) / 20);
  // One sample is enough, and nothing is extrapolated.
  EXPECT_DOUBLE_EQ(in_minute(increase, {{40'000}, {30}, {20'000}}).value(), 30);
}

TEST(Rate, AStartTimeOutsideTheRangeOrNotBeforeTheSampleIsOrdinary) {
  for (const std::int64_t start : {-5'000, 0, 40'000, 50'000}) {
    EXPECT_FALSE(in_minute(increase, {{40'000}, {30}, {start}}).has_value()) << start;
  }
}

TEST(Rate, AStartTimeAtTheOpenEndOfTheRangeIsOutside) {
  // (10 s, 70 s]: a counter born at 10 s was zero before the range.
  const WindowGrid grid{.first_end_ms = 70'000, .step_ms = 1, .range_ms = 60'000};
  EXPECT_FALSE(run(increase, {{40'000}, {30}, {10'000}}, grid, 1)[0].has_value());
  EXPECT_TRUE(run(increase, {{40'000}, {30}, {10'001}}, grid, 1)[0].has_value());
}

TEST(Rate, AStartTimeAfterThePreviousSampleIsAReset) {
  const Series series{{10'000, 20'000, 30'000}, {5, 6, 7}, {-1, -1, 25'000}};
  EXPECT_DOUBLE_EQ(in_minute(resets, series).value(), 1);
  EXPECT_DOUBLE_EQ(in_minute(irate, series).value(), 0.7);
  EXPECT_DOUBLE_EQ(in_minute(idelta, series).value(), 1);
}

TEST(Rate, StartTimesOfDeltas) {
  // Each starts where the one before ended.
  const Series deltas{{20'000, 30'000, 40'000}, {5, 5, 5}, {10'000, 20'000, 30'000}};
  EXPECT_DOUBLE_EQ(in_minute(resets, deltas).value(), 2);
  // The first start is unknown: the next one says nothing.
  const Series unknown{{20'000, 30'000}, {5, 5}, {0, 20'000}};
  EXPECT_DOUBLE_EQ(in_minute(resets, unknown).value(), 0);
  const Series own_time{{20'000, 30'000}, {5, 5}, {20'000, 20'000}};
  EXPECT_DOUBLE_EQ(in_minute(resets, own_time).value(), 0);
}

TEST(StartTimeOverlap, IsCountedOncePerStep) {
  const std::vector<std::int64_t> times{10, 20, 30};
  const std::vector<double> values{1, 2, 3};
  const std::vector<Window> windows{{0, 1}, {0, 2}, {0, 3}};
  const auto count = [&](std::vector<std::int64_t> starts, std::vector<Window> others = {}) {
    return count_start_time_overlaps({.timestamps_ms = times,
                                      .values = values,
                                      .start_timestamps_ms = starts,
                                      .windows = windows},
                                     others);
  };
  EXPECT_EQ(count({}), 0u);
  EXPECT_EQ(count({5, 5, 5}), 0u);    // One start for all: cumulative.
  EXPECT_EQ(count({5, 10, 20}), 0u);  // Deltas.
  EXPECT_EQ(count({5, 8, 8}), 2u);
  EXPECT_EQ(count({5, 0, 8}), 1u);
  EXPECT_EQ(count({5, 8, 8}, {{0, 0}, {0, 0}, {0, 1}}), 1u);  // The last range is mixed.
}

// ---- the others

struct OverTimeCase {
  std::string name;
  RangeKernel kernel;
  std::vector<double> values;
  double expected;
  std::vector<double> argument = {};
  std::vector<double> second = {};
};

class OverTimeTest : public testing::TestWithParam<OverTimeCase> {};

TEST_P(OverTimeTest, Computes) {
  const auto& param = GetParam();
  const auto value = over(param.kernel, param.values, param.argument, param.second);
  ASSERT_TRUE(value.has_value());
  if (std::isnan(param.expected)) {
    EXPECT_TRUE(std::isnan(*value)) << *value;
  } else {
    EXPECT_DOUBLE_EQ(*value, param.expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, OverTimeTest,
    testing::Values(
        OverTimeCase{"sum", sum_over_time, {1, 1e100, 1, -1e100}, 2},
        OverTimeCase{"avg", avg_over_time, {1, 2, 6}, 3},
        OverTimeCase{"avg_overflow", avg_over_time, {1.5e308, 1.5e308}, 1.5e308},
        OverTimeCase{"min", min_over_time, {3, 1, 2}, 1},
        OverTimeCase{"max", max_over_time, {3, 5, 2}, 5},
        OverTimeCase{"min_skips_nan", min_over_time, {kNan, 3, kNan}, 3},
        OverTimeCase{"max_all_nan", max_over_time, {kNan, kNan}, kNan},
        OverTimeCase{"count", count_over_time, {1, kNan, 3}, 3},
        OverTimeCase{"stdvar", stdvar_over_time, {2, 4, 4, 4, 5, 5, 7, 9}, 4},
        OverTimeCase{"stddev", stddev_over_time, {2, 4, 4, 4, 5, 5, 7, 9}, 2},
        OverTimeCase{"stddev_of_large_values",
                     stddev_over_time,
                     {1e16 + 4, 1e16 + 8, 1e16 + 12},
                     std::sqrt(32.0 / 3)},
        OverTimeCase{"quantile", quantile_over_time, {1, 2, 3, 4, 5}, 2, {0.25}},
        OverTimeCase{"mad", mad_over_time, {4, 6, 2, 1, 999, 1, 2}, 1},
        OverTimeCase{"mad_nan", mad_over_time, {4, 6, kNan}, kNan},
        OverTimeCase{"first", first_over_time, {7, 8, 9}, 7},
        OverTimeCase{"last", last_over_time, {7, 8, 9}, 9},
        OverTimeCase{"present", present_over_time, {kNan}, 1},
        OverTimeCase{"ts_of_first", ts_of_first_over_time, {7, 8, 9}, 0},
        OverTimeCase{"ts_of_last", ts_of_last_over_time, {7, 8, 9}, 20},
        OverTimeCase{"ts_of_min_last_of_equals", ts_of_min_over_time, {1, 1, 9}, 10},
        OverTimeCase{"ts_of_max_last_of_equals", ts_of_max_over_time, {9, 9, 1}, 10},
        OverTimeCase{"ts_of_min_all_nan", ts_of_min_over_time, {kNan, kNan}, 10},
        OverTimeCase{"changes", changes, {1, 1, 2, kNan, kNan, 1}, 3},
        OverTimeCase{"changes_of_one", changes, {1}, 0},
        OverTimeCase{"resets", resets, {1, 2, 1, 3, 0}, 2},
        OverTimeCase{"irate", irate, {0, 10, 30}, 2},
        OverTimeCase{"irate_reset", irate, {10, 5}, 0.5},
        OverTimeCase{"idelta", idelta, {10, 5}, -5}, OverTimeCase{"deriv", deriv, {0, 5, 10}, 0.5},
        OverTimeCase{"deriv_flat", deriv, {0.1, 0.1, 0.1}, 0},
        OverTimeCase{"deriv_flat_infinite", deriv, {kInfinity, kInfinity}, kNan},
        OverTimeCase{"predict", predict_linear, {0, 10, 20}, 80, {60}},
        OverTimeCase{"holt", double_exponential_smoothing, {1, 2, 3, 4}, 4, {0.5}, {0.5}},
        OverTimeCase{"holt_step", double_exponential_smoothing, {0, 0, 8}, 4, {0.5}, {0.5}}),
    [](const auto& info) { return info.param.name; });

TEST(RangeKernel, PredictsFromTheEvaluationTimeNotFromTheWindow) {
  // One per second, window pinned to (0, 20 s], evaluated at 100 s and 110 s.
  const std::vector<std::int64_t> times{10'000, 20'000};
  const std::vector<double> values{10, 20};
  const std::vector<Window> windows{{0, 2}, {0, 2}};
  const std::vector<double> ahead{0, 5};
  std::vector<double> out(2);
  std::vector<std::uint64_t> present(1);
  RangeScratch scratch;
  predict_linear({.timestamps_ms = times,
                  .values = values,
                  .windows = windows,
                  .grid = {.first_end_ms = 20'000, .step_ms = 0, .range_ms = 20'000},
                  .argument = ahead,
                  .first_step_ms = 100'000,
                  .step_ms = 10'000},
                 scratch, out, present);
  EXPECT_DOUBLE_EQ(out[0], 100);
  EXPECT_DOUBLE_EQ(out[1], 115);
}

TEST(RangeKernel, IsFoundByFunction) {
  EXPECT_EQ(find_range_kernel(FunctionId::Rate), &rate);
  EXPECT_EQ(find_range_kernel(FunctionId::AbsentOverTime), nullptr);
  EXPECT_EQ(find_range_kernel(FunctionId::Abs), nullptr);
}

// ---- against plain twins

Series arbitrary_series() {
  Series series;
  std::int64_t time = *rc::gen::inRange(0, 50);
  const auto count = *rc::gen::inRange(0, 60);
  for (int i = 0; i < count; ++i) {
    series.timestamps_ms.push_back(time += *rc::gen::weightedElement<int>({{9, 10}, {1, 37}}));
    series.values.push_back(*rc::gen::weightedOneOf<double>(
        {{8, rc::gen::map(rc::gen::inRange(-3, 12), [](int v) { return v * 0.7; })},
         {1, rc::gen::element(kNan, kInfinity, -kInfinity, -0.0, 0.0, 1e308)}}));
  }
  return series;
}

bool is_same(const Steps& a, const Steps& b) {
  return std::ranges::equal(a, b, [](auto x, auto y) {
    if (!x || !y) return x.has_value() == y.has_value();
    if (std::isnan(*x) || std::isnan(*y)) return std::isnan(*x) && std::isnan(*y);
    return std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(*y);
  });
}

using Twin = std::function<std::optional<double>(const reference::Samples&)>;

void check_against_twin(RangeKernel kernel, const Twin& twin) {
  const Series series = arbitrary_series();
  const WindowGrid grid{.first_end_ms = *rc::gen::inRange(0, 100),
                        .step_ms = *rc::gen::inRange(0, 40),
                        .range_ms = *rc::gen::inRange(1, 200)};
  const std::size_t steps = 70;
  Steps expected;
  for (std::size_t step = 0; step < steps; ++step) {
    reference::Samples samples{.start_ms = grid.start_ms(step), .end_ms = grid.end_ms(step)};
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      const std::int64_t time = series.timestamps_ms[i];
      if (time > samples.start_ms && time <= samples.end_ms) {
        samples.times_ms.push_back(time);
        samples.values.push_back(series.values[i]);
      }
    }
    expected.push_back(twin(samples));
  }
  RC_ASSERT(is_same(run(kernel, series, grid, steps), expected));
}

RC_GTEST_PROP(RangeKernel, RateEqualsItsTwin, ()) {
  check_against_twin(rate, [](const auto& s) { return reference::extrapolate(s, true, true); });
}

RC_GTEST_PROP(RangeKernel, IncreaseEqualsItsTwin, ()) {
  check_against_twin(increase,
                     [](const auto& s) { return reference::extrapolate(s, true, false); });
}

RC_GTEST_PROP(RangeKernel, DeltaEqualsItsTwin, ()) {
  check_against_twin(delta, [](const auto& s) { return reference::extrapolate(s, false, false); });
}

RC_GTEST_PROP(RangeKernel, AvgEqualsItsTwin, ()) {
  check_against_twin(avg_over_time, [](const auto& s) -> std::optional<double> {
    if (s.values.empty()) return std::nullopt;
    Mean mean;
    for (const double value : s.values) mean.add(value);
    return mean.result();
  });
}

RC_GTEST_PROP(RangeKernel, MinEqualsItsTwin, ()) {
  check_against_twin(min_over_time, [](const auto& s) { return reference::min(s); });
}

RC_GTEST_PROP(RangeKernel, MaxEqualsItsTwin, ()) {
  check_against_twin(max_over_time, [](const auto& s) { return reference::max(s); });
}

RC_GTEST_PROP(RangeKernel, TimeOfMinEqualsItsTwin, ()) {
  check_against_twin(ts_of_min_over_time, [](const auto& s) { return reference::time_of_min(s); });
}

RC_GTEST_PROP(RangeKernel, TimeOfMaxEqualsItsTwin, ()) {
  check_against_twin(ts_of_max_over_time, [](const auto& s) { return reference::time_of_max(s); });
}

RC_GTEST_PROP(RangeKernel, ChangesEqualsItsTwin, ()) {
  check_against_twin(changes, [](const auto& s) { return reference::changes(s); });
}

RC_GTEST_PROP(RangeKernel, ResetsEqualsItsTwin, ()) {
  check_against_twin(resets, [](const auto& s) { return reference::resets(s); });
}

}  // namespace
}  // namespace gantry::promql::kernels
