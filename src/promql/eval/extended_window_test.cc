#include "promql/eval/extended_window.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/eval/annotations.h"
#include "promql/histogram/arithmetic.h"
#include "promql/kernels/window.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using HistogramPoint = SampleColumns::HistogramPoint;

constexpr std::int64_t kLookbackMs = 300;

Window window_of(std::span<const std::int64_t> times, std::int64_t start_ms, std::int64_t end_ms) {
  Window window;
  kernels::build_windows(times,
                         {.first_end_ms = end_ms, .step_ms = 0, .range_ms = end_ms - start_ms},
                         std::span(&window, 1));
  return window;
}

std::optional<ExtendedWindow> find(std::span<const std::int64_t> times,
                                   const ExtendedRange& range) {
  const std::int64_t after_ms = range.is_smoothed() ? kLookbackMs : 0;
  return find_extended_window(
      times, range, window_of(times, range.start_ms - kLookbackMs, range.end_ms + after_ms),
      window_of(times, range.start_ms, range.end_ms));
}

struct WindowCase {
  std::string_view name;
  std::vector<std::int64_t> times;
  RangeMode mode;
  std::string_view expected;  ///< Of the range (100, 200].
};

class ExtendedWindowTest : public testing::TestWithParam<WindowCase> {};

TEST_P(ExtendedWindowTest, ReachesToTheSamplesAroundTheRange) {
  const WindowCase& c = GetParam();
  const auto window = find(c.times, {.mode = c.mode, .start_ms = 100, .end_ms = 200});
  EXPECT_EQ(window ? std::to_string(window->first) + "-" + std::to_string(window->last) : "none",
            c.expected);
}

constexpr RangeMode kAnchored = RangeMode::Anchored;
constexpr RangeMode kSmoothed = RangeMode::Smoothed;

INSTANTIATE_TEST_SUITE_P(
    Cases, ExtendedWindowTest,
    testing::Values(WindowCase{"anchor_before", {50, 90, 150, 210}, kAnchored, "1-2"},
                    WindowCase{"anchor_at_the_start", {50, 100, 150}, kAnchored, "1-2"},
                    WindowCase{"no_anchor", {150, 160}, kAnchored, "0-1"},
                    WindowCase{"anchor_beyond_the_lookback", {-200, 150, 160}, kAnchored, "1-2"},
                    WindowCase{"anchored_all_before", {50, 100}, kAnchored, "none"},
                    WindowCase{"anchored_all_after", {201, 210}, kAnchored, "none"},
                    WindowCase{"one_inside", {150}, kAnchored, "0-0"},
                    WindowCase{
                        "neighbours_on_both_sides", {50, 90, 150, 210, 220}, kSmoothed, "1-3"},
                    WindowCase{"sample_at_the_end", {90, 150, 200, 210}, kSmoothed, "0-2"},
                    WindowCase{"nothing_after", {90, 150, 190}, kSmoothed, "0-2"},
                    WindowCase{"both_neighbours_outside", {90, 210}, kSmoothed, "0-1"},
                    WindowCase{"end_beyond_the_lookback", {90, 150, 501}, kSmoothed, "0-1"},
                    WindowCase{"smoothed_all_before", {50, 100}, kSmoothed, "none"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ExtendedGrowth, InterpolatesAndCorrectsResets) {
  const std::vector<std::int64_t> times = {0, 100, 200, 300};
  const std::vector<double> values = {10, 30, 20, 40};
  const FloatColumns floats{.timestamps_ms = times, .values = values};
  const auto growth = [&](RangeMode mode, std::int64_t start_ms, std::int64_t end_ms,
                          bool is_counter) {
    const ExtendedRange range{.mode = mode, .start_ms = start_ms, .end_ms = end_ms};
    return FloatGrowth(floats, is_counter).over(range, find(times, range).value());
  };
  EXPECT_EQ(growth(kAnchored, 50, 250, true), 20 - 10 + 30);
  EXPECT_EQ(growth(kAnchored, 50, 250, false), 20 - 10);
  EXPECT_EQ(growth(kSmoothed, 50, 250, true), 30 - 20 + 30);
  EXPECT_EQ(growth(kSmoothed, 50, 250, false), 30 - 20);
  // Both ends in the segment with the reset, which then begins from 0.
  EXPECT_EQ(growth(kSmoothed, 125, 175, true), 15 - 5);
  EXPECT_EQ(growth(kSmoothed, 125, 175, false), 22.5 - 27.5);
  // The end in that segment: what was reached before it counts.
  EXPECT_EQ(growth(kSmoothed, 0, 150, true), 10 - 10 + 30);
}

/// Counters grow over two adjoining ranges by what they grow over both together, resets or not.
RC_GTEST_PROP(ExtendedGrowthProperty, AdjoiningRangesAddUp, ()) {
  const auto gaps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 20));
  RC_PRE(gaps.size() >= 3);
  std::vector<std::int64_t> times;
  std::vector<double> values;
  std::int64_t now_ms = 0;
  for (const int gap : gaps) {
    times.push_back(now_ms += gap);
    values.push_back(*rc::gen::inRange(0, 1000));
  }
  const RangeMode mode = *rc::gen::element(kAnchored, kSmoothed);
  const FloatColumns floats{.timestamps_ms = times, .values = values};
  const auto growth = [&](std::int64_t start_ms, std::int64_t end_ms) {
    const ExtendedRange range{.mode = mode, .start_ms = start_ms, .end_ms = end_ms};
    const Window all{.begin = 0, .end = static_cast<std::uint32_t>(times.size())};
    Window around = all;
    if (mode == kAnchored) around.end = window_of(times, -1, end_ms).end;
    const auto window =
        find_extended_window(times, range, around, window_of(times, start_ms, end_ms));
    return window ? FloatGrowth(floats, true).over(range, *window) : 0.0;
  };
  const std::int64_t start_ms = *rc::gen::inRange(times.front(), times.back() - 1);
  const std::int64_t end_ms = *rc::gen::inRange(start_ms + 2, times.back() + 1);
  const std::int64_t middle_ms = *rc::gen::inRange(start_ms + 1, end_ms);
  const double whole = growth(start_ms, end_ms);
  const double parts = growth(start_ms, middle_ms) + growth(middle_ms, end_ms);
  RC_ASSERT(std::abs(whole - parts) < 1e-6 * (1 + std::abs(whole)));
}

