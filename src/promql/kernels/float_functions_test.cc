#include "promql/kernels/float_functions.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::promql::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double apply(FunctionId id, double value) {
  std::vector<double> values{value};
  const ElementKernel kernel = find_element_kernel(id);
  if (kernel == nullptr) return -12345;
  kernel(values);
  return values[0];
}

struct ElementCase {
  std::string name;
  FunctionId id;
  double input;
  double expected;
};

class ElementTest : public testing::TestWithParam<ElementCase> {};

TEST_P(ElementTest, Computes) {
  const double value = apply(GetParam().id, GetParam().input);
  if (std::isnan(GetParam().expected)) {
    EXPECT_TRUE(std::isnan(value)) << value;
  } else {
    EXPECT_DOUBLE_EQ(value, GetParam().expected);
    EXPECT_EQ(std::signbit(value), std::signbit(GetParam().expected));
  }
}

// 2024-02-29 was a Thursday; 1709164799 is 2024-02-28T23:59:59Z.
INSTANTIATE_TEST_SUITE_P(
    Cases, ElementTest,
    testing::Values(
        ElementCase{"abs", FunctionId::Abs, -2, 2}, ElementCase{"ceil", FunctionId::Ceil, 1.2, 2},
        ElementCase{"floor", FunctionId::Floor, -1.2, -2},
        ElementCase{"exp", FunctionId::Exp, 0, 1}, ElementCase{"sqrt", FunctionId::Sqrt, 9, 3},
        ElementCase{"ln_of_zero", FunctionId::Ln, 0, -kInfinity},
        ElementCase{"ln_of_negative", FunctionId::Ln, -1, kNan},
        ElementCase{"log2", FunctionId::Log2, 8, 3},
        ElementCase{"log10", FunctionId::Log10, 1000, 3},
        ElementCase{"sgn", FunctionId::Sgn, -7, -1}, ElementCase{"sgn_zero", FunctionId::Sgn, 0, 0},
        ElementCase{"sgn_negative_zero", FunctionId::Sgn, -0.0, -0.0},
        ElementCase{"sgn_nan", FunctionId::Sgn, kNan, kNan},
        ElementCase{"deg", FunctionId::Deg, M_PI, 180},
        ElementCase{"rad", FunctionId::Rad, 180, M_PI},
        ElementCase{"sin", FunctionId::Sin, M_PI / 2, 1},
        ElementCase{"cos", FunctionId::Cos, M_PI, -1},
        ElementCase{"tan", FunctionId::Tan, 0.5, std::tan(0.5)},
        ElementCase{"asin", FunctionId::Asin, 1, M_PI / 2},
        ElementCase{"acos", FunctionId::Acos, 1, 0},
        ElementCase{"atan", FunctionId::Atan, 1, M_PI / 4},
        ElementCase{"sinh", FunctionId::Sinh, 1, std::sinh(1)},
        ElementCase{"cosh", FunctionId::Cosh, 1, std::cosh(1)},
        ElementCase{"tanh", FunctionId::Tanh, 1, std::tanh(1)},
        ElementCase{"asinh", FunctionId::Asinh, 1, std::asinh(1)},
        ElementCase{"acosh", FunctionId::Acosh, 2, std::acosh(2)},
        ElementCase{"atanh", FunctionId::Atanh, 0.5, std::atanh(0.5)},
        ElementCase{"minute", FunctionId::Minute, 1709164799, 59},
        ElementCase{"hour", FunctionId::Hour, 1709164799, 23},
        ElementCase{"day_of_month", FunctionId::DayOfMonth, 1709164800, 29},
        ElementCase{"month", FunctionId::Month, 1709164800, 2},
        ElementCase{"year", FunctionId::Year, 1709164800, 2024},
        ElementCase{"day_of_week", FunctionId::DayOfWeek, 1709164800, 4},
        ElementCase{"day_of_year", FunctionId::DayOfYear, 1709164800, 60},
        ElementCase{"days_in_leap_february", FunctionId::DaysInMonth, 1709164800, 29},
        ElementCase{"days_in_1900_february", FunctionId::DaysInMonth, -2206310400, 28},
        ElementCase{"sunday", FunctionId::DayOfWeek, 3 * 86400, 0},
        ElementCase{"before_the_epoch_year", FunctionId::Year, -1, 1969},
        ElementCase{"before_the_epoch_hour", FunctionId::Hour, -1, 23},
        ElementCase{"fraction_is_cut_toward_zero", FunctionId::Year, -0.5, 1970},
        ElementCase{"no_time", FunctionId::Year, kNan, kNan},
        ElementCase{"endless", FunctionId::Hour, kInfinity, kNan}),
    [](const auto& info) { return info.param.name; });

