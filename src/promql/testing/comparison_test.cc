#include "promql/testing/comparison.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "telemetry/sample.h"

namespace gantry::promql::promqltest {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Comparison, AllowsAMillionth) {
  EXPECT_TRUE(is_almost_equal(1, 1.000001));
  EXPECT_FALSE(is_almost_equal(1, 1.00001));
  EXPECT_TRUE(is_almost_equal(1e300, 1.000001e300));
  EXPECT_TRUE(is_almost_equal(-5, -5));
  EXPECT_FALSE(is_almost_equal(-5, 5));
}

TEST(Comparison, ZeroIsOnlyEqualToZero) {
  EXPECT_TRUE(is_almost_equal(0, -0.0));
  EXPECT_FALSE(is_almost_equal(0, 1e-12));
  EXPECT_FALSE(is_almost_equal(1e-300, 0));
}

TEST(Comparison, TellsStaleMarkersFromNan) {
  EXPECT_TRUE(is_almost_equal(kNan, -kNan));
  EXPECT_TRUE(is_almost_equal(telemetry::stale_nan(), telemetry::stale_nan()));
  EXPECT_FALSE(is_almost_equal(telemetry::stale_nan(), kNan));
  EXPECT_FALSE(is_almost_equal(kNan, 1));
}

TEST(Comparison, InfinitiesHaveASign) {
  EXPECT_TRUE(is_almost_equal(kInfinity, kInfinity));
  EXPECT_FALSE(is_almost_equal(kInfinity, -kInfinity));
  EXPECT_FALSE(is_almost_equal(kInfinity, std::numeric_limits<double>::max()));
}

telemetry::FloatHistogram histogram() {
  telemetry::FloatHistogram result;
  result.count = 3;
  result.sum = 5;
  result.positive_spans = {{.offset = 0, .length = 2}};
  result.positive_counts = {1, 2};
  return result;
}

TEST(Comparison, HistogramsMayBeSpelledDifferently) {
  auto spread = histogram();
  spread.positive_spans = {{.offset = -1, .length = 2}, {.offset = 0, .length = 2}};
  spread.positive_counts = {0, 1, 2, 0};
  EXPECT_TRUE(is_almost_equal(histogram(), spread, HintRule::Ignore));
}

TEST(Comparison, HistogramsDifferInEachField) {
  const auto differs = [](auto change) {
    auto changed = histogram();
    change(changed);
    return !is_almost_equal(histogram(), changed, HintRule::Ignore);
  };
  EXPECT_TRUE(differs([](auto& h) { h.schema = 1; }));
  EXPECT_TRUE(differs([](auto& h) { h.count = 4; }));
  EXPECT_TRUE(differs([](auto& h) { h.sum = 4; }));
  EXPECT_TRUE(differs([](auto& h) { h.zero_count = 4; }));
  EXPECT_TRUE(differs([](auto& h) { h.zero_threshold = 0.1; }));
  EXPECT_TRUE(differs([](auto& h) { h.positive_counts[1] = 3; }));
  EXPECT_TRUE(differs([](auto& h) { h.positive_spans[0].offset = 1; }));
  EXPECT_TRUE(differs([](auto& h) { h.custom_values = {1}; }));
  EXPECT_TRUE(differs([](auto& h) {
    h.negative_spans = h.positive_spans;
    h.negative_counts = h.positive_counts;
  }));
}

TEST(Comparison, TheHintCountsWhereItIsWritten) {
  auto gauge = histogram();
  gauge.hint = telemetry::CounterResetHint::Gauge;
  EXPECT_TRUE(is_almost_equal(histogram(), gauge, HintRule::Ignore));
  EXPECT_FALSE(is_almost_equal(histogram(), gauge, HintRule::Compare));
}

}  // namespace
}  // namespace gantry::promql::promqltest
