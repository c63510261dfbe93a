#include "traceql/eval/any_value.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traceql/testing/any_value_encoder.h"

namespace gantry::traceql {
namespace {

using testing::encode_array;
using testing::encode_scalar;

TEST(AnyValue, DecodesScalars) {
  EXPECT_EQ(decode_any_value(encode_scalar(Static::of_string("x"))), Static::of_string("x"));
  EXPECT_EQ(decode_any_value(encode_scalar(Static::of_bool(true))), Static::of_bool(true));
  EXPECT_EQ(decode_any_value(encode_scalar(Static::of_int(-5))), Static::of_int(-5));
  EXPECT_EQ(decode_any_value(encode_scalar(Static::of_float(0.25))), Static::of_float(0.25));
}

TEST(AnyValue, DecodesArraysOfOneType) {
  const Static array =
      decode_any_value(encode_array(std::vector{Static::of_int(1), Static::of_int(-2)}));
  EXPECT_EQ(array.type, StaticType::IntArray);
  ASSERT_EQ(array.elements.size(), 2U);
  EXPECT_EQ(array.elements[1], Static::of_int(-2));
  EXPECT_EQ(decode_any_value(encode_array(std::vector{Static::of_bool(false)})).type,
            StaticType::BoolArray);
  EXPECT_EQ(decode_any_value(encode_array({})).type, StaticType::StringArray);
}

TEST(AnyValue, WhatCannotBeAskedForIsNil) {
  EXPECT_EQ(decode_any_value("").type, StaticType::Nil);
  const auto mixed = encode_array(std::vector{Static::of_int(1), Static::of_string("x")});
  EXPECT_EQ(decode_any_value(mixed).type, StaticType::Nil);
  // An array in an array, a key-value list, bytes.
  EXPECT_EQ(decode_any_value(std::string("\x2A\x04\x0A\x02\x2A\x00", 6)).type, StaticType::Nil);
  EXPECT_EQ(decode_any_value(std::string("\x32\x00", 2)).type, StaticType::Nil);
  EXPECT_EQ(decode_any_value("\x3A\x01x").type, StaticType::Nil);
}

TEST(AnyValue, BrokenBytesAreNil) {
  EXPECT_EQ(decode_any_value("\x0A\x05xy").type, StaticType::Nil);
  EXPECT_EQ(decode_any_value("\x18").type, StaticType::Nil);
  EXPECT_EQ(decode_any_value("\x21\x01").type, StaticType::Nil);
  EXPECT_EQ(decode_any_value("\x0F").type, StaticType::Nil);
  EXPECT_EQ(decode_any_value("\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01").type,
            StaticType::Nil);
}

RC_GTEST_PROP(AnyValueProperty, ArraysOfIntegersComeBack, (std::vector<std::int64_t> numbers)) {
  std::vector<Static> elements;
  for (const std::int64_t number : numbers) elements.push_back(Static::of_int(number));
  RC_ASSERT(decode_any_value(encode_array(elements)).elements == elements);
}

RC_GTEST_PROP(AnyValueProperty, TakesAnyBytes, (std::string bytes)) {
  const Static value = decode_any_value(bytes);
  RC_ASSERT(value.elements.size() <= bytes.size());
}

}  // namespace
}  // namespace gantry::traceql
