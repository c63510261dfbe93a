#include "telemetry/bucket_bound.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace gantry::telemetry {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(BucketBound, PowersOfTwoAreExact) {
  for (std::int32_t schema = 0; schema <= 8; ++schema) {
    const std::int64_t per_octave = std::int64_t{1} << schema;
    for (int octave = -1000; octave <= 1000; octave += 100) {
      EXPECT_EQ(exponential_bound(schema, octave * per_octave), std::ldexp(1.0, octave));
    }
  }
  EXPECT_EQ(exponential_bound(-2, 3), 4096);
  EXPECT_EQ(exponential_bound(-4, -1), std::ldexp(1.0, -16));
}

TEST(BucketBound, FractionsAreThoseOfTheClients) {
  EXPECT_EQ(exponential_bound(1, -1), 0.7071067811865475);  // Not …76, the double nearest to √½.
  EXPECT_EQ(exponential_bound(3, 3), 2 * 0.6484197773255048);
  EXPECT_EQ(exponential_bound(8, -255), 0.5013556375251013);
  EXPECT_EQ(exponential_bound(8, -1), exponential_bound(8, 255) / 2);
}

TEST(BucketBound, AscendsAndStaysNearThePower) {
  for (std::int32_t schema = -4; schema <= 8; ++schema) {
    for (std::int64_t index = -300; index <= 300; ++index) {
      const double bound = exponential_bound(schema, index);
      const double exact = std::exp2(std::ldexp(static_cast<double>(index), -schema));
      if (exact == 0 || std::isinf(exact)) continue;
      EXPECT_NEAR(bound / exact, 1, 1e-14) << schema << " " << index;
      EXPECT_LT(exponential_bound(schema, index - 1), bound);
    }
  }
}

TEST(BucketBound, AFinerSchemaHasTheBoundsOfACoarserOne) {
  for (std::int32_t schema = -3; schema <= 8; ++schema) {
    for (std::int64_t index = -40; index <= 40; ++index) {
      EXPECT_EQ(exponential_bound(schema, 2 * index), exponential_bound(schema - 1, index));
    }
  }
}

TEST(BucketBound, TheLastBucketOfNumbersEndsAtTheLargest) {
  for (std::int32_t schema = 0; schema <= 8; ++schema) {
    const std::int64_t last = std::int64_t{1024} << schema;
    EXPECT_EQ(exponential_bound(schema, last), std::numeric_limits<double>::max());
    EXPECT_EQ(exponential_bound(schema, last + (std::int64_t{1} << schema)), kInfinity);
  }
  EXPECT_EQ(exponential_bound(-4, 64), std::numeric_limits<double>::max());
  EXPECT_EQ(exponential_bound(-4, 65), kInfinity);
  EXPECT_EQ(exponential_bound(0, -1'000'000), 0);
}

}  // namespace
}  // namespace gantry::telemetry
