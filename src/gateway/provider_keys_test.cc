#include "gateway/provider_keys.h"

#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

class ProviderKeysTest : public ::testing::Test {
 protected:
  std::array<int, 3> picks(ProviderKeys& keys) {
    std::array<int, 3> counts = {};
    for (int i = 0; i < 6'000; ++i) ++counts.at(keys.pick().value());
    return counts;
  }

  ManualClock clock_{TimestampMs{0}};
  RandomSource random_{7};
  std::vector<ProviderKey> three_ = {{.secret_reference = "env:A", .weight = 1},
                                     {.secret_reference = "env:B", .weight = 2},
                                     {.secret_reference = "env:C", .weight = 3}};
};

TEST_F(ProviderKeysTest, PicksByWeight) {
  ProviderKeys keys(three_, clock_, random_);
  const auto counts = picks(keys);
  EXPECT_NEAR(counts[0], 1'000, 150);
  EXPECT_NEAR(counts[1], 2'000, 150);
  EXPECT_NEAR(counts[2], 3'000, 150);
}

TEST_F(ProviderKeysTest, LeavesOutWhatWasPutAsideForItsTime) {
  ProviderKeys keys(three_, clock_, random_);
  keys.put_aside(2, {30'000});
  keys.put_aside(2, {1'000});
  const auto counts = picks(keys);
  EXPECT_EQ(counts[2], 0);
  EXPECT_NEAR(counts[0], 2'000, 150);
  clock_.advance({29'999});
  EXPECT_EQ(picks(keys)[2], 0);
  clock_.advance({1});
  EXPECT_NEAR(picks(keys)[2], 3'000, 150);
}

TEST_F(ProviderKeysTest, TakesTheOneThatIsFreeSoonestIfNoneIs) {
  ProviderKeys keys(three_, clock_, random_);
  keys.put_aside(0, {3'000});
  keys.put_aside(1, {2'000});
  EXPECT_TRUE(keys.has_free_key());
  keys.put_aside(2, {4'000});
  EXPECT_FALSE(keys.has_free_key());
  EXPECT_EQ(keys.pick(), 1U);
}

TEST_F(ProviderKeysTest, NoProviderLocksAKeyAwayForLong) {
  ProviderKeys keys(std::span(three_).first(1), clock_, random_);
  keys.put_aside(0, {1LL << 40});
  clock_.advance(ProviderKeys::kAsideTimeMax);
  EXPECT_TRUE(keys.has_free_key());
}

TEST_F(ProviderKeysTest, AProviderMayNeedNone) {
  ProviderKeys keys({}, clock_, random_);
  EXPECT_EQ(keys.pick(), std::nullopt);
  EXPECT_FALSE(keys.has_free_key());
}

}  // namespace
}  // namespace gantry::gateway
