#include "traceql/static_value.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace gantry::traceql {
namespace {

TEST(StaticValue, DurationsReadAsGoPrintsThem) {
  EXPECT_EQ(format_go_duration(0), "0s");
  EXPECT_EQ(format_go_duration(1), "1ns");
  EXPECT_EQ(format_go_duration(1'100), "1.1µs");
  EXPECT_EQ(format_go_duration(2'200'000), "2.2ms");
  EXPECT_EQ(format_go_duration(3'300'000'000), "3.3s");
  EXPECT_EQ(format_go_duration(245'000'000'000), "4m5s");
  EXPECT_EQ(format_go_duration(245'001'000'000), "4m5.001s");
  EXPECT_EQ(format_go_duration(18'367'001'000'000), "5h6m7.001s");
  EXPECT_EQ(format_go_duration(480'000'000'001), "8m0.000000001s");
  EXPECT_EQ(format_go_duration(-5'400'000'000'000), "-1h30m0s");
  EXPECT_EQ(format_go_duration(std::numeric_limits<std::int64_t>::min()),
            "-2562047h47m16.854775808s");
}

TEST(StaticValue, FloatsKeepADecimalPointOrAnExponent) {
  EXPECT_EQ(format_static(Static::of_float(1000)), "1000.0");
  EXPECT_EQ(format_static(Static::of_float(0.1)), "0.1");
  EXPECT_EQ(format_static(Static::of_float(2e18)), "2e+18");
  EXPECT_EQ(format_static(Static::of_float(1e-5)), "1e-05");
  EXPECT_EQ(format_static(Static::of_float(123456.5)), "123456.5");
  EXPECT_EQ(format_static(Static::of_float(-0.0)), "-0.0");
  EXPECT_EQ(format_static(Static::of_float(INFINITY)), "+Inf");
  EXPECT_EQ(format_static(Static::of_float(NAN)), "NaN");
}

TEST(StaticValue, StringsAreQuotedSoThatTheyRead) {
  EXPECT_EQ(format_static(Static::of_string("a \"b\" \\d")), "`a \"b\" \\d`");
  EXPECT_EQ(format_static(Static::of_string("tick ` and \\ and \"")), R"("tick ` and \\ and \"")");
  EXPECT_EQ(format_static(Static::of_string(std::string("\0`", 2))), R"("\x00`")");
  EXPECT_EQ(format_static(Static::of_string("\xFF")), R"("\xff")");
}

TEST(StaticValue, WordsAndArrays) {
  EXPECT_EQ(format_static(Static::nil()), "nil");
  EXPECT_EQ(format_static(Static::of_status(2)), "error");
  EXPECT_EQ(format_static(Static::of_kind(5)), "consumer");
  EXPECT_EQ(format_static(Static::of_kind(200)), "unspecified");
  Static array;
  array.type = StaticType::StringArray;
  array.elements = {Static::of_string("a"), Static::of_string("b")};
  EXPECT_EQ(format_static(array), "[`a`, `b`]");
  EXPECT_EQ(static_type_text(StaticType::Nil), "TypeNil");
  EXPECT_EQ(static_type_text(StaticType::StringArray), "TypeStringArray");
}

TEST(StaticValue, EqualityIsOfTypeAndValue) {
  EXPECT_NE(Static::of_int(1), Static::of_float(1));
  EXPECT_NE(Static::of_int(1), Static::of_duration(1));
  EXPECT_EQ(Static::of_float(NAN), Static::of_float(NAN));
  EXPECT_NE(Static::of_string("a"), Static::of_string("b"));
  EXPECT_EQ(Static::nil(), Static::nil());
}

}  // namespace
}  // namespace gantry::traceql
