#include "traceql/metrics/log2_buckets.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::traceql::metrics {
namespace {

TEST(Log2Exponent, IsOfTheSmallestPowerAtOrAbove) {
  EXPECT_EQ(log2_exponent(-5), std::nullopt);
  EXPECT_EQ(log2_exponent(0), std::nullopt);
  EXPECT_EQ(log2_exponent(1), std::nullopt);
  EXPECT_EQ(log2_exponent(2), 1);
  EXPECT_EQ(log2_exponent(3), 2);
  EXPECT_EQ(log2_exponent(4), 2);
  EXPECT_EQ(log2_exponent(5), 3);
  EXPECT_EQ(log2_exponent(1e8), 27);
  EXPECT_EQ(log2_exponent(0x1p62), 62);
  EXPECT_EQ(log2_exponent(9.3e18), 63);
  EXPECT_EQ(log2_exponent(INFINITY), 63);
  EXPECT_EQ(log2_exponent(NAN), std::nullopt);
}

RC_GTEST_PROP(Log2Exponent, BoundsItsValues, ()) {
  const auto value = *rc::gen::inRange<std::int64_t>(2, std::int64_t{1} << 52);
  const auto exponent = log2_exponent(static_cast<double>(value));
  RC_ASSERT(exponent.has_value());
  RC_ASSERT(static_cast<double>(value) <= log2_bound(*exponent));
  RC_ASSERT(static_cast<double>(value) > log2_bound(*exponent) / 2);
}

TEST(Log2Quantile, OfNothingIsZero) {
  EXPECT_EQ(log2_quantile(0.5, {}), 0);
}

TEST(Log2Quantile, OfWholeBucketsIsTheirBound) {
  const std::vector<Log2Bucket> buckets = {{.exponent = 3, .count = 2},
                                           {.exponent = 5, .count = 2}};
  EXPECT_EQ(log2_quantile(0.5, buckets), 8);
  EXPECT_EQ(log2_quantile(1, buckets), 32);
}

TEST(Log2Quantile, InterpolatesExponentiallyBetweenBuckets) {
  // Of 256, 300 and 500 the second: half way, as exponents go, from 256 to 512.
  const std::vector<Log2Bucket> buckets = {{.exponent = 8, .count = 1},
                                           {.exponent = 9, .count = 2}};
  EXPECT_DOUBLE_EQ(log2_quantile(0.5, buckets), 362.0386719675123);
  // The first bucket begins at half its bound, whatever the quantile.
  const std::vector<Log2Bucket> first = {{.exponent = 25, .count = 2},
                                         {.exponent = 27, .count = 1}};
  EXPECT_DOUBLE_EQ(log2_quantile(0, first), 23726566.406062893);
}

TEST(Log2Quantile, BeginsWhereTheBucketBeforeItEnds) {
  const std::vector<Log2Bucket> buckets = {{.exponent = 2, .count = 1},
                                           {.exponent = 10, .count = 4}};
  EXPECT_DOUBLE_EQ(log2_quantile(0.6, buckets), std::exp2(2 + (8 * 0.5)));
}

RC_GTEST_PROP(Log2Quantile, GrowsWithTheQuantile, ()) {
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(1, 4), rc::gen::inRange(1, 9)));
  std::vector<Log2Bucket> buckets;
  unsigned exponent = 0;
  for (const auto& [step, count] : steps) {
    exponent += static_cast<unsigned>(step);
    if (exponent > kLog2ExponentMax) break;
    buckets.push_back({.exponent = static_cast<std::uint8_t>(exponent),
                       .count = static_cast<std::uint64_t>(count)});
  }
  RC_PRE(!buckets.empty());
  double before = 0;
  for (double p = 0; p <= 1; p += 0.125) {
    const double estimate = log2_quantile(p, buckets);
    RC_ASSERT(estimate >= before);
    RC_ASSERT(estimate <= log2_bound(buckets.back().exponent));
    before = estimate;
  }
}

}  // namespace
}  // namespace gantry::traceql::metrics
