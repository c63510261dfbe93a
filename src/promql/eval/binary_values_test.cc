#include "promql/eval/binary_values.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::promql::eval {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

Element make_float(double value) {
  return {.value = value, .histogram = nullptr};
}

Element make_element(double count, CounterResetHint hint = CounterResetHint::Unknown) {
  FloatHistogram histogram;
  histogram.hint = hint;
  histogram.count = count;
  histogram.sum = 2 * count;
  histogram.positive_spans = {{.offset = 0, .length = 2}};
  histogram.positive_counts = {0, count};
  return {.value = 0, .histogram = std::make_shared<const FloatHistogram>(histogram)};
}

Element make_custom(double count, std::vector<double> bounds) {
  FloatHistogram histogram;
  histogram.schema = telemetry::kCustomBucketsSchema;
  histogram.count = count;
  histogram.positive_spans = {{.offset = 0, .length = 1}};
  histogram.positive_counts = {count};
  histogram.custom_values = std::move(bounds);
  return {.value = 0, .histogram = std::make_shared<const FloatHistogram>(histogram)};
}

/// Which of float-float, float-histogram, histogram-float, histogram-histogram have a result.
struct PairCase {
  BinaryOp op;
  bool both_floats, float_histogram, histogram_float, both_histograms;
};

class PairTest : public testing::TestWithParam<PairCase> {};

TEST_P(PairTest, IsRefusedWhereTheOperatorIsNotMadeForIt) {
  const PairCase& expected = GetParam();
  const Element number = make_float(2);
  const Element histogram = make_element(3);
  const auto check = [&](const Element& left, const Element& right, bool is_possible,
                         PairNote refusal) {
    EXPECT_EQ(find_refusal(expected.op, left, right), is_possible ? PairNote::None : refusal);
  };
  check(number, number, expected.both_floats, PairNote::FloatFloat);
  check(number, histogram, expected.float_histogram, PairNote::FloatHistogram);
  check(histogram, number, expected.histogram_float, PairNote::HistogramFloat);
  check(histogram, histogram, expected.both_histograms, PairNote::HistogramHistogram);
}

INSTANTIATE_TEST_SUITE_P(Operators, PairTest,
                         testing::Values(PairCase{BinaryOp::Add, true, false, false, true},
                                         PairCase{BinaryOp::Subtract, true, false, false, true},
                                         PairCase{BinaryOp::Multiply, true, true, true, false},
                                         PairCase{BinaryOp::Divide, true, false, true, false},
                                         PairCase{BinaryOp::Modulo, true, false, false, false},
                                         PairCase{BinaryOp::Power, true, false, false, false},
                                         PairCase{BinaryOp::Atan2, true, false, false, false},
                                         PairCase{BinaryOp::Equal, true, false, false, true},
                                         PairCase{BinaryOp::NotEqual, true, false, false, true},
                                         PairCase{BinaryOp::Less, true, false, false, false},
                                         PairCase{BinaryOp::LessOrEqual, true, false, false, false},
                                         PairCase{BinaryOp::Greater, true, false, false, false},
                                         PairCase{BinaryOp::GreaterOrEqual, true, false, false,
                                                  false},
                                         PairCase{BinaryOp::TrimUpper, false, false, true, false},
                                         PairCase{BinaryOp::TrimLower, false, false, true, false}));

TEST(BinaryValues, RefuseSumsThatMakeNoSense) {
  const Element reset = make_element(1, CounterResetHint::Reset);
  const Element not_reset = make_element(1, CounterResetHint::NotReset);
  const Element custom = make_custom(1, {1, 2});
  for (const BinaryOp op : {BinaryOp::Add, BinaryOp::Subtract}) {
    EXPECT_EQ(find_refusal(op, reset, not_reset), PairNote::HintConflict);
    EXPECT_EQ(find_refusal(op, not_reset, reset), PairNote::HintConflict);
    EXPECT_EQ(find_refusal(op, reset, make_element(1)), PairNote::None);
    EXPECT_EQ(find_refusal(op, custom, reset), PairNote::BucketLayouts);
    EXPECT_EQ(find_refusal(op, reset, custom), PairNote::BucketLayouts);
  }
}

