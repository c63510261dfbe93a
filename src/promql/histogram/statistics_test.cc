#include "promql/histogram/statistics.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/histogram/reference.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::FloatHistogram;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Eight observations in each of (1,2], (2,4].
FloatHistogram example() {
  return {.count = 16,
          .sum = 40,
          .positive_spans = {{.offset = 1, .length = 2}},
          .positive_counts = {8, 8}};
}

FloatHistogram custom(std::vector<double> bounds, std::vector<double> counts) {
  FloatHistogram h{
      .schema = telemetry::kCustomBucketsSchema,
      .positive_spans = {{.offset = 0, .length = static_cast<std::uint32_t>(counts.size())}},
      .positive_counts = counts,
      .custom_values = std::move(bounds)};
  for (const double count : counts) h.count += count;
  return h;
}

TEST(HistogramQuantile, InterpolatesLogarithmically) {
  EXPECT_DOUBLE_EQ(quantile(0.25, example()).value, std::exp2(0.5));
  EXPECT_DOUBLE_EQ(quantile(0.75, example()).value, std::exp2(1.5));
  EXPECT_EQ(quantile(0, example()).value, 1);
  EXPECT_EQ(quantile(1, example()).value, 4);
  FloatHistogram negative = example();
  std::swap(negative.positive_spans, negative.negative_spans);
  std::swap(negative.positive_counts, negative.negative_counts);
  EXPECT_DOUBLE_EQ(quantile(0.25, negative).value, -std::exp2(1.5));
}

TEST(HistogramQuantile, OutOfRangeAndEmpty) {
  EXPECT_EQ(quantile(-0.1, example()).value, -kInfinity);
  EXPECT_EQ(quantile(1.1, example()).value, kInfinity);
  EXPECT_TRUE(std::isnan(quantile(kNan, example()).value));
  EXPECT_TRUE(std::isnan(quantile(0.5, FloatHistogram()).value));
}

TEST(HistogramQuantile, TheZeroBucketIsLinearAndEndsAtZeroWhereOneSideIsMissing) {
  FloatHistogram h = example();
  h.zero_threshold = 1;
  h.zero_count = 16;
  h.count = 32;
  EXPECT_DOUBLE_EQ(quantile(0.25, h).value, 0.5);
  h.negative_spans = {{.offset = 1, .length = 1}};
  h.negative_counts = {0};
  EXPECT_DOUBLE_EQ(quantile(0.25, h).value, 0);
}

TEST(HistogramQuantile, CustomBucketsAreLinearAndInfiniteOnesEndAtTheirBound) {
  EXPECT_DOUBLE_EQ(quantile(0.5, custom({2, 4}, {1, 2, 1})).value, 3);
  EXPECT_DOUBLE_EQ(quantile(0.125, custom({2, 4}, {1, 2, 1})).value, 1);
  EXPECT_DOUBLE_EQ(quantile(0.9, custom({2, 4}, {1, 2, 1})).value, 4);
  EXPECT_DOUBLE_EQ(quantile(0.1, custom({-2, 4}, {1, 2, 1})).value, -2);
}

TEST(HistogramQuantile, ObservationsOfNanSitAboveAllBuckets) {
  FloatHistogram h = example();
  h.sum = kNan;
  EXPECT_EQ(quantile(0.75, h).nan_effect, NanEffect::None) << "both infinities make a NaN sum too";
  h.count = 32;
  const Quantile low = quantile(0.125, h);
  EXPECT_DOUBLE_EQ(low.value, std::exp2(0.5)) << "in its own bucket, whatever lies above";
  EXPECT_EQ(low.nan_effect, NanEffect::SkewedHigher);
  const Quantile high = quantile(0.75, h);
  EXPECT_TRUE(std::isnan(high.value));
  EXPECT_EQ(high.nan_effect, NanEffect::ResultIsNan);
}

TEST(HistogramFraction, InterpolatesAsTheQuantileDoes) {
  EXPECT_DOUBLE_EQ(fraction(std::exp2(0.5), std::exp2(1.5), example()).value, 0.5);
  EXPECT_DOUBLE_EQ(fraction(0, 2, example()).value, 0.5);
  EXPECT_DOUBLE_EQ(fraction(-kInfinity, 1, example()).value, 0);
  EXPECT_DOUBLE_EQ(fraction(3, 3, example()).value, 0);
  EXPECT_TRUE(std::isnan(fraction(kNan, 1, example()).value));
  EXPECT_TRUE(std::isnan(fraction(0, 1, FloatHistogram()).value));
  EXPECT_DOUBLE_EQ(fraction(3, kInfinity, custom({2, 4}, {1, 2, 1})).value, 0.5);
}

TEST(HistogramFraction, ObservationsOfNanBelongToNone) {
  FloatHistogram h = example();
  h.count = 32;
  h.sum = kNan;
  const Fraction all = fraction(-kInfinity, kInfinity, h);
  EXPECT_DOUBLE_EQ(all.value, 0.5);
  EXPECT_TRUE(all.excludes_nan);
}

TEST(HistogramVariance, TakesObservationsAtTheMiddleOfTheirBucket) {
  EXPECT_DOUBLE_EQ(variance(custom({2, 4, 6}, {0, 1, 1})), 1 + 16);  // Mean 0, at 3 and 5.
  FloatHistogram h = example();
  h.positive_counts = {16, 0};
  h.sum = 16 * std::sqrt(2.0);
  EXPECT_NEAR(variance(h), 0, 1e-12);
}

RC_GTEST_PROP(HistogramQuantile, GrowsWithPhiAndStaysWithinTheBuckets, ()) {
  FloatHistogram h = random_histogram();
  if (h.count == 0) return;
  // One bucket for everything says nothing: Prometheus interpolates up to infinity there.
  if (h.uses_custom_buckets() && h.custom_values.empty()) return;
  double low = h.uses_custom_buckets() ? -kInfinity : kInfinity;
  double high = -kInfinity;
  for (const telemetry::Bucket& bucket : telemetry::list_buckets(h)) {
    low = std::min(low, bucket.lower);
    high = std::max(high, bucket.upper);
  }
  double previous = -kInfinity;
  for (int i = 0; i <= 40; ++i) {
    const double value = quantile(i / 40.0, h).value;
    const double slack = 1e-9 * std::max(1.0, std::abs(value));
    RC_ASSERT(value >= previous - slack);
    RC_ASSERT(value >= low - slack && value <= high + slack);
    previous = value;
  }
}

RC_GTEST_PROP(HistogramFraction, EverythingIsOneAndPartsAddUp, ()) {
  const FloatHistogram h = random_histogram();
  if (h.count == 0) return;
  RC_ASSERT(fraction(-kInfinity, kInfinity, h).value == 1);
  const double bound = *rc::gen::inRange(-40, 40) / 4.0;
  const double below = fraction(-kInfinity, bound, h).value;
  RC_ASSERT(below >= 0 && below <= 1);
  RC_ASSERT(std::abs(below + fraction(bound, kInfinity, h).value - 1) < 1e-9);
}

}  // namespace
}  // namespace gantry::promql::histogram
