#include "metrics/part/frame_cache.h"

#include <thread>

#include <gtest/gtest.h>

namespace gantry::metrics {
namespace {

std::shared_ptr<const Frame> make_frame(std::size_t bytes, std::uint8_t fill) {
  return std::make_shared<const Frame>(bytes, std::byte{fill});
}

TEST(FrameCacheTest, FindsWhatWasInserted) {
  FrameCache cache(1 << 20);
  const std::uint64_t a = cache.make_owner_id();
  const std::uint64_t b = cache.make_owner_id();
  EXPECT_NE(a, b);
  cache.insert(a, 1, make_frame(10, 1));
  cache.insert(b, 1, make_frame(10, 2));
  EXPECT_EQ(cache.find(a, 1)->front(), std::byte{1});
  EXPECT_EQ(cache.find(b, 1)->front(), std::byte{2});
  EXPECT_FALSE(cache.find(a, 2));
  cache.erase(a);
  EXPECT_FALSE(cache.find(a, 1));
  EXPECT_TRUE(cache.find(b, 1));
  EXPECT_EQ(cache.statistics().hits, 3U);
  EXPECT_EQ(cache.statistics().misses, 2U);
}

TEST(FrameCacheTest, StaysWithinItsBytes) {
  FrameCache cache(1 << 20);
  const std::uint64_t owner = cache.make_owner_id();
  for (std::uint32_t i = 0; i < 1000; ++i) {
    cache.insert(owner, i, make_frame(10'000, 0));
    ASSERT_LE(cache.statistics().bytes, cache.statistics().bytes_max);
  }
  EXPECT_GT(cache.statistics().bytes, cache.statistics().bytes_max / 2);
  cache.insert(owner, 5000, make_frame(2 << 20, 0));
  EXPECT_FALSE(cache.find(owner, 5000)) << "larger than the cache";
}

TEST(FrameCacheTest, KeepsWhatIsUsed) {
  FrameCache cache(1 << 20);
  const std::uint64_t owner = cache.make_owner_id();
  cache.insert(owner, 0, make_frame(1000, 7));
  for (std::uint32_t i = 1; i < 5000; ++i) {
    cache.insert(owner, i, make_frame(1000, 0));
    ASSERT_TRUE(cache.find(owner, 0)) << i;
  }
}

TEST(FrameCacheTest, ThreadsMayShareIt) {
  FrameCache cache(1 << 16);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache] {
      const std::uint64_t owner = cache.make_owner_id();
      for (std::uint32_t i = 0; i < 2000; ++i) {
        cache.insert(owner, i, make_frame(500, static_cast<std::uint8_t>(i)));
        const auto found = cache.find(owner, i - i % 7);
        if (found) EXPECT_EQ(found->front(), static_cast<std::byte>(i - i % 7));
      }
      cache.erase(owner);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.statistics().bytes, 0U);
}

}  // namespace
}  // namespace gantry::metrics