/// FloatGrowth, looking at every sample.
double plain_growth(const FloatColumns& floats, const ExtendedRange& range, ExtendedWindow window) {
  const EndValues ends = find_end_values(floats, range, window, true);
  double growth = ends.right - ends.left;
  double lost = 0;
  double previous = ends.left;
  for (std::uint32_t i = window.first; i <= window.last; ++i) {
    const std::int64_t timestamp_ms = floats.timestamps_ms[i];
    const bool is_first = i == window.first && timestamp_ms <= range.start_ms;
    const bool is_last = i == window.last && timestamp_ms >= range.end_ms;
    if (is_first || is_last) continue;
    if (floats.values[i] < previous) lost += previous;
    previous = floats.values[i];
  }
  if (ends.right < previous) lost += previous;
  growth += lost;
  return growth;
}

/// Values with many digits, some of them not numbers.
double awkward_value() {
  const int value = *rc::gen::inRange(-20, 1000);
  return value % 50 == 7 ? std::numeric_limits<double>::quiet_NaN() : value / 3.0;
}

/// A range with samples to find its ends from.
struct RandomRange {
  ExtendedRange range;
  ExtendedWindow window;
};

RandomRange random_range(std::span<const std::int64_t> times) {
  const std::int64_t start_ms = *rc::gen::inRange(times.front() - 10, times.back() + 10);
  const std::int64_t end_ms = start_ms + *rc::gen::inRange(1, 200);
  const ExtendedRange range{
      .mode = *rc::gen::element(kAnchored, kSmoothed), .start_ms = start_ms, .end_ms = end_ms};
  const auto window = find(times, range);
  RC_PRE(window.has_value());
  RC_PRE(times[window->first] <= end_ms);
  return {.range = range, .window = *window};
}

std::vector<std::int64_t> random_times() {
  const auto gaps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 20));
  RC_PRE(!gaps.empty());
  std::vector<std::int64_t> times;
  std::int64_t now_ms = 0;
  for (const int gap : gaps) times.push_back(now_ms += gap);
  return times;
}

RC_GTEST_PROP(ExtendedGrowthProperty, EqualsThePlainLoopToTheBit, ()) {
  const std::vector<std::int64_t> times = random_times();
  std::vector<double> values;
  for (std::size_t i = 0; i < times.size(); ++i) values.push_back(awkward_value());
  const FloatColumns floats{.timestamps_ms = times, .values = values};
  const FloatGrowth growth(floats, true);
  for (int i = 0; i < 5; ++i) {
    const RandomRange random = random_range(times);
    const double found = growth.over(random.range, random.window);
    const double expected = plain_growth(floats, random.range, random.window);
    RC_ASSERT(std::bit_cast<std::uint64_t>(found) == std::bit_cast<std::uint64_t>(expected));
  }
}

