#include "core/duration.h"

#include <gtest/gtest.h>

#include "core/byte_size.h"

namespace gantry::core {
namespace {

struct DurationCase {
  std::string_view text;
  std::int64_t milliseconds;
  std::string_view canonical;
};

class Durations : public testing::TestWithParam<DurationCase> {};

TEST_P(Durations, ParseAndPrint) {
  const auto parsed = parse_duration(GetParam().text);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->count, GetParam().milliseconds);
  EXPECT_EQ(format_duration(*parsed), GetParam().canonical);
}

INSTANTIATE_TEST_SUITE_P(
    Valid, Durations,
    testing::Values(DurationCase{"0", 0, "0s"}, DurationCase{"5m", 300000, "5m"},
                    DurationCase{"1h30m", 5400000, "1h30m"}, DurationCase{"90m", 5400000, "1h30m"},
                    DurationCase{"10s53ms", 10053, "10s53ms"},
                    DurationCase{"1y", 31536000000, "1y"}, DurationCase{"2w", 1209600000, "2w"},
                    DurationCase{"8d", 691200000, "8d"}, DurationCase{"1000ms", 1000, "1s"}));

TEST(Durations, ErrorsArePrometheus) {
  EXPECT_EQ(parse_duration("").error().message, "empty duration string");
  EXPECT_EQ(parse_duration("5m1h").error().message, "not a valid duration string: \"5m1h\"");
  EXPECT_EQ(parse_duration("5").error().message, "not a valid duration string: \"5\"");
  EXPECT_EQ(parse_duration("-5m").error().message, "not a valid duration string: \"-5m\"");
  EXPECT_EQ(parse_duration("5y1hs").error().message, "unknown unit \"hs\" in duration \"5y1hs\"");
  EXPECT_EQ(parse_duration("99999y").error().message, "duration out of range");
  EXPECT_EQ(parse_duration("99999999999999999999s").error().message, "duration out of range");
}

TEST(ByteSize, ParsesBothKindsOfUnits) {
  EXPECT_EQ(*parse_byte_size("4096"), 4096U);
  EXPECT_EQ(*parse_byte_size("64MiB"), 64U << 20);
  EXPECT_EQ(*parse_byte_size("10MB"), 10'000'000U);
  EXPECT_FALSE(parse_byte_size("10 MB"));
  EXPECT_FALSE(parse_byte_size("MB"));
  EXPECT_FALSE(parse_byte_size("-1MB"));
  EXPECT_FALSE(parse_byte_size("99999999999TiB"));
}

TEST(ByteSize, PrintsTheLargestExactUnit) {
  EXPECT_EQ(format_byte_size(64 << 20), "64MiB");
  EXPECT_EQ(format_byte_size(1000), "1000B");
  EXPECT_EQ(format_byte_size(0), "0B");
}

}  // namespace
}  // namespace gantry::core
