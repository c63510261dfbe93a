#include "core/rfc3339.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::core {
namespace {

TEST(Rfc3339, ReadsOffsetsAndFractions) {
  EXPECT_EQ(parse_rfc3339("2015-07-01T20:10:51.781Z"), TimestampMs{1435781451781});
  EXPECT_EQ(parse_rfc3339("2015-07-01T22:10:51.7819+02:00"), TimestampMs{1435781451781});
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00-01:30"), TimestampMs{5400000});
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.5Z"), TimestampMs{-500});
}

TEST(Rfc3339, RefusesTheRest) {
  for (const std::string_view text :
       {"", "2015", "2015-07-01", "2015-07-01T20:10:51", "2015-02-30T00:00:00Z",
        "2015-07-01T24:00:00Z", "2015-07-01T20:10:51.Z", "2015-07-01T20:10:51Zx",
        "2015-07-01T20:10:51+2:00", "+015-07-01T20:10:51Z", "2015-07-01 20:10:51Z"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

RC_GTEST_PROP(Rfc3339, ReadsWhatItWrites, ()) {
  // Years 1 to 9999.
  const auto ms = *rc::gen::inRange<std::int64_t>(-62135596800000, 253402300799999);
  RC_ASSERT(parse_rfc3339(format_rfc3339({ms})) == TimestampMs{ms});
}

}  // namespace
}  // namespace gantry::core