HistogramPoint point(std::int64_t timestamp_ms, double count,
                     CounterResetHint hint = CounterResetHint::Unknown) {
  auto histogram = std::make_shared<FloatHistogram>();
  histogram->hint = hint;
  histogram->count = count;
  histogram->sum = 2 * count;
  histogram->positive_spans = {{.offset = 0, .length = 1}};
  histogram->positive_counts = {count};
  return {.timestamp_ms = timestamp_ms, .start_timestamp_ms = 0, .histogram = histogram};
}

HistogramPoint custom_point(std::int64_t timestamp_ms, double count, std::vector<double> bounds) {
  auto histogram = std::make_shared<FloatHistogram>();
  histogram->schema = telemetry::kCustomBucketsSchema;
  histogram->count = count;
  histogram->sum = count;
  histogram->custom_values = std::move(bounds);
  histogram->positive_spans = {{.offset = 0, .length = 1}};
  histogram->positive_counts = {count};
  return {.timestamp_ms = timestamp_ms, .start_timestamp_ms = 0, .histogram = histogram};
}

class HistogramGrowthTest : public testing::Test {
 protected:
  std::optional<FloatHistogram> growth(const std::vector<HistogramPoint>& points,
                                       const ExtendedRange& range, bool is_counter) {
    std::vector<std::int64_t> times;
    for (const HistogramPoint& one : points) times.push_back(one.timestamp_ms);
    HistogramGrowth growth(points, is_counter);
    auto result = growth.over(range, find(times, range).value());
    notes_.merge(growth.notes());
    return result;
  }

  [[nodiscard]] std::string annotations() const {
    AnnotationSet set;
    notes_.write("m", {}, {}, set);
    const Annotations all = set.finish("m");
    std::string text;
    for (const auto* list : {&all.warnings, &all.infos}) {
      for (const std::string& one : *list) text += one + "\n";
    }
    return text;
  }

  RangeNotes notes_;
};

/// What a float counter of the same counts gives.
double float_growth(const std::vector<HistogramPoint>& points, const ExtendedRange& range) {
  std::vector<std::int64_t> times;
  std::vector<double> values;
  for (const HistogramPoint& one : points) {
    times.push_back(one.timestamp_ms);
    values.push_back(one.histogram->count);
  }
  return FloatGrowth({.timestamps_ms = times, .values = values}, true)
      .over(range, find(times, range).value());
}

TEST_F(HistogramGrowthTest, IsThatOfTheCountsWhereverResetsAre) {
  const std::vector<std::vector<double>> series = {
      {10, 30, 20, 40}, {10, 5, 2, 4}, {5, 10, 3, 1}, {1, 2, 3, 4}, {9, 1, 9, 1}};
  for (const auto& counts : series) {
    std::vector<HistogramPoint> points;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      points.push_back(point(static_cast<std::int64_t>(i) * 100, counts[i]));
    }
    for (const RangeMode mode : {kAnchored, kSmoothed}) {
      for (const auto& [start_ms, end_ms] : {std::pair<std::int64_t, std::int64_t>{0, 300},
                                             {50, 250},
                                             {125, 175},
                                             {50, 150},
                                             {100, 200},
                                             {150, 290}}) {
        const ExtendedRange range{.mode = mode, .start_ms = start_ms, .end_ms = end_ms};
        if (mode == kAnchored && end_ms - start_ms < 100) continue;
        const auto found = growth(points, range, true);
        ASSERT_TRUE(found);
        EXPECT_NEAR(found->count, float_growth(points, range), 1e-9) << start_ms << "-" << end_ms;
        EXPECT_NEAR(found->sum, 2 * found->count, 1e-9);
        EXPECT_EQ(found->hint, CounterResetHint::Gauge);
      }
    }
  }
  EXPECT_EQ(annotations(), "");
}

TEST_F(HistogramGrowthTest, SaysWhatIsNoCounterAndWhatIsNoGauge) {
  const std::vector<HistogramPoint> points = {point(0, 1), point(100, 2, CounterResetHint::Gauge),
                                              point(200, 3)};
  const ExtendedRange range{.mode = kAnchored, .start_ms = 0, .end_ms = 200};
  EXPECT_EQ(growth(points, range, true)->count, 2);
  EXPECT_EQ(growth(points, range, false)->count, 2);
  EXPECT_EQ(annotations(),
            "PromQL warning: this native histogram metric is not a counter: \"m\" (1:1)\n"
            "PromQL warning: this native histogram metric is not a gauge: \"m\" (1:1)\n");
}

