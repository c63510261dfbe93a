#include "promql/eval/histogram_rate.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/histogram/arithmetic.h"

namespace gantry::promql::eval {
namespace {

using kernels::WindowGrid;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using Points = std::vector<SampleColumns::HistogramPoint>;

struct Shape {
  double count = 0;
  CounterResetHint hint = CounterResetHint::Unknown;
  std::int32_t schema = 0;
  std::vector<double> bounds;
  std::int64_t start_ms = 0;
};

/// All observations in one bucket, one sample every 10 s from 10 s.
Points points_of(const std::vector<Shape>& shapes) {
  Points points;
  for (const Shape& shape : shapes) {
    auto histogram = std::make_shared<FloatHistogram>();
    histogram->hint = shape.hint;
    histogram->schema = shape.schema;
    histogram->custom_values = shape.bounds;
    histogram->count = shape.count;
    histogram->sum = shape.count;
    histogram->positive_spans = {{.offset = 0, .length = 1}};
    histogram->positive_counts = {shape.count};
    points.push_back({.timestamp_ms = static_cast<std::int64_t>(points.size() + 1) * 10'000,
                      .start_timestamp_ms = shape.start_ms,
                      .histogram = std::move(histogram)});
  }
  return points;
}

struct Outcome {
  std::optional<double> count;
  RangeNotes notes;
};

/// Over all of `shapes` in a minute that ends with the last.
Outcome in_minute(FunctionId function, const std::vector<Shape>& shapes,
                  StartTimes starts = StartTimes::Ignored) {
  const Points points = points_of(shapes);
  const WindowGrid grid{
      .first_end_ms = points.back().timestamp_ms, .step_ms = 0, .range_ms = 60'000};
  HistogramRate rate(function, points, grid, starts);
  const auto count = static_cast<std::uint32_t>(points.size());
  const bool is_instant = function == FunctionId::Irate || function == FunctionId::Idelta;
  const HistogramPtr result =
      is_instant ? rate.at(count - 1) : rate.over({.begin = 0, .end = count}, grid.end_ms(0));
  if (result != nullptr) {
    EXPECT_EQ(result->hint, CounterResetHint::Gauge);
  }
  return {.count = result == nullptr ? std::nullopt : std::optional(result->count),
          .notes = rate.notes()};
}

constexpr CounterResetHint kGauge = CounterResetHint::Gauge;
constexpr CounterResetHint kReset = CounterResetHint::Reset;
constexpr CounterResetHint kNotReset = CounterResetHint::NotReset;
constexpr std::int32_t kCustom = telemetry::kCustomBucketsSchema;

TEST(HistogramRate, CountsWhatResetsLost) {
  // 30 s sampled, half a gap to the left: 20 * 35 / 30.
  EXPECT_DOUBLE_EQ(*in_minute(FunctionId::Increase, {{10}, {20}, {5}, {10}}).count,
                   20 * (35.0 / 30));
  EXPECT_DOUBLE_EQ(*in_minute(FunctionId::Rate, {{10}, {20}, {5}, {10}}).count,
                   20 * (35.0 / 30 / 60));
  // A hint is believed whatever the counts say.
  EXPECT_DOUBLE_EQ(*in_minute(FunctionId::Increase, {{10}, {20}, {5, kNotReset}, {30}}).count,
                   20 * (35.0 / 30));
  EXPECT_DOUBLE_EQ(*in_minute(FunctionId::Increase, {{10}, {20}, {30, kReset}, {40}}).count,
                   50 * (35.0 / 30));
}

TEST(HistogramRate, IgnoresTheFirstSampleBeforeAReset) {
  // Not even its kind of buckets matters; nothing is extrapolated below zero by its count.
  const std::vector<Shape> shapes = {{10, {}, kCustom, {1}}, {4}, {8}, {12}};
  const Outcome outcome = in_minute(FunctionId::Increase, shapes);
  EXPECT_DOUBLE_EQ(outcome.count.value(), 12 * (35.0 / 30));
  EXPECT_EQ(outcome.notes, RangeNotes());
  EXPECT_FALSE(in_minute(FunctionId::Delta, shapes).count.has_value());
}

TEST(HistogramRate, OneSampleHasNoRateUnlessItsStartIsKnown) {
  EXPECT_FALSE(in_minute(FunctionId::Rate, {{60}}).count.has_value());
  const Shape started{.count = 60, .start_ms = 1'000};
  EXPECT_FALSE(in_minute(FunctionId::Rate, {started}).count.has_value());
  const Points points = points_of({started});
  const WindowGrid grid{.first_end_ms = 20'000, .step_ms = 0, .range_ms = 60'000};
  HistogramRate rate(FunctionId::Rate, points, grid, StartTimes::Used);
  const HistogramPtr result = rate.over({.begin = 0, .end = 1}, 20'000);
  ASSERT_NE(result, nullptr);
  EXPECT_DOUBLE_EQ(result->count, 1);
  EXPECT_EQ(result->hint, CounterResetHint::Unknown);  // The sample's own.
}

TEST(HistogramRate, SaysWhatIsWrongWithTheSamples) {
  const auto notes = [](FunctionId function, const std::vector<Shape>& shapes) {
    return in_minute(function, shapes).notes;
  };
  const Shape gauge{.count = 1, .hint = kGauge};
  const Shape custom{.count = 1, .schema = kCustom, .bounds = {1, 2}};
  const Shape other_custom{.count = 1, .schema = kCustom, .bounds = {1, 3}};
  EXPECT_EQ(notes(FunctionId::Rate, {{1}, gauge, {1}}), RangeNotes{.is_not_counter = true});
  EXPECT_EQ(notes(FunctionId::Irate, {{1}, gauge}), RangeNotes{.is_not_counter = true});
  EXPECT_EQ(notes(FunctionId::Delta, {gauge, {1}, gauge}), RangeNotes());
  EXPECT_EQ(notes(FunctionId::Delta, {gauge, {1}}), RangeNotes{.is_not_gauge = true});
  EXPECT_EQ(notes(FunctionId::Idelta, {{1}, gauge}), RangeNotes{.is_not_gauge = true});
  EXPECT_EQ(notes(FunctionId::Rate, {custom, other_custom}),
            RangeNotes{.reconciled_subtraction = true});
  EXPECT_EQ(notes(FunctionId::Rate, {{1}, {1}, custom, {1}}), RangeNotes{.mixes_buckets = true});
  // What a sample in the middle has does not matter to delta.
  EXPECT_EQ(notes(FunctionId::Delta, {gauge, custom, gauge}), RangeNotes());
}

TEST(HistogramRate, CountsOverlapsOfStartTimesOncePerStep) {
  const Points points =
      points_of({{1, {}, 0, {}, 1}, {2, {}, 0, {}, 5'000}, {3, {}, 0, {}, 6'000}});
  const WindowGrid grid{.first_end_ms = 30'000, .step_ms = 1'000, .range_ms = 60'000};
  HistogramRate rate(FunctionId::Increase, points, grid, StartTimes::Used);
  ASSERT_NE(rate.over({.begin = 0, .end = 3}, 30'000), nullptr);
  ASSERT_NE(rate.over({.begin = 0, .end = 3}, 31'000), nullptr);
  ASSERT_EQ(rate.over({.begin = 2, .end = 3}, 32'000)->count, 3);
  EXPECT_EQ(rate.notes().start_time_overlaps, 2u);
}

// ---- against a plain twin, which looks at each window anew

struct Plain {
  std::optional<FloatHistogram> result;
  RangeNotes notes;
};

bool is_plain_reset(const SampleColumns::HistogramPoint& current, const FloatHistogram& previous,
                    kernels::SampleTimes previous_times, StartTimes starts) {
  const kernels::SampleTimes times{.start_ms = current.start_timestamp_ms,
                                   .time_ms = current.timestamp_ms};
  if (starts == StartTimes::Used && kernels::is_start_time_reset(previous_times, times))
    return true;
  return histogram::is_counter_reset(*current.histogram, previous);
}

kernels::SampleTimes times_of(const SampleColumns::HistogramPoint& point) {
  return {.start_ms = point.start_timestamp_ms, .time_ms = point.timestamp_ms};
}

Plain plain_growth(const Points& points, bool is_counter, StartTimes starts) {
  const Plain mixed{.result = {}, .notes = {.mixes_buckets = true}};
  Plain plain;
  const FloatHistogram& last = *points.back().histogram;
  FloatHistogram first = *points[0].histogram;
  if (is_counter && is_plain_reset(points[1], first, times_of(points[0]), starts)) {
    first = {};
    first.schema = points[1].histogram->schema;
    first.custom_values = points[1].histogram->custom_values;
  }
  if (last.uses_custom_buckets() != first.uses_custom_buckets()) {
    // Found before the samples in the middle are looked at.
    Plain ends = mixed;
    ends.notes.is_not_counter =
        is_counter && (points[0].histogram->hint == kGauge || last.hint == kGauge);
    return ends;
  }
  std::int32_t schema = std::min(first.schema, last.schema);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const FloatHistogram& current = *points[i].histogram;
    const bool is_end = i == 0 || i + 1 == points.size();
    if (is_counter && current.hint == kGauge) plain.notes.is_not_counter = true;
    if (!is_counter && is_end && current.hint != kGauge) plain.notes.is_not_gauge = true;
    if (!is_counter || is_end) continue;
    if (current.uses_custom_buckets() != first.uses_custom_buckets()) return mixed;
    schema = std::min(schema, current.schema);
  }
  plain.result = last;
  if (schema < last.schema) histogram::reduce_resolution(*plain.result, schema);
  plain.notes.reconciled_subtraction =
      histogram::subtract(*plain.result, first).has_reconciled_bounds;
  FloatHistogram previous = first;
  for (std::size_t i = 1; is_counter && i < points.size(); ++i) {
    if (starts == StartTimes::Used &&
        kernels::is_start_time_overlap(times_of(points[i - 1]), times_of(points[i]))) {
      plain.notes.start_time_overlaps = 1;
    }
    if (is_plain_reset(points[i], previous, times_of(points[i - 1]), starts)) {
      plain.notes.reconciled_addition |=
          histogram::add(*plain.result, previous).has_reconciled_bounds;
    }
    previous = *points[i].histogram;
  }
  plain.result->hint = kGauge;
  histogram::compact(*plain.result);
  return plain;
}

Plain plain_rate(const Points& points, FunctionId function, std::int64_t start_ms,
                 std::int64_t end_ms, StartTimes starts) {
  const bool is_counter = function != FunctionId::Delta;
  Plain plain;
  if (points.empty()) return plain;
  const FloatHistogram& first = *points[0].histogram;
  const std::int64_t born_ms = points[0].start_timestamp_ms;
  const bool is_born = is_counter && starts == StartTimes::Used && born_ms != 0 &&
                       born_ms > start_ms && born_ms < points[0].timestamp_ms;
  if (points.size() == 1 && !is_born) return plain;
  if (points.size() > 1) {
    plain = plain_growth(points, is_counter, starts);
    if (!plain.result) return plain;
    if (is_born) {
      const histogram::Combination sum = histogram::add(*plain.result, first);
      if (!sum.is_possible) {
        plain.notes.mixes_buckets = true;
        plain.result.reset();
        return plain;
      }
      plain.notes.reconciled_addition |= sum.has_reconciled_bounds;
    }
  } else {
    plain.result = first;
  }
  const std::int64_t first_ms = points[0].timestamp_ms;
  const std::int64_t last_ms = points.back().timestamp_ms;
  const double gaps = static_cast<double>(points.size() - 1);
  const double average = gaps == 0 ? 0 : static_cast<double>(last_ms - first_ms) / 1000 / gaps;
  double to_start = is_born ? 0 : static_cast<double>(first_ms - start_ms) / 1000;
  double to_end = static_cast<double>(end_ms - last_ms) / 1000;
  const double sampled = static_cast<double>(last_ms - (is_born ? born_ms : first_ms)) / 1000;
  if (!is_born && to_start >= average * 1.1) to_start = average / 2;
  if (!is_born && is_counter && plain.result->count > 0 && first.count >= 0) {
    to_start = std::min(to_start, sampled * (first.count / plain.result->count));
  }
  if (to_end >= average * 1.1) to_end = average / 2;
  double factor = (sampled + to_start + to_end) / sampled;
  if (function == FunctionId::Rate) factor /= static_cast<double>(end_ms - start_ms) / 1000;
  histogram::multiply(*plain.result, factor);
  return plain;
}

FloatHistogram arbitrary_layout() {
  FloatHistogram histogram;
  if (*rc::gen::weightedElement<bool>({{9, false}, {1, true}})) {
    histogram.schema = kCustom;
    histogram.custom_values =
        *rc::gen::element(std::vector<double>{1, 2, 4}, std::vector<double>{1, 4, 8});
  } else {
    histogram.schema = *rc::gen::weightedElement<std::int32_t>({{8, 2}, {1, 1}, {1, 3}});
    histogram.zero_threshold = *rc::gen::weightedElement<double>({{8, 0.001}, {1, 0.01}});
  }
  return histogram;
}

/// Mostly a counter that grows; at times it starts anew, changes its layout or is a gauge.
Points arbitrary_points() {
  Points points;
  FloatHistogram now = arbitrary_layout();
  std::int64_t time_ms = *rc::gen::inRange(1'000, 20'000);
  const int count = *rc::gen::inRange(0, 40);
  for (int i = 0; i < count; ++i) {
    if (*rc::gen::inRange(0, 12) == 0) now = arbitrary_layout();
    if (now.positive_counts.empty() || *rc::gen::inRange(0, 8) == 0) {
      now.positive_counts.assign(4, 0);
      now.positive_spans = {{.offset = 0, .length = 2}, {.offset = 0, .length = 2}};
      now.zero_count = 0;
    }
    for (double& bucket : now.positive_counts) bucket += *rc::gen::element(0.0, 1.0, 0.1, 7.0);
    if (!now.uses_custom_buckets()) now.zero_count += *rc::gen::element(0.0, 0.3);
    now.count = now.zero_count;
    for (const double bucket : now.positive_counts) now.count += bucket;
    now.sum = now.count * 0.7;
    now.hint = *rc::gen::weightedElement<CounterResetHint>(
        {{10, CounterResetHint::Unknown}, {4, kNotReset}, {1, kReset}, {1, kGauge}});
    const std::int64_t previous_ms = time_ms;
    time_ms += *rc::gen::weightedElement<std::int64_t>({{9, 10'000}, {1, 34'000}});
    points.push_back({.timestamp_ms = time_ms,
                      .start_timestamp_ms = *rc::gen::weightedElement<std::int64_t>(
                          {{3, 0}, {2, 500}, {1, previous_ms}, {1, time_ms - 1}}),
                      .histogram = std::make_shared<const FloatHistogram>(now)});
  }
  return points;
}

bool is_same(const HistogramPtr& a, const std::optional<FloatHistogram>& b) {
  if (a == nullptr || !b) return (a == nullptr) == !b;
  return telemetry::is_identical(*a, *b);
}

void check_against_twin(FunctionId function, StartTimes starts) {
  const Points points = arbitrary_points();
  std::vector<std::int64_t> times;
  for (const auto& point : points) times.push_back(point.timestamp_ms);
  const WindowGrid grid{.first_end_ms = *rc::gen::inRange(0, 60'000),
                        .step_ms = *rc::gen::element(0, 3'000, 10'000, 45'000),
                        .range_ms = *rc::gen::element(5'000, 30'000, 200'000)};
  std::vector<kernels::Window> windows(50);
  kernels::build_windows(times, grid, windows);
  HistogramRate rate(function, points, grid, starts);
  RangeNotes expected_notes;
  for (std::size_t step = 0; step < windows.size(); ++step) {
    const kernels::Window window = windows[step];
    const Plain plain = plain_rate({points.begin() + window.begin, points.begin() + window.end},
                                   function, grid.start_ms(step), grid.end_ms(step), starts);
    expected_notes.merge(plain.notes);
    RC_ASSERT(is_same(rate.over(window, grid.end_ms(step)), plain.result));
  }
  RC_ASSERT(rate.notes() == expected_notes);
}

RC_GTEST_PROP(HistogramRate, RateEqualsItsTwin, ()) {
  check_against_twin(FunctionId::Rate, StartTimes::Ignored);
}

RC_GTEST_PROP(HistogramRate, RateWithStartTimesEqualsItsTwin, ()) {
  check_against_twin(FunctionId::Rate, StartTimes::Used);
}

RC_GTEST_PROP(HistogramRate, IncreaseWithStartTimesEqualsItsTwin, ()) {
  check_against_twin(FunctionId::Increase, StartTimes::Used);
}

RC_GTEST_PROP(HistogramRate, DeltaEqualsItsTwin, ()) {
  check_against_twin(FunctionId::Delta, StartTimes::Ignored);
}

RC_GTEST_PROP(HistogramRate, LastChangesEqualTheirTwins, ()) {
  const Points points = arbitrary_points();
  const FunctionId function = *rc::gen::element(FunctionId::Irate, FunctionId::Idelta);
  HistogramRate rate(function, points, {}, StartTimes::Used);
  for (std::uint32_t last = 1; last < points.size(); ++last) {
    FloatHistogram expected = *points[last].histogram;
    const FloatHistogram& previous = *points[last - 1].histogram;
    bool is_possible = true;
    if (function == FunctionId::Idelta ||
        !is_plain_reset(points[last], previous, times_of(points[last - 1]), StartTimes::Used)) {
      is_possible = histogram::subtract(expected, previous).is_possible;
    }
    expected.hint = kGauge;
    histogram::compact(expected);
    if (function == FunctionId::Irate) {
      histogram::divide(
          expected,
          static_cast<double>(points[last].timestamp_ms - points[last - 1].timestamp_ms) / 1000);
    }
    const HistogramPtr actual = rate.at(last);
    RC_ASSERT(rate.at(last) == actual);
    RC_ASSERT(is_same(actual, is_possible ? std::optional(expected) : std::nullopt));
  }
}

}  // namespace
}  // namespace gantry::promql::eval
