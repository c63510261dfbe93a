#include "promql/eval/transitions.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <variant>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/histogram/arithmetic.h"
#include "promql/kernels/start_times.h"

namespace gantry::promql::eval {
namespace {

using HistogramPtr = std::shared_ptr<const telemetry::FloatHistogram>;

struct Sample {
  kernels::SampleTimes times;
  std::variant<double, HistogramPtr> value;
};

HistogramPtr histogram_of(double count) {
  auto histogram = std::make_shared<telemetry::FloatHistogram>();
  histogram->count = count;
  histogram->positive_spans = {{.offset = 0, .length = 1}};
  histogram->positive_counts = {count};
  return histogram;
}

SampleColumns columns_of(const std::vector<Sample>& samples) {
  SampleColumns columns;
  for (const Sample& sample : samples) {
    if (const auto* value = std::get_if<double>(&sample.value)) {
      columns.timestamps_ms.push_back(sample.times.time_ms);
      columns.start_timestamps_ms.push_back(sample.times.start_ms);
      columns.values.push_back(*value);
    } else {
      columns.histograms.push_back({.timestamp_ms = sample.times.time_ms,
                                    .start_timestamp_ms = sample.times.start_ms,
                                    .histogram = std::get<HistogramPtr>(sample.value)});
    }
  }
  return columns;
}

bool is_plain_transition(const Sample& previous, const Sample& current, Transition transition,
                         StartTimes starts) {
  if (previous.value.index() != current.value.index()) return true;
  if (transition == Transition::Reset && starts == StartTimes::Used &&
      kernels::is_start_time_reset(previous.times, current.times)) {
    return true;
  }
  if (const auto* value = std::get_if<double>(&current.value)) {
    const double before = std::get<double>(previous.value);
    if (transition == Transition::Reset) return *value < before;
    return *value != before && !(std::isnan(*value) && std::isnan(before));
  }
  const telemetry::FloatHistogram& before = *std::get<HistogramPtr>(previous.value);
  const telemetry::FloatHistogram& now = *std::get<HistogramPtr>(current.value);
  return transition == Transition::Reset ? histogram::is_counter_reset(now, before)
                                         : !histogram::equals(now, before);
}

RC_GTEST_PROP(Transitions, CountWhatEachWindowHolds, ()) {
  std::vector<Sample> samples;
  std::int64_t time_ms = 0;
  const int count = *rc::gen::inRange(0, 40);
  bool is_histogram = false;
  for (int i = 0; i < count; ++i) {
    is_histogram = *rc::gen::weightedElement<bool>({{4, is_histogram}, {1, !is_histogram}});
    const double value = *rc::gen::element(0.0, 1.0, 2.0, 3.0);
    const std::int64_t start_ms = *rc::gen::weightedElement<std::int64_t>({{3, 0}, {1, time_ms}});
    time_ms += *rc::gen::element(10, 50);
    Sample sample{.times = {.start_ms = start_ms, .time_ms = time_ms}, .value = value};
    if (is_histogram) sample.value = histogram_of(value);
    if (value == 3 && !is_histogram) sample.value = std::numeric_limits<double>::quiet_NaN();
    samples.push_back(std::move(sample));
  }
  const SampleColumns columns = columns_of(samples);
  std::vector<std::int64_t> histogram_times;
  for (const auto& point : columns.histograms) histogram_times.push_back(point.timestamp_ms);
  const kernels::WindowGrid grid{.first_end_ms = *rc::gen::inRange(0, 50),
                                 .step_ms = *rc::gen::inRange(1, 60),
                                 .range_ms = *rc::gen::inRange(1, 400)};
  std::vector<kernels::Window> floats(40);
  std::vector<kernels::Window> histograms(40);
  kernels::build_windows(columns.timestamps_ms, grid, floats);
  kernels::build_windows(histogram_times, grid, histograms);
  const auto transition = *rc::gen::element(Transition::Change, Transition::Reset);
  const auto starts = *rc::gen::element(StartTimes::Ignored, StartTimes::Used);
  const Transitions transitions(columns, transition, starts);
  for (std::size_t step = 0; step < floats.size(); ++step) {
    double expected = 0;
    for (std::size_t i = 1; i < samples.size(); ++i) {
      if (samples[i - 1].times.time_ms <= grid.start_ms(step)) continue;
      if (samples[i].times.time_ms > grid.end_ms(step)) continue;
      expected += is_plain_transition(samples[i - 1], samples[i], transition, starts) ? 1 : 0;
    }
    RC_ASSERT(transitions.count(floats[step], histograms[step]) == expected);
  }
}

TEST(Transitions, OfNothingAreNone) {
  const Transitions none({}, Transition::Change, StartTimes::Ignored);
  EXPECT_EQ(none.count({}, {}), 0);
  const Transitions one(columns_of({{.times = {.time_ms = 1}, .value = 1.0}}), Transition::Change,
                        StartTimes::Ignored);
  EXPECT_EQ(one.count({.begin = 0, .end = 1}, {}), 0);
}

}  // namespace
}  // namespace gantry::promql::eval
