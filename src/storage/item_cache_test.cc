#include "storage/item_cache.h"

#include <thread>

#include <gtest/gtest.h>

namespace gantry::storage {
namespace {

class Item final : public CacheItem {
 public:
  Item(std::size_t bytes, std::uint64_t name) : bytes_(bytes), name_(name) {}

  [[nodiscard]] std::size_t memory_bytes() const override { return bytes_; }

  [[nodiscard]] std::uint64_t name() const { return name_; }

 private:
  std::size_t bytes_;
  std::uint64_t name_;
};

std::shared_ptr<const CacheItem> make_item(std::size_t bytes, std::uint64_t name) {
  return std::make_shared<Item>(bytes, name);
}

std::uint64_t name_of(const std::shared_ptr<const CacheItem>& item) {
  return static_cast<const Item&>(*item).name();
}

TEST(ItemCacheTest, FindsWhatWasInserted) {
  ItemCache cache(1 << 20);
  const std::uint64_t a = cache.make_owner_id();
  const std::uint64_t b = cache.make_owner_id();
  EXPECT_NE(a, b);
  cache.insert(a, 1, make_item(10, 1));
  cache.insert(b, 1, make_item(10, 2));
  EXPECT_EQ(name_of(cache.find(a, 1)), 1U);
  EXPECT_EQ(name_of(cache.find(b, 1)), 2U);
  EXPECT_FALSE(cache.find(a, 2));
  cache.erase(a);
  EXPECT_FALSE(cache.find(a, 1));
  EXPECT_TRUE(cache.find(b, 1));
  EXPECT_EQ(cache.statistics().hits, 3U);
  EXPECT_EQ(cache.statistics().misses, 2U);
}

TEST(ItemCacheTest, StaysWithinItsBytes) {
  ItemCache cache(1 << 20);
  const std::uint64_t owner = cache.make_owner_id();
  for (std::uint32_t i = 0; i < 1000; ++i) {
    cache.insert(owner, i, make_item(10'000, 0));
    ASSERT_LE(cache.statistics().bytes, cache.statistics().bytes_max);
  }
  EXPECT_GT(cache.statistics().bytes, cache.statistics().bytes_max / 2);
  cache.insert(owner, 5000, make_item(2 << 20, 0));
  EXPECT_FALSE(cache.find(owner, 5000)) << "larger than the cache";
}

TEST(ItemCacheTest, KeepsWhatIsUsed) {
  ItemCache cache(1 << 20);
  const std::uint64_t owner = cache.make_owner_id();
  cache.insert(owner, 0, make_item(1000, 7));
  for (std::uint32_t i = 1; i < 5000; ++i) {
    cache.insert(owner, i, make_item(1000, 0));
    ASSERT_TRUE(cache.find(owner, 0)) << i;
  }
}

TEST(ItemCacheTest, ThreadsMayShareIt) {
  ItemCache cache(1 << 16);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache] {
      const std::uint64_t owner = cache.make_owner_id();
      for (std::uint32_t i = 0; i < 2000; ++i) {
        cache.insert(owner, i, make_item(500, i));
        const auto found = cache.find(owner, i - i % 7);
        if (found) EXPECT_EQ(name_of(found), i - i % 7);
      }
      cache.erase(owner);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.statistics().bytes, 0U);
}

}  // namespace
}  // namespace gantry::storage
