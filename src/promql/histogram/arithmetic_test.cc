#include "promql/histogram/arithmetic.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/histogram/reference.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::BucketSpan;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using telemetry::format_histogram;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Buckets (1/2,1], (1,2], … from `offset` on.
FloatHistogram make(std::int32_t offset, std::vector<double> counts) {
  FloatHistogram h;
  for (const double count : counts) h.count += count;
  h.positive_spans = {{.offset = offset, .length = static_cast<std::uint32_t>(counts.size())}};
  h.positive_counts = std::move(counts);
  return h;
}

FloatHistogram make_custom(std::vector<double> bounds, std::vector<double> counts) {
  FloatHistogram h = make(0, std::move(counts));
  h.schema = telemetry::kCustomBucketsSchema;
  h.custom_values = std::move(bounds);
  return h;
}

FloatHistogram sum_of(FloatHistogram a, const FloatHistogram& b) {
  EXPECT_TRUE(add(a, b).is_possible);
  compact(a);
  return a;
}

TEST(HistogramArithmetic, AddsBucketByBucket) {
  EXPECT_EQ(format_histogram(sum_of(make(0, {1, 2}), make(0, {10, 20}))),
            "{count:33, sum:0, (0.5,1]:11, (1,2]:22}");
}

struct UnionCase {
  std::int32_t offset;
  const char* expected;
};

TEST(HistogramArithmetic, InsertsBucketsWhereverTheyAreMissing) {
  for (const auto& [offset, expected] : {
           UnionCase{-2, "{count:4, sum:0, (0.125,0.25]:1, (0.5,1]:1, (2,4]:2}"},
           UnionCase{-1, "{count:4, sum:0, (0.25,0.5]:1, (0.5,1]:1, (2,4]:2}"},
           UnionCase{0, "{count:4, sum:0, (0.5,1]:2, (2,4]:2}"},
           UnionCase{1, "{count:4, sum:0, (0.5,1]:1, (1,2]:1, (2,4]:2}"},
           UnionCase{2, "{count:4, sum:0, (0.5,1]:1, (2,4]:3}"},
           UnionCase{4, "{count:4, sum:0, (0.5,1]:1, (2,4]:2, (8,16]:1}"},
       }) {
    EXPECT_EQ(format_histogram(sum_of(make(0, {1, 0, 2}), make(offset, {1}))), expected);
    EXPECT_EQ(format_histogram(sum_of(make(offset, {1}), make(0, {1, 0, 2}))), expected);
  }
}

TEST(HistogramArithmetic, MeetsAtTheCoarserSchema) {
  FloatHistogram fine = make(1, {1, 2, 3, 4});  // (1,1.19], (1.19,1.41], (1.41,1.68], (1.68,2]
  fine.schema = 2;
  FloatHistogram coarse = make(1, {10, 20});
  coarse.schema = 0;
  const std::string expected = "{count:40, sum:0, (1,2]:20, (2,4]:20}";
  EXPECT_EQ(format_histogram(sum_of(fine, coarse)), expected);
  EXPECT_EQ(format_histogram(sum_of(coarse, fine)), expected);
}

TEST(HistogramArithmetic, WidensTheZeroBucketToTheEndOfWhatItCuts) {
  FloatHistogram narrow = make(0, {5, 7});  // (0.5,1], (1,2]
  narrow.zero_threshold = 0.001;
  narrow.zero_count = 1;
  FloatHistogram wide;
  wide.zero_threshold = 0.75;
  wide.zero_count = 2;
  wide.count = 2;
  const std::string expected = "{count:14, sum:0, [-1,1]:8, (1,2]:7}";
  EXPECT_EQ(format_histogram(sum_of(narrow, wide)), expected);
  EXPECT_EQ(format_histogram(sum_of(wide, narrow)), expected);
}

TEST(HistogramArithmetic, KeepsTheCommonCustomBounds) {
  FloatHistogram a = make_custom({1, 2, 5, 10}, {1, 2, 3, 4, 5});
  const FloatHistogram b = make_custom({2, 3, 10}, {10, 20, 30, 40});
  const Combination done = add(a, b);
  EXPECT_TRUE(done.is_possible);
  EXPECT_TRUE(done.has_reconciled_bounds);
  EXPECT_EQ(format_histogram(a), "{count:115, sum:0, [-Inf,2]:13, (2,10]:57, (10,+Inf]:45}");
}

TEST(HistogramArithmetic, CustomBoundsWithNothingInCommonLeaveOneBucket) {
  EXPECT_EQ(format_histogram(sum_of(make_custom({1}, {1, 2}), make_custom({2}, {4, 8}))),
            "{count:15, sum:0, [-Inf,+Inf]:15}");
}

TEST(HistogramArithmetic, ExponentialAndCustomBucketsDoNotMix) {
  FloatHistogram a = make(0, {1});
  const std::string before = format_histogram(a);
  EXPECT_FALSE(add(a, make_custom({1}, {1})).is_possible);
  EXPECT_FALSE(subtract(a, make_custom({1}, {1})).is_possible);
  EXPECT_EQ(format_histogram(a), before);
}

struct HintCase {
  CounterResetHint a, b, result;
  bool is_conflict;
};