TEST(BinaryValues, SumsAreCompactAndDifferencesAreGauges) {
  PairNote note = PairNote::None;
  const auto sum = combine_elements(BinaryOp::Add, false, make_element(1), make_element(2), note);
  ASSERT_TRUE(sum && sum->histogram);
  EXPECT_EQ(sum->histogram->count, 3);
  EXPECT_EQ(sum->histogram->sum, 6);
  EXPECT_EQ(sum->histogram->positive_counts, std::vector<double>{3});
  EXPECT_EQ(sum->histogram->positive_spans,
            (std::vector<telemetry::BucketSpan>{{.offset = 1, .length = 1}}));
  const auto difference =
      combine_elements(BinaryOp::Subtract, false, make_element(5, CounterResetHint::NotReset),
                       make_element(2, CounterResetHint::NotReset), note);
  ASSERT_TRUE(difference && difference->histogram);
  EXPECT_EQ(difference->histogram->count, 3);
  EXPECT_EQ(difference->histogram->hint, CounterResetHint::Gauge);
  EXPECT_EQ(note, PairNote::None);
  const auto reconciled =
      combine_elements(BinaryOp::Add, false, make_custom(1, {1, 2}), make_custom(1, {1, 3}), note);
  ASSERT_TRUE(reconciled && reconciled->histogram);
  EXPECT_EQ(reconciled->histogram->custom_values, std::vector<double>{1});
  EXPECT_EQ(note, PairNote::ReconciledBounds);
}

TEST(BinaryValues, ScalesFromEitherSide) {
  PairNote note = PairNote::None;
  const Element histogram = make_element(4);
  for (const auto& [left, right] :
       {std::pair(make_float(3), histogram), std::pair(histogram, make_float(3))}) {
    const auto product = combine_elements(BinaryOp::Multiply, false, left, right, note);
    ASSERT_TRUE(product && product->histogram);
    EXPECT_EQ(product->histogram->count, 12);
    EXPECT_EQ(product->histogram->positive_counts, std::vector<double>{12});
  }
  const auto quotient = combine_elements(BinaryOp::Divide, false, histogram, make_float(-2), note);
  ASSERT_TRUE(quotient && quotient->histogram);
  EXPECT_EQ(quotient->histogram->count, -2);
  EXPECT_EQ(quotient->histogram->hint, CounterResetHint::Gauge);
  EXPECT_EQ(histogram.histogram->count, 4) << "operands are shared";
}

TEST(BinaryValues, ComparisonsPassTheLeftElementOn) {
  PairNote note = PairNote::None;
  const Element left = make_element(4, CounterResetHint::Reset);
  const Element same = make_element(4, CounterResetHint::Gauge);
  const Element other = make_element(5);
  const auto kept = combine_elements(BinaryOp::Equal, false, left, same, note);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->histogram, left.histogram);
  EXPECT_FALSE(combine_elements(BinaryOp::Equal, false, left, other, note));
  EXPECT_FALSE(combine_elements(BinaryOp::NotEqual, false, left, same, note));
  EXPECT_EQ(combine_elements(BinaryOp::NotEqual, true, left, other, note)->value, 1);
  EXPECT_EQ(combine_elements(BinaryOp::NotEqual, true, left, same, note)->value, 0);
  EXPECT_EQ(combine_elements(BinaryOp::NotEqual, true, left, same, note)->histogram, nullptr);
  EXPECT_EQ(combine_elements(BinaryOp::Less, false, make_float(1), make_float(2), note)->value, 1);
  EXPECT_FALSE(combine_elements(BinaryOp::Less, false, make_float(2), make_float(1), note));
}

TEST(BinaryValues, NotesAreWordedOnceForAllSteps) {
  using enum PairNote;
  AnnotationSet annotations;
  annotate_steps(BinaryOp::Subtract,
                 std::vector{FloatHistogram, None, FloatHistogram, BucketLayouts, HintConflict,
                             ReconciledBounds},
                 annotations, {.start = 2, .end = 3});
  const Annotations found = annotations.finish("a - b");
  EXPECT_EQ(
      found.infos,
      (std::vector<std::string>{
          "PromQL info: incompatible sample types encountered for binary operator \"-\": "
          "float - histogram (1:3)",
          "PromQL info: mismatched custom buckets were reconciled during subtraction (1:3)"}));
  EXPECT_EQ(found.warnings,
            (std::vector<std::string>{
                "PromQL warning: incompatible bucket layout encountered for binary operator - "
                "(1:3)",
                "PromQL warning: conflicting counter resets during histogram subtraction (1:3)"}));
}

}  // namespace
}  // namespace gantry::promql::eval