TEST(ElementKernel, IsNullForOtherFunctions) {
  EXPECT_EQ(find_element_kernel(FunctionId::Rate), nullptr);
  EXPECT_EQ(find_element_kernel(FunctionId::Round), nullptr);
}

RC_GTEST_PROP(Calendar, AgreesWithChrono, ()) {
  const std::int64_t seconds = *rc::gen::inRange<std::int64_t>(-100'000'000'000, 200'000'000'000);
  const std::chrono::sys_days day = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_seconds(std::chrono::seconds(seconds)));
  const std::chrono::year_month_day date(day);
  const auto value = static_cast<double>(seconds);
  RC_ASSERT(apply(FunctionId::Year, value) == static_cast<int>(date.year()));
  RC_ASSERT(apply(FunctionId::Month, value) == static_cast<unsigned>(date.month()));
  RC_ASSERT(apply(FunctionId::DayOfMonth, value) == static_cast<unsigned>(date.day()));
  RC_ASSERT(apply(FunctionId::DayOfWeek, value) == std::chrono::weekday(day).c_encoding());
  const auto new_year = std::chrono::sys_days(date.year() / 1 / 1);
  RC_ASSERT(apply(FunctionId::DayOfYear, value) == (day - new_year).count() + 1);
  const auto last = (date.year() / date.month() / std::chrono::last).day();
  RC_ASSERT(apply(FunctionId::DaysInMonth, value) == static_cast<unsigned>(last));
}

TEST(Round, TiesGoUp) {
  EXPECT_EQ(round_to(2.5, 1), 3);
  EXPECT_EQ(round_to(-2.5, 1), -2);
  EXPECT_EQ(round_to(2.3, 0.5), 2.5);
  EXPECT_EQ(round_to(12, 5), 10);
  EXPECT_EQ(round_to(-0.3, 1), 0);
}

TEST(Clamp, NanBoundsGiveNan) {
  EXPECT_EQ(clamp(5, 0, 3), 3);
  EXPECT_EQ(clamp(-5, 0, 3), 0);
  EXPECT_EQ(clamp(2, 0, 3), 2);
  EXPECT_TRUE(std::isnan(clamp(2, kNan, 3)));
  EXPECT_TRUE(std::isnan(clamp(2, 0, kNan)));
  EXPECT_TRUE(std::isnan(clamp(kNan, 0, 3)));
  EXPECT_TRUE(std::isnan(clamp_min(1, kNan)));
  EXPECT_TRUE(std::isnan(clamp_max(1, kNan)));
  EXPECT_EQ(clamp_min(1, 2), 2);
  EXPECT_EQ(clamp_max(3, 2), 2);
}

TEST(MaxOf, NanWins) {
  EXPECT_EQ(max_of(1, 2), 2);
  EXPECT_EQ(min_of(1, 2), 1);
  EXPECT_TRUE(std::isnan(max_of(kNan, kInfinity)));
  EXPECT_TRUE(std::isnan(min_of(-kInfinity, kNan)));
}

struct OrderCase {
  std::string_view smaller;
  std::string_view larger;
};

class NaturalOrderTest : public testing::TestWithParam<OrderCase> {};

TEST_P(NaturalOrderTest, Orders) {
  EXPECT_LT(compare_natural(GetParam().smaller, GetParam().larger), 0);
  EXPECT_GT(compare_natural(GetParam().larger, GetParam().smaller), 0);
  EXPECT_EQ(compare_natural(GetParam().larger, GetParam().larger), 0);
}

INSTANTIATE_TEST_SUITE_P(Cases, NaturalOrderTest,
                         testing::Values(OrderCase{"2", "10"}, OrderCase{"cpu2", "cpu10"},
                                         OrderCase{"a", "b"}, OrderCase{"", "a"},
                                         OrderCase{"a", "a1"}, OrderCase{"1.9", "1.10"},
                                         OrderCase{"a09b", "a10a"},
                                         // Beyond 64 bits.
                                         OrderCase{"99999999999999999999", "100000000000000000000"},
                                         OrderCase{"node-1", "node-a"}));

TEST(NaturalOrder, LeadingZerosDoNotCount) {
  EXPECT_EQ(compare_natural("a01", "a1"), 0);
  EXPECT_EQ(compare_natural("0", "000"), 0);
}

}  // namespace
}  // namespace gantry::promql::kernels