TEST(HistogramArithmetic, HintsMeet) {
  using enum CounterResetHint;
  for (const HintCase& c :
       {HintCase{Unknown, Unknown, Unknown, false}, HintCase{Reset, Reset, Reset, false},
        HintCase{NotReset, NotReset, NotReset, false}, HintCase{Gauge, Gauge, Gauge, false},
        HintCase{Gauge, Reset, Gauge, false}, HintCase{Unknown, Gauge, Gauge, false},
        HintCase{Unknown, Reset, Unknown, false}, HintCase{Unknown, NotReset, Unknown, false},
        HintCase{Reset, NotReset, Unknown, true}}) {
    for (const bool is_swapped : {false, true}) {
      FloatHistogram a = make(0, {1});
      FloatHistogram b = a;
      a.hint = is_swapped ? c.b : c.a;
      b.hint = is_swapped ? c.a : c.b;
      const Combination done = add(a, b);
      EXPECT_EQ(a.hint, c.result);
      EXPECT_EQ(done.has_hint_conflict, c.is_conflict);
    }
  }
}

TEST(HistogramArithmetic, ScalesEverythingAndNegativeFactorsMakeGauges) {
  FloatHistogram h = make(0, {1, 2});
  h.sum = 5;
  h.zero_count = 4;
  h.zero_threshold = 0.001;
  multiply(h, -2);
  EXPECT_EQ(h.hint, CounterResetHint::Gauge);
  EXPECT_EQ(format_histogram(h), "{count:-6, sum:-10, [-0.001,0.001]:-8, (0.5,1]:-2, (1,2]:-4}");
  divide(h, -2);
  EXPECT_EQ(format_histogram(h), "{count:3, sum:5, [-0.001,0.001]:4, (0.5,1]:1, (1,2]:2}");
}

TEST(HistogramArithmetic, DivisionByZeroLeavesNoBuckets) {
  FloatHistogram h = make(0, {1, 2});
  h.sum = -5;
  divide(h, 0);
  EXPECT_EQ(h.count, kInfinity);
  EXPECT_EQ(h.sum, -kInfinity);
  EXPECT_TRUE(std::isnan(h.zero_count));
  EXPECT_TRUE(h.positive_spans.empty());
  EXPECT_TRUE(h.positive_counts.empty());
}

TEST(HistogramArithmetic, EqualityIsOfBucketsAndBits) {
  const FloatHistogram a = make(0, {1, 2});
  FloatHistogram b = a;
  b.hint = CounterResetHint::Gauge;
  b.positive_spans = {{.offset = -1}, {.offset = 1, .length = 1}, {.offset = 0, .length = 1}};
  EXPECT_TRUE(equals(a, b));
  b.positive_spans[2].offset = 1;
  EXPECT_FALSE(equals(a, b));
  b = a;
  b.sum = -0.0;
  EXPECT_FALSE(equals(a, b));
  b = a;
  b.positive_counts.push_back(0);
  ++b.positive_spans[0].length;
  EXPECT_FALSE(equals(a, b)) << "an empty bucket is part of the layout";
}

TEST(HistogramArithmetic, CompactDropsWhatIsEmpty) {
  FloatHistogram h;
  h.positive_spans = {{.offset = -3, .length = 2},
                      {.offset = 0, .length = 3},
                      {.offset = 2},
                      {.offset = 1, .length = 2}};
  h.positive_counts = {0, 1, 2, 0, 3, 0, 0};
  compact(h);
  EXPECT_EQ(h.positive_spans,
            (std::vector<BucketSpan>{{.offset = -2, .length = 2}, {.offset = 1, .length = 1}}));
  EXPECT_EQ(h.positive_counts, (std::vector<double>{1, 2, 3}));
}

RC_GTEST_PROP(HistogramArithmetic, SumsAndDifferencesAreThoseOfTheBuckets, ()) {
  const bool is_custom = *rc::gen::inRange(0, 3) == 0;
  const FloatHistogram a = is_custom ? random_custom() : random_exponential();
  const FloatHistogram b = is_custom ? random_custom() : random_exponential();
  FloatHistogram sum = a;
  RC_ASSERT(add(sum, b).is_possible);
  RC_ASSERT(Model(sum) == plain_sum(Model(a), Model(b), 1));
  FloatHistogram difference = a;
  RC_ASSERT(subtract(difference, b).is_possible);
  RC_ASSERT(Model(difference) == plain_sum(Model(a), Model(b), -1));
  FloatHistogram twice = a;
  RC_ASSERT(add(twice, twice).is_possible);
  RC_ASSERT(Model(twice) == plain_sum(Model(a), Model(a), 1));
}

RC_GTEST_PROP(HistogramArithmetic, ReducedBucketsHoldTheirParts, ()) {
  FloatHistogram h = random_exponential();
  Model expected(h);
  const std::int32_t schema = h.schema - *rc::gen::inRange(0, 4);
  expected.reduce(schema);
  reduce_resolution(h, schema);
  RC_ASSERT(Model(h) == expected);
}

RC_GTEST_PROP(HistogramArithmetic, CompactKeepsTheMeaning, ()) {
  FloatHistogram h = random_histogram();
  const Model expected(h);
  compact(h);
  RC_ASSERT(Model(h) == expected);
  for (const double count : h.positive_counts) RC_ASSERT(count != 0);
  for (std::size_t i = 0; i < h.positive_spans.size(); ++i) {
    RC_ASSERT(h.positive_spans[i].length > 0U);
    RC_ASSERT(i == 0 || h.positive_spans[i].offset > 0);
  }
}

}  // namespace
}  // namespace gantry::promql::histogram
