#include "promql/kernels/classic_histogram.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::promql::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using Buckets = std::vector<ClassicBucket>;

const Buckets kPlain{{0.1, 10}, {0.5, 30}, {1, 40}, {kInfinity, 50}};

struct QuantileCase {
  std::string name;
  double phi;
  Buckets buckets;
  double expected;
};

class ClassicQuantileTest : public testing::TestWithParam<QuantileCase> {};

TEST_P(ClassicQuantileTest, Interpolates) {
  auto buckets = GetParam().buckets;
  const double value = classic_histogram_quantile(GetParam().phi, buckets).value;
  if (std::isnan(GetParam().expected)) {
    EXPECT_TRUE(std::isnan(value)) << value;
  } else {
    EXPECT_DOUBLE_EQ(value, GetParam().expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ClassicQuantileTest,
    testing::Values(
        QuantileCase{"first_bucket_from_zero", 0.1, kPlain, 0.05},
        QuantileCase{"middle", 0.4, kPlain, 0.3}, QuantileCase{"on_an_edge", 0.2, kPlain, 0.1},
        QuantileCase{"last_bucket_is_second_highest_bound", 0.9, kPlain, 1},
        QuantileCase{"zero", 0, kPlain, 0}, QuantileCase{"one", 1, kPlain, 1},
        QuantileCase{"below_zero", -0.1, kPlain, -kInfinity},
        QuantileCase{"above_one", 1.1, kPlain, kInfinity}, QuantileCase{"nan", kNan, kPlain, kNan},
        QuantileCase{"first_bound_not_positive", 0.1, {{-1, 10}, {kInfinity, 20}}, -1},
        QuantileCase{"unsorted", 0.4, {{kInfinity, 50}, {1, 40}, {0.1, 10}, {0.5, 30}}, 0.3},
        QuantileCase{"no_infinite_bucket", 0.5, {{0.1, 10}, {0.5, 30}}, kNan},
        QuantileCase{"only_infinite_bucket", 0.5, {{kInfinity, 30}}, kNan},
        QuantileCase{"no_observations", 0.5, {{1, 0}, {kInfinity, 0}}, kNan},
        QuantileCase{"equal_bounds_add_up", 0.5, {{1, 10}, {1, 10}, {2, 40}, {kInfinity, 40}}, 1},
        QuantileCase{"empty", 0.5, {}, kNan}),
    [](const auto& info) { return info.param.name; });

TEST(ClassicQuantile, RepairsDecreasingCountsAndSaysWhere) {
  Buckets buckets{{0.1, 2}, {1, 1}, {10, 5}, {100, 4}, {1000, 9}, {kInfinity, 8}};
  const auto quantile = classic_histogram_quantile(0.5, buckets);
  EXPECT_DOUBLE_EQ(quantile.value, 8.5);
  EXPECT_TRUE(quantile.fix.is_fixed);
  EXPECT_EQ(quantile.fix.first_bucket, 1);
  EXPECT_EQ(quantile.fix.last_bucket, kInfinity);
  EXPECT_EQ(quantile.fix.difference_max, 1);
}

TEST(ClassicQuantile, IgnoresFloatNoiseInSilence) {
  Buckets buckets{{1, 1.0000000000000002}, {2, 1}, {kInfinity, 1}};
  const auto quantile = classic_histogram_quantile(0.5, buckets);
  EXPECT_FALSE(quantile.fix.is_fixed);
  EXPECT_DOUBLE_EQ(quantile.value, 0.5);
}

struct FractionCase {
  std::string name;
  double lower;
  double upper;
  Buckets buckets;
  double expected;
};

class ClassicFractionTest : public testing::TestWithParam<FractionCase> {};

TEST_P(ClassicFractionTest, CountsBetween) {
  auto buckets = GetParam().buckets;
  const double value = classic_histogram_fraction(GetParam().lower, GetParam().upper, buckets);
  if (std::isnan(GetParam().expected)) {
    EXPECT_TRUE(std::isnan(value)) << value;
  } else {
    EXPECT_DOUBLE_EQ(value, GetParam().expected);
  }
}

const Buckets kNegative{{-1, 10}, {1, 30}, {kInfinity, 40}};

INSTANTIATE_TEST_SUITE_P(
    Cases, ClassicFractionTest,
    testing::Values(FractionCase{"everything", -kInfinity, kInfinity, kPlain, 1},
                    FractionCase{"first_bucket_begins_at_zero", 0, 0.05, kPlain, 0.1},
                    FractionCase{"below_zero_is_nothing", -5, 0, kPlain, 0},
                    FractionCase{"whole_buckets", 0.1, 1, kPlain, 0.6},
                    FractionCase{"inside_a_bucket", 0.2, 0.4, kPlain, 0.2},
                    FractionCase{"inside_the_last_bucket", 2, 3, kPlain, 0},
                    FractionCase{"up_to_infinity", 2, kInfinity, kPlain, 0.2},
                    FractionCase{"inside_an_open_first_bucket", -3, -1, kNegative, 0},
                    FractionCase{"from_minus_infinity", -kInfinity, -2, kNegative, 0.25},
                    FractionCase{"across_zero", -1, 0, kNegative, 0.25},
                    FractionCase{"equal_bounds", 1, 1, kPlain, 0},
                    FractionCase{"reversed", 2, 1, kPlain, 0},
                    FractionCase{"nan_bound", kNan, 1, kPlain, kNan},
                    FractionCase{"no_infinite_bucket", 0, 1, {{1, 10}}, kNan},
                    FractionCase{"no_observations", 0, 1, {{1, 0}, {kInfinity, 0}}, kNan}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace gantry::promql::kernels
