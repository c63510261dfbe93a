#include <cmath>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/histogram/arithmetic.h"
#include "promql/histogram/reference.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::FloatHistogram;
using telemetry::format_histogram;

std::string trimmed(FloatHistogram histogram, double bound, TrimSide side) {
  trim(histogram, bound, side);
  return format_histogram(histogram);
}

FloatHistogram example() {
  return {.zero_threshold = 0.5,
          .zero_count = 4,
          .count = 16,
          .sum = 100,
          .positive_spans = {{.offset = 1, .length = 2}},  // (1,2], (2,4]
          .negative_spans = {{.offset = 1, .length = 1}},  // [-2,-1)
          .positive_counts = {2, 8},
          .negative_counts = {2}};
}

TEST(HistogramTrim, NothingToCutChangesNothing) {
  const std::string whole = format_histogram(example());
  EXPECT_EQ(trimmed(example(), 4, TrimSide::KeepBelow), whole);
  EXPECT_EQ(trimmed(example(), -2, TrimSide::KeepAbove), whole);
}

TEST(HistogramTrim, SplitsExponentialBucketsOnALogarithmicScale) {
  // 2·√2 is the middle of (2,4]. Sum: 2·√2 + 4·2^1.25 - 2·√2 + 0.
  FloatHistogram h = example();
  trim(h, std::exp2(1.5), TrimSide::KeepBelow);
  EXPECT_DOUBLE_EQ(h.count, 12);
  EXPECT_DOUBLE_EQ(h.positive_counts[1], 4);
  EXPECT_DOUBLE_EQ(h.sum, 4 * std::exp2(1.25));
}

TEST(HistogramTrim, SplitsTheZeroBucketEvenly) {
  EXPECT_EQ(trimmed(example(), 0.25, TrimSide::KeepBelow),
            "{count:5, sum:-3.2034271247461903, [-2,-1):2, [-0.5,0.5]:3}");
  FloatHistogram positive = example();
  positive.negative_spans.clear();
  positive.negative_counts.clear();
  positive.positive_counts = {2, 0};
  // Without negative observations the zero bucket is [0, 0.5].
  trim(positive, 0.125, TrimSide::KeepAbove);
  EXPECT_DOUBLE_EQ(positive.zero_count, 3);
}

struct CustomCase {
  double bound;
  const char* below;
  const char* above;
};

TEST(HistogramTrim, InfiniteCustomBucketsStayOrGoAsAWhole) {
  const FloatHistogram h{.schema = telemetry::kCustomBucketsSchema,
                         .count = 6,
                         .positive_spans = {{.offset = 0, .length = 3}},
                         .positive_counts = {2, 2, 2},
                         .custom_values = {5, 10}};
  for (const auto& [bound, below, above] : {
           CustomCase{-1, "{count:0, sum:0}", "{count:4, sum:35, (5,10]:2, (10,+Inf]:2}"},
           CustomCase{2.5, "{count:1, sum:1.25, [-Inf,5]:1}",
                      "{count:5, sum:38.75, [-Inf,5]:1, (5,10]:2, (10,+Inf]:2}"},
           CustomCase{7.5, "{count:3, sum:11.25, [-Inf,5]:2, (5,10]:1}",
                      "{count:3, sum:28.75, (5,10]:1, (10,+Inf]:2}"},
           CustomCase{20, "{count:4, sum:20, [-Inf,5]:2, (5,10]:2}",
                      "{count:2, sum:40, (10,+Inf]:2}"},
       }) {
    EXPECT_EQ(trimmed(h, bound, TrimSide::KeepBelow), below) << bound;
    EXPECT_EQ(trimmed(h, bound, TrimSide::KeepAbove), above) << bound;
  }
}

RC_GTEST_PROP(HistogramTrim, BelowAndAboveMakeTheWhole, ()) {
  const FloatHistogram whole = random_histogram();
  // Of a lowest custom bucket that ends above 0, nothing is known below 0.
  RC_PRE(!whole.uses_custom_buckets() || !whole.custom_values.empty());
  const int first = whole.uses_custom_buckets() ? 0 : -40;
  const double bound = *rc::gen::inRange(first, 40) / 4.0;
  FloatHistogram below = whole;
  FloatHistogram above = whole;
  trim(below, bound, TrimSide::KeepBelow);
  trim(above, bound, TrimSide::KeepAbove);
  RC_ASSERT(below.count <= whole.count && above.count <= whole.count);
  RC_ASSERT(std::abs(below.count + above.count - whole.count) < 1e-9);
  Model sum(below);
  for (const auto& [index, count] : Model(above).positive) sum.positive[index] += count;
  for (const auto& [index, count] : Model(above).negative) sum.negative[index] += count;
  const Model expected(whole);
  RC_ASSERT(sum.positive.size() == expected.positive.size());
  for (const auto& [index, count] : expected.positive) {
    RC_ASSERT(std::abs(sum.positive.at(index) - count) < 1e-9);
  }
  RC_ASSERT(sum.negative.size() == expected.negative.size());
  for (const auto& [index, count] : expected.negative) {
    RC_ASSERT(std::abs(sum.negative.at(index) - count) < 1e-9);
  }
}

}  // namespace
}  // namespace gantry::promql::histogram