TEST_F(HistogramGrowthTest, CustomAndExponentialBucketsDoNotMeet) {
  const std::vector<HistogramPoint> points = {point(0, 1), custom_point(100, 2, {5})};
  EXPECT_FALSE(growth(points, {.mode = kAnchored, .start_ms = 0, .end_ms = 100}, true));
  EXPECT_FALSE(interpolate_histogram(points[0], points[1], 50, false, notes_));
  EXPECT_EQ(annotations(),
            "PromQL warning: vector contains a mix of histograms with exponential and custom "
            "buckets schemas for metric name \"m\" (1:1)\n");
}

TEST_F(HistogramGrowthTest, OtherCustomBoundsAreReconciled) {
  const std::vector<HistogramPoint> points = {custom_point(0, 1, {5, 10}),
                                              custom_point(100, 2, {5, 20})};
  const auto found = growth(points, {.mode = kAnchored, .start_ms = 0, .end_ms = 100}, false);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->custom_values, (std::vector<double>{5}));
  EXPECT_NE(annotations().find(
                "PromQL info: mismatched custom buckets were reconciled during subtraction (1:1)"),
            std::string::npos);
}

/// HistogramGrowth of a counter, looking at every sample.
std::optional<FloatHistogram> plain_growth(std::span<const HistogramPoint> points,
                                           const ExtendedRange& range, ExtendedWindow window,
                                           RangeNotes& notes) {
  for (std::uint32_t i = window.first; i <= window.last; ++i) {
    if (points[i].histogram->uses_custom_buckets() !=
        points[window.first].histogram->uses_custom_buckets()) {
      notes.mixes_buckets = true;
      return std::nullopt;
    }
    notes.is_not_counter |= points[i].histogram->hint == CounterResetHint::Gauge;
  }
  FloatHistogram left = *points[window.first].histogram;
  FloatHistogram right = *points[window.last].histogram;
  const bool is_cut = range.is_smoothed() && points[window.first].timestamp_ms < range.start_ms;
  if (is_cut) {
    left = *interpolate_histogram(points[window.first], points[window.first + 1], range.start_ms,
                                  true, notes);
  }
  if (range.is_smoothed() && window.last > window.first &&
      points[window.last].timestamp_ms > range.end_ms) {
    right = *interpolate_histogram(points[window.last - 1], points[window.last], range.end_ms, true,
                                   notes);
  }
  std::vector<const FloatHistogram*> row = {&left};
  for (std::uint32_t i = window.first + 1; i < window.last; ++i) {
    row.push_back(points[i].histogram.get());
  }
  if (window.last > window.first) row.push_back(&right);
  if (is_cut && histogram::is_counter_reset(*points[window.first + 1].histogram,
                                            *points[window.first].histogram)) {
    row.erase(row.begin());  // In `left` already.
  }
  FloatHistogram growth = right;
  notes.reconciled_subtraction |= histogram::subtract(growth, left).has_reconciled_bounds;
  std::optional<FloatHistogram> lost;
  for (std::size_t i = 1; i < row.size(); ++i) {
    if (!histogram::is_counter_reset(*row[i], *row[i - 1])) continue;
    if (!lost) {
      lost = *row[i - 1];
    } else {
      notes.reconciled_addition |= histogram::add(*lost, *row[i - 1]).has_reconciled_bounds;
    }
  }
  if (lost) notes.reconciled_addition |= histogram::add(growth, *lost).has_reconciled_bounds;
  growth.hint = CounterResetHint::Gauge;
  return growth;
}

HistogramPoint random_point(std::int64_t timestamp_ms) {
  const double count = *rc::gen::inRange(0, 30) / 3.0;
  switch (*rc::gen::inRange(0, 40)) {
    case 0:
      return custom_point(timestamp_ms, count, {5, 10});
    case 1:
      return point(timestamp_ms, count, CounterResetHint::Gauge);
    case 2:
      return point(timestamp_ms, count, CounterResetHint::Reset);
    case 3:
      return point(timestamp_ms, count, CounterResetHint::NotReset);
    default:
      return point(timestamp_ms, count);
  }
}

RC_GTEST_PROP(HistogramGrowthProperty, EqualsThePlainLoopToTheBit, ()) {
  const std::vector<std::int64_t> times = random_times();
  std::vector<HistogramPoint> points;
  for (const std::int64_t time_ms : times) points.push_back(random_point(time_ms));
  HistogramGrowth growth(points, true);
  RangeNotes notes;
  for (int i = 0; i < 5; ++i) {
    const RandomRange random = random_range(times);
    const auto found = growth.over(random.range, random.window);
    const auto expected = plain_growth(points, random.range, random.window, notes);
    RC_ASSERT(found.has_value() == expected.has_value());
    if (found) RC_ASSERT(telemetry::is_identical(*found, *expected));
    RC_ASSERT(growth.notes() == notes);
  }
}

}  // namespace
}  // namespace gantry::promql::eval
