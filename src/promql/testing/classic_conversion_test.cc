#include "promql/testing/classic_conversion.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::promql::promqltest {
namespace {

LoadedSeries series(std::string name, std::string le, std::vector<double> values) {
  LoadedSeries result;
  result.labels = telemetry::make_labels({{"__name__", std::move(name)}, {"le", std::move(le)}});
  for (std::size_t i = 0; i < values.size(); ++i) {
    result.samples.push_back({.timestamp_ms = static_cast<std::int64_t>(i), .value = values[i]});
  }
  return result;
}

TEST(ClassicConversion, MakesOneHistogramPerTimestamp) {
  const auto converted = convert_classic_histograms(
      {series("x_bucket", "1", {1, 2}), series("x_bucket", "+Inf", {4, 6}),
       series("x_bucket", "0.5", {0, 1}), series("x_sum", "", {7, 8}),
       series("unrelated", "", {1})});
  ASSERT_TRUE(converted.has_value());
  ASSERT_EQ(converted->size(), 1u);
  EXPECT_EQ(telemetry::format_series(converted->front().labels), "x");
  ASSERT_EQ(converted->front().samples.size(), 2u);
  const auto& histogram = *converted->front().samples[1].histogram;
  EXPECT_EQ(histogram.schema, telemetry::kCustomBucketsSchema);
  EXPECT_EQ(histogram.custom_values, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(histogram.positive_counts, (std::vector<double>{1, 1, 4}));
  EXPECT_EQ(histogram.count, 6);
  EXPECT_EQ(histogram.sum, 8);
}

TEST(ClassicConversion, AddsAMissingInfiniteBucket) {
  const auto converted =
      convert_classic_histograms({series("x_bucket", "1", {1}), series("x_count", "", {3})});
  ASSERT_TRUE(converted.has_value());
  const auto& histogram = *converted->front().samples[0].histogram;
  EXPECT_EQ(histogram.positive_counts, (std::vector<double>{1, 2}));
  EXPECT_EQ(histogram.count, 3);
}

TEST(ClassicConversion, RefusesWhatIsNotCumulative) {
  EXPECT_FALSE(
      convert_classic_histograms({series("x_bucket", "1", {2}), series("x_bucket", "+Inf", {1})})
          .has_value());
  EXPECT_FALSE(
      convert_classic_histograms({series("x_bucket", "+Inf", {2}), series("x_count", "", {1})})
          .has_value());
}

TEST(ClassicConversion, KeepsGroupsApart) {
  auto other = series("x_bucket", "+Inf", {5});
  other.labels.push_back({.name = "zone", .value = "b"});
  const auto converted = convert_classic_histograms({series("x_bucket", "+Inf", {1}), other});
  ASSERT_TRUE(converted.has_value());
  EXPECT_EQ(converted->size(), 2u);
}

}  // namespace
}  // namespace gantry::promql::promqltest
