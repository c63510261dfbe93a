#include "access/expiring_cache.h"

#include <functional>

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

using Cache = ExpiringCache<int, int, std::hash<int>>;

TEST(ExpiringCacheTest, AnEntryLivesForItsTime) {
  Cache cache(10, {1000});
  cache.put(1, 10, {5000}, cache.generation());
  EXPECT_EQ(cache.find(1, {5000}), 10);
  EXPECT_EQ(cache.find(1, {5999}), 10);
  EXPECT_EQ(cache.find(1, {6000}), std::nullopt);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(ExpiringCacheTest, AClockSetBackEndsALife) {
  Cache cache(10, {1000});
  cache.put(1, 10, {5000}, cache.generation());
  EXPECT_EQ(cache.find(1, {4999}), std::nullopt);
}

TEST(ExpiringCacheTest, TheLeastRecentlyUsedGoesFirst) {
  Cache cache(2, {1000});
  cache.put(1, 10, {0}, 0);
  cache.put(2, 20, {0}, 0);
  EXPECT_EQ(cache.find(1, {1}), 10);
  cache.put(3, 30, {1}, 0);
  EXPECT_EQ(cache.find(2, {1}), std::nullopt);
  EXPECT_EQ(cache.find(1, {1}), 10);
  EXPECT_EQ(cache.find(3, {1}), 30);
}

TEST(ExpiringCacheTest, PuttingAgainReplaces) {
  Cache cache(2, {1000});
  cache.put(1, 10, {0}, 0);
  cache.put(1, 11, {500}, 0);
  EXPECT_EQ(cache.find(1, {1400}), 11);
  EXPECT_EQ(cache.size(), 1U);
}

TEST(ExpiringCacheTest, WhatWasReadBeforeAClearingIsNotKept) {
  Cache cache(2, {1000});
  const auto before = cache.generation();
  cache.clear();
  cache.put(1, 10, {0}, before);
  EXPECT_EQ(cache.find(1, {0}), std::nullopt);
}

}  // namespace
}  // namespace gantry::access
