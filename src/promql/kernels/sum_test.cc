#include "promql/kernels/sum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/kernels/quantile.h"

namespace gantry::promql::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double sum_of(const std::vector<double>& values) {
  NeumaierSum sum;
  for (const double value : values) sum.add(value);
  return sum.result();
}

double mean_of(const std::vector<double>& values) {
  Mean mean;
  for (const double value : values) mean.add(value);
  return mean.result();
}

double quantile_of(double phi, std::vector<double> values) {
  return quantile(phi, values);
}

TEST(Sum, KeepsWhatPlainAdditionLoses) {
  EXPECT_EQ(sum_of({1, 1e100, 1, -1e100}), 2);
  EXPECT_EQ(sum_of({1e100, 1, -1e100, 1}), 2);
  EXPECT_EQ(sum_of(std::vector<double>(10, 0.1)), 1);
}

TEST(Sum, OverflowAndInfinitiesStayInfinite) {
  EXPECT_EQ(sum_of({1e308, 1e308, -1e308}), kInfinity);
  EXPECT_EQ(sum_of({1, kInfinity, 5}), kInfinity);
  EXPECT_EQ(sum_of({-kInfinity, 5}), -kInfinity);
  EXPECT_TRUE(std::isnan(sum_of({kInfinity, -kInfinity})));
  EXPECT_TRUE(std::isnan(sum_of({1, kNan, 2})));
}

TEST(Mean, IsFiniteWhereTheSumOverflows) {
  EXPECT_DOUBLE_EQ(mean_of({1e308, 1e308, -1e308}), 1e308 / 3);
  EXPECT_DOUBLE_EQ(mean_of({1.7e308, 1.7e308, 1.7e308, 1.7e308}), 1.7e308);
  EXPECT_EQ(mean_of({1, 1e100, 1, -1e100}), 0.5);
  EXPECT_EQ(mean_of({kInfinity, 1}), kInfinity);
  EXPECT_TRUE(std::isnan(mean_of({kInfinity, -kInfinity})));
  EXPECT_TRUE(std::isnan(mean_of({})));
}

TEST(Variance, IsPopulationVariance) {
  Variance variance;
  for (const double value : {2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0}) variance.add(value);
  EXPECT_EQ(variance.result(), 4);
}

TEST(Variance, IsNanAfterAFirstValueThatIsNotFinite) {
  for (const double first : {kInfinity, -kInfinity, kNan}) {
    Variance variance;
    variance.add(first);
    EXPECT_TRUE(std::isnan(variance.result())) << first;
    variance.add(1);
    EXPECT_TRUE(std::isnan(variance.result())) << first;
  }
}

TEST(Quantile, InterpolatesBetweenNeighbours) {
  EXPECT_EQ(quantile_of(0.5, {3, 1, 2}), 2);
  EXPECT_EQ(quantile_of(0.5, {4, 1, 2, 3}), 2.5);
  EXPECT_EQ(quantile_of(0, {3, 1, 2}), 1);
  EXPECT_EQ(quantile_of(1, {3, 1, 2}), 3);
  EXPECT_DOUBLE_EQ(quantile_of(0.8, {0, 10}), 8);
  EXPECT_EQ(quantile_of(0.3, {7}), 7);
}

TEST(Quantile, OutsideZeroToOneIsInfinite) {
  EXPECT_EQ(quantile_of(-0.1, {1}), -kInfinity);
  EXPECT_EQ(quantile_of(1.1, {1}), kInfinity);
  EXPECT_TRUE(std::isnan(quantile_of(kNan, {1})));
  EXPECT_TRUE(std::isnan(quantile_of(0.5, {})));
  EXPECT_TRUE(std::isnan(quantile_of(2, {})));
}

TEST(Quantile, NanIsTheSmallestValue) {
  EXPECT_EQ(quantile_of(1, {1, kNan, 2}), 2);
  EXPECT_EQ(quantile_of(0.5, {2, kNan, 1}), 1);
  EXPECT_TRUE(std::isnan(quantile_of(0, {2, kNan, 1})));
}

TEST(Quantile, NegativeZeroComesBeforeZero) {
  // Between -0 and 0 lies 0, so that it takes two to see the sign.
  for (const std::vector<double>& values :
       {std::vector<double>{0.0, -0.0, -0.0}, {-0.0, 0.0, -0.0}, {-0.0, -0.0, 0.0}}) {
    EXPECT_TRUE(std::signbit(quantile_of(0, values)));
    EXPECT_FALSE(std::signbit(quantile_of(1, values)));
  }
}

RC_GTEST_PROP(Quantile, EqualsASortedTwin, (std::vector<int> integers, unsigned percent)) {
  RC_PRE(!integers.empty());
  const double phi = (percent % 101) / 100.0;
  std::vector<double> values(integers.begin(), integers.end());
  std::vector<double> sorted = values;
  std::ranges::sort(sorted);
  const double rank = phi * (sorted.size() - 1);
  const auto lower = static_cast<std::size_t>(std::floor(rank));
  const std::size_t upper = std::min(sorted.size() - 1, lower + 1);
  const double weight = rank - std::floor(rank);
  RC_ASSERT(quantile(phi, values) == sorted[lower] * (1 - weight) + sorted[upper] * weight);
}

}  // namespace
}  // namespace gantry::promql::kernels
