#include "metrics/part/frame_cache.h"

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

}  // namespace
}  // namespace gantry::metrics
