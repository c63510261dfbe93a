#include "broadcast/recent_items.h"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::broadcast {
namespace {

using Keys = std::vector<std::uint64_t>;

TEST(RecentItems, KnowsWhatItHasSeen) {
  RecentItems recent;
  EXPECT_EQ(recent.take_new(Keys{1, 2, 1}), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(recent.take_new(Keys{2, 3}), (std::vector<bool>{false, true}));
  EXPECT_TRUE(recent.take_new(Keys{}).empty());
}

TEST(RecentItems, ForgetsNoneOfTheLastOnes) {
  RecentItems recent(100);
  Keys keys(1000);
  std::iota(keys.begin(), keys.end(), 0U);
  for (const std::uint64_t key : keys) EXPECT_TRUE(recent.take_new(Keys{key})[0]);
  for (std::uint64_t key = 900; key < 1000; ++key) EXPECT_FALSE(recent.take_new(Keys{key})[0]);
  EXPECT_TRUE(recent.take_new(Keys{0})[0]) << "memory is bounded";
}

TEST(RecentItems, KeepsWhatComesAgainAndAgain) {
  RecentItems recent(10);
  EXPECT_TRUE(recent.take_new(Keys{7})[0]);
  for (std::uint64_t key = 100; key < 200; ++key) {
    EXPECT_TRUE(recent.take_new(Keys{key})[0]);
    EXPECT_FALSE(recent.take_new(Keys{7})[0]);
  }
}

}  // namespace
}  // namespace gantry::broadcast
