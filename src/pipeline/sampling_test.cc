#include "pipeline/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "pipeline/testing/broadcast_tables.h"

namespace gantry::pipeline {
namespace {

TEST(Sampling, IsThatOfThePublishedTable) {
  GANTRY_BROADCAST_JSON(table, "table-sampling.json");
  for (const auto& row : table.at("rows")) {
    const auto destination = row.at("destination_id").get<std::string>();
    const auto key = row.at("key").get<std::string>();
    for (const auto& [rate, keep] : row.at("keep").items()) {
      EXPECT_EQ(is_sampled(destination, key, std::stod(rate)), keep.get<bool>())
          << destination << " " << key << " at " << rate;
    }
    // Where the decision turns, to the last bit of a double.
    const double u = row.at("u").get<double>();
    EXPECT_FALSE(is_sampled(destination, key, std::nextafter(u, 0.0))) << key;
    EXPECT_TRUE(is_sampled(destination, key, std::nextafter(u, 1.0))) << key;
  }
}

TEST(Sampling, ARateOutsideTheRangeIsAllOrNothing) {
  EXPECT_TRUE(is_sampled("d", "k", 1));
  EXPECT_TRUE(is_sampled("d", "k", 1.5));
  EXPECT_FALSE(is_sampled("d", "k", 0));
  EXPECT_FALSE(is_sampled("d", "k", -1));
  EXPECT_FALSE(is_sampled("d", "k", std::numeric_limits<double>::quiet_NaN()));
}

RC_GTEST_PROP(Sampling, RaisingTheRateOnlyAdds, (const std::string& key)) {
  const double low = *rc::gen::inRange(0, 10'001) / 10'000.0;
  const double high = *rc::gen::inRange(0, 10'001) / 10'000.0;
  if (is_sampled("destination", key, std::min(low, high)))
    RC_ASSERT(is_sampled("destination", key, std::max(low, high)));
}

TEST(Sampling, KeepsAboutTheRate) {
  int kept = 0;
  for (int i = 0; i < 10'000; ++i)
    kept += is_sampled("destination", "session-" + std::to_string(i), 0.25) ? 1 : 0;
  EXPECT_NEAR(kept, 2500, 200);  // More than four standard deviations.
}

}  // namespace
}  // namespace gantry::pipeline
