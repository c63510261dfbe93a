#include "traceql/eval/static_operations.h"

#include <limits>

#include <gtest/gtest.h>

namespace gantry::traceql {
namespace {

constexpr std::int64_t kIntMin = std::numeric_limits<std::int64_t>::min();

std::string outcome(FieldOp op, const Static& left, const Static& right) {
  const TextPattern pattern(right.text);
  const auto value = apply(op, left, right, &pattern);
  return value ? format_static(*value) : "error";
}

Static integer(std::int64_t value) {
  return Static::of_int(value);
}

Static text(std::string value) {
  return Static::of_string(std::move(value));
}

Static ints(std::vector<std::int64_t> values) {
  Static array;
  array.type = StaticType::IntArray;
  for (const std::int64_t value : values) array.elements.push_back(integer(value));
  return array;
}

TEST(StaticOperations, IntegersTruncateAndWrap) {
  EXPECT_EQ(outcome(FieldOp::Divide, integer(-7), integer(2)), "-3");
  EXPECT_EQ(outcome(FieldOp::Modulo, integer(-7), integer(2)), "-1");
  EXPECT_EQ(outcome(FieldOp::Divide, integer(kIntMin), integer(-1)), std::to_string(kIntMin));
  EXPECT_EQ(outcome(FieldOp::Modulo, integer(kIntMin), integer(-1)), "0");
  EXPECT_EQ(outcome(FieldOp::Subtract, integer(kIntMin), integer(1)),
            std::to_string(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(outcome(FieldOp::Divide, integer(1), integer(0)), "error");
  EXPECT_EQ(outcome(FieldOp::Modulo, integer(1), integer(0)), "error");
}

TEST(StaticOperations, PowerOfIntegersIsAnInteger) {
  EXPECT_EQ(outcome(FieldOp::Power, integer(3), integer(2)), "9");
  EXPECT_EQ(outcome(FieldOp::Power, integer(2), integer(3)), "8");
  EXPECT_EQ(outcome(FieldOp::Power, integer(5), integer(0)), "1");
  EXPECT_EQ(outcome(FieldOp::Power, integer(2), integer(-1)), "0");
  EXPECT_EQ(outcome(FieldOp::Power, integer(-1), integer(-3)), "-1");
  EXPECT_EQ(outcome(FieldOp::Power, integer(0), integer(-1)), "error");
  EXPECT_EQ(outcome(FieldOp::Power, Static::of_float(2), integer(-1)), "0.5");
}

TEST(StaticOperations, NumbersOfSeveralTypesCompareAsFloats) {
  EXPECT_EQ(outcome(FieldOp::Equal, integer(3), Static::of_float(3)), "true");
  EXPECT_EQ(outcome(FieldOp::Greater, Static::of_duration(2), Static::of_float(1.5)), "true");
  EXPECT_EQ(outcome(FieldOp::Divide, Static::of_float(1), integer(0)), "+Inf");
  // Beyond 2^53 integers stay exact.
  EXPECT_EQ(outcome(FieldOp::Equal, integer(9007199254740993), integer(9007199254740992)), "false");
}

TEST(StaticOperations, MismatchAndNilAreFalseForEveryOperator) {
  for (const FieldOp op : {FieldOp::Equal, FieldOp::NotEqual, FieldOp::Less, FieldOp::Add}) {
    EXPECT_EQ(outcome(op, integer(1), text("1")), "false");
    EXPECT_EQ(outcome(op, Static::nil(), integer(1)), "false");
    EXPECT_EQ(outcome(op, Static::of_status(1), integer(1)), "false");
    EXPECT_EQ(outcome(op, Static::of_status(1), Static::of_kind(1)), "false");
  }
  EXPECT_EQ(outcome(FieldOp::Less, Static::of_bool(false), Static::of_bool(true)), "false");
  EXPECT_EQ(outcome(FieldOp::Greater, Static::of_kind(3), Static::of_kind(2)), "false");
  EXPECT_EQ(outcome(FieldOp::Add, text("a"), text("b")), "false");
}

TEST(StaticOperations, PatternsMatchWholeTextsAndNewlines) {
  EXPECT_EQ(outcome(FieldOp::Regex, text("GET /"), text("GET")), "false");
  EXPECT_EQ(outcome(FieldOp::Regex, text("a\nb"), text("a.b")), "true");
  EXPECT_EQ(outcome(FieldOp::Regex, text("b"), text("a|b")), "true");
  EXPECT_EQ(outcome(FieldOp::NotRegex, text("c"), text("a|b")), "true");
  EXPECT_EQ(outcome(FieldOp::Regex, text("x"), text("(")), "false");
}

TEST(StaticOperations, ArraysMatchByAnyElementAndDifferByAll) {
  EXPECT_EQ(outcome(FieldOp::Equal, ints({1, 2}), integer(2)), "true");
  EXPECT_EQ(outcome(FieldOp::NotEqual, ints({1, 2}), integer(2)), "false");
  EXPECT_EQ(outcome(FieldOp::NotEqual, ints({1, 2}), integer(3)), "true");
  EXPECT_EQ(outcome(FieldOp::Greater, integer(2), ints({1, 5})), "true");
  EXPECT_EQ(outcome(FieldOp::Greater, integer(1), ints({1, 5})), "false");
  EXPECT_EQ(outcome(FieldOp::Less, ints({3}), Static::of_float(3.5)), "true");
  EXPECT_EQ(outcome(FieldOp::NotEqual, ints({1}), text("x")), "false");
  EXPECT_EQ(outcome(FieldOp::NotEqual, ints({}), text("x")), "true");
  EXPECT_EQ(outcome(FieldOp::Equal, ints({}), integer(1)), "false");
  EXPECT_EQ(outcome(FieldOp::Add, ints({1}), integer(1)), "error");
  EXPECT_EQ(outcome(FieldOp::Equal, ints({1}), ints({1})), "error");
}

TEST(StaticOperations, NegatesNumbersOnly) {
  EXPECT_EQ(negate(integer(5)), integer(-5));
  EXPECT_EQ(negate(Static::of_duration(5)), Static::of_duration(-5));
  EXPECT_EQ(negate(Static::of_float(0.5)), Static::of_float(-0.5));
  EXPECT_EQ(negate(text("x")), std::nullopt);
  EXPECT_EQ(negate(Static::nil()), std::nullopt);
}

}  // namespace
}  // namespace gantry::traceql
