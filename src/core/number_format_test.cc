#include "core/number_format.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::core {
namespace {

struct FloatCase {
  double value;
  std::string plain;
  std::string api;
  std::string general;
};

class FloatFormat : public testing::TestWithParam<FloatCase> {};

TEST_P(FloatFormat, PrintsAsPrometheus) {
  const FloatCase& c = GetParam();
  std::string plain;
  append_float_plain(plain, c.value);
  std::string api;
  append_float_api(api, c.value);
  std::string general;
  append_float_general(general, c.value);
  EXPECT_EQ(plain, c.plain);
  EXPECT_EQ(api, c.api);
  EXPECT_EQ(general, c.general);
}

constexpr double kInf = std::numeric_limits<double>::infinity();

INSTANTIATE_TEST_SUITE_P(
    Values, FloatFormat,
    testing::Values(FloatCase{0, "0", "0", "0"}, FloatCase{-0.0, "-0", "-0", "-0"},
                    FloatCase{1, "1", "1", "1"}, FloatCase{35.2, "35.2", "35.2", "35.2"},
                    FloatCase{-1.5, "-1.5", "-1.5", "-1.5"},
                    FloatCase{1e-7, "0.0000001", "1e-07", "1e-07"},
                    FloatCase{0.00001, "0.00001", "0.00001", "1e-05"},
                    FloatCase{1e20, "100000000000000000000", "100000000000000000000", "1e+20"},
                    FloatCase{123400, "123400", "123400", "123400"},
                    FloatCase{1e6, "1000000", "1000000", "1e+06"},
                    FloatCase{2349209.324, "2349209.324", "2349209.324", "2.349209324e+06"},
                    FloatCase{1e21, "1000000000000000000000", "1e+21", "1e+21"},
                    FloatCase{1.5e300, "15" + std::string(299, '0'), "1.5e+300", "1.5e+300"},
                    FloatCase{1234567890123456.7, "1234567890123456.8", "1234567890123456.8",
                              "1.2345678901234568e+15"},
                    FloatCase{123456789012345680000.0, "123456789012345680000",
                              "123456789012345680000", "1.2345678901234568e+20"},
                    FloatCase{kInf, "+Inf", "+Inf", "+Inf"},
                    FloatCase{-kInf, "-Inf", "-Inf", "-Inf"},
                    FloatCase{std::nan(""), "NaN", "NaN", "NaN"}));

RC_GTEST_PROP(FloatFormat, RoundTrips, (std::uint64_t bits)) {
  const double value = std::bit_cast<double>(bits);
  RC_PRE(!std::isnan(value));
  for (const auto& append : {append_float_plain, append_float_api, append_float_general}) {
    std::string text;
    append(text, value);
    const auto parsed = parse_float(text);
    RC_ASSERT(parsed.has_value());
    RC_ASSERT(std::bit_cast<std::uint64_t>(*parsed) == bits);
  }
}

TEST(AppendSeconds, HasThreeDecimalsOnlyWhenNeeded) {
  const auto text = [](std::int64_t ms) {
    std::string out;
    append_seconds(out, ms);
    return out;
  };
  EXPECT_EQ(text(1435781451781), "1435781451.781");
  EXPECT_EQ(text(1435781451700), "1435781451.700");
  EXPECT_EQ(text(1435781451000), "1435781451");
  EXPECT_EQ(text(-1), "-0.001");
  EXPECT_EQ(text(-61000), "-61");
  EXPECT_EQ(text(0), "0");
  EXPECT_EQ(text(std::numeric_limits<std::int64_t>::min()), "-9223372036854775.808");
}

TEST(ParseFloat, TakesGoDecimalForms) {
  EXPECT_EQ(parse_float("+5"), 5);
  EXPECT_EQ(parse_float(".5"), 0.5);
  EXPECT_EQ(parse_float("5."), 5);
  EXPECT_EQ(parse_float("1e3"), 1000);
  EXPECT_EQ(parse_float("+Inf"), kInf);
  EXPECT_EQ(parse_float("-infinity"), -kInf);
  EXPECT_TRUE(std::isnan(*parse_float("NaN")));
  EXPECT_EQ(parse_float("1e-400"), 0);
}

TEST(ParseFloat, RefusesTheRest) {
  for (const std::string_view text :
       {"", "+", "-", "1e", "0x10", "1_000", "--1", "+-1", "1 ", " 1", "1e400", "nanx", "1.2.3"}) {
    EXPECT_EQ(parse_float(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace gantry::core
