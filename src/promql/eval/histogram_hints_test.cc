#include "promql/eval/histogram_hints.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "telemetry/sample.h"

namespace gantry::promql::eval {
namespace {

using kernels::WindowGrid;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

/// A sample per letter, one a second from 1 s: a digit is a histogram with that count and no hint,
/// g a gauge, n `not_reset`, f a float, s a stale marker, _ nothing.
SampleColumns columns_of(std::string_view letters) {
  SampleColumns columns;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    const std::int64_t time_ms = static_cast<std::int64_t>(i + 1) * 1000;
    const char letter = letters[i];
    if (letter == '_') continue;
    if (letter == 'f') {
      columns.timestamps_ms.push_back(time_ms);
      columns.values.push_back(1);
      continue;
    }
    auto histogram = std::make_shared<FloatHistogram>();
    histogram->schema = 3;
    histogram->count = letter >= '0' && letter <= '9' ? letter - '0' : 0;
    histogram->positive_spans = {{.offset = 0, .length = 1}};
    histogram->positive_counts = {histogram->count};
    if (letter == 'g') histogram->hint = CounterResetHint::Gauge;
    if (letter == 'n') histogram->hint = CounterResetHint::NotReset;
    histogram->sum = letter == 's' ? telemetry::stale_nan() : 5;
    columns.histograms.push_back(
        {.timestamp_ms = time_ms, .start_timestamp_ms = 0, .histogram = std::move(histogram)});
  }
  return columns;
}

/// A letter per histogram: u unknown, r reset, n not_reset, g gauge.
std::string hints_of(const SampleColumns& columns) {
  std::string hints;
  for (const auto& point : columns.histograms) {
    hints += std::string_view("urng")[static_cast<std::size_t>(point.histogram->hint)];
  }
  return hints;
}

std::string hints_after(std::string_view letters, const WindowGrid& grid, std::size_t steps) {
  SampleColumns columns = columns_of(letters);
  reduce_to_statistics(grid, steps, columns);
  return hints_of(columns);
}

TEST(ReduceToStatistics, FindsResetsFromSampleToSample) {
  const WindowGrid all{.first_end_ms = 20'000, .step_ms = 0, .range_ms = 20'000};
  EXPECT_EQ(hints_after("1232", all, 1), "unnr");
  EXPECT_EQ(hints_after("12f32", all, 1), "unnr");  // Floats between do not matter.
  EXPECT_EQ(hints_after("3ng1", all, 1), "ungn");   // Their counts are 0.
  EXPECT_EQ(hints_after("3s2", all, 1), "uur");     // Nor do stale markers.
}

TEST(ReduceToStatistics, KeepsCountAndSumOnly) {
  SampleColumns columns = columns_of("7");
  reduce_to_statistics({.first_end_ms = 1000, .step_ms = 0, .range_ms = 1000}, 1, columns);
  const FloatHistogram& histogram = *columns.histograms[0].histogram;
  EXPECT_EQ(histogram.count, 7);
  EXPECT_EQ(histogram.sum, 5);
  EXPECT_EQ(histogram.schema, 3);
  EXPECT_TRUE(histogram.positive_counts.empty());
  EXPECT_TRUE(histogram.positive_spans.empty());
}

TEST(ReduceToStatistics, OverlappingWindowsReadOn) {
  const WindowGrid grid{.first_end_ms = 2000, .step_ms = 1000, .range_ms = 2000};
  EXPECT_EQ(hints_after("123321", grid, 5), "unnnrr");
}

TEST(ReduceToStatistics, WindowsFarApartBeginAnew) {
  // (0, 2], then (4, 6]: 3 is leapt over; 4 is seen, though the window is open there.
  const WindowGrid grid{.first_end_ms = 2000, .step_ms = 4000, .range_ms = 2000};
  EXPECT_EQ(hints_after("123456", grid, 2), "unuunn");
  // (0, 2], then (3, 5].
  const WindowGrid closer{.first_end_ms = 2000, .step_ms = 3000, .range_ms = 2000};
  EXPECT_EQ(hints_after("12345", closer, 2), "ununn");
  // (0, 2], (2, 4]: what ends one window is where the next one reads on.
  const WindowGrid adjacent{.first_end_ms = 2000, .step_ms = 2000, .range_ms = 2000};
  EXPECT_EQ(hints_after("1234", adjacent, 2), "unnn");
}

TEST(ReduceToStatistics, GapsInTheSeriesDoNotMatter) {
  const WindowGrid grid{.first_end_ms = 2000, .step_ms = 1000, .range_ms = 2000};
  // No window lies wholly behind 2 before 3 is found.
  EXPECT_EQ(hints_after("12____34", grid, 7), "unnn");
}

}  // namespace
}  // namespace gantry::promql::eval
