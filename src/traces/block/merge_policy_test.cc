#include "traces/block/merge_policy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::traces {
namespace {

using Indexes = std::vector<std::size_t>;

constexpr MergePolicy kPolicy = {.window_ns = 1000, .output_bytes_max = 100'000};

/// All in the window of time 0; `now` says whether that is over.
std::optional<Indexes> choose(const std::vector<std::uint64_t>& sizes, std::int64_t now = 500) {
  std::vector<BlockSize> blocks;
  for (const std::uint64_t size : sizes) blocks.push_back({.bytes = size, .start_ns_max = 10});
  return choose_merge(blocks, kPolicy, now);
}

TEST(TraceMergePolicy, MergesBlocksOfLikeSize) {
  EXPECT_EQ(choose({}), std::nullopt);
  EXPECT_EQ(choose({10, 10, 10}), std::nullopt);
  EXPECT_EQ(choose({10, 10, 10, 10}), (Indexes{0, 1, 2, 3}));
  EXPECT_EQ(choose({10, 1000, 10, 10, 10}), (Indexes{0, 2, 3, 4}));
  EXPECT_EQ(choose({1000, 300, 100, 30, 10}), std::nullopt);
  EXPECT_EQ(choose({0, 0, 0, 0}), std::nullopt);
}

TEST(TraceMergePolicy, AWindowThatIsOverEndsAsFewBlocks) {
  EXPECT_EQ(choose({1000, 1000}, 1000), (Indexes{0, 1}));
  EXPECT_EQ(choose({1000, 1000}, 999), std::nullopt);
  EXPECT_EQ(choose({1000, 1}, 5000), std::nullopt);
  EXPECT_EQ(choose({1000}, 5000), std::nullopt);
}

TEST(TraceMergePolicy, NeverMakesTooLargeABlock) {
  EXPECT_EQ(choose({30'000, 30'000, 30'000, 30'000}), std::nullopt);
  EXPECT_EQ(choose({60'000, 60'000}, 5000), std::nullopt);
  EXPECT_EQ(choose({60'000, 60'000, 10'000, 10'000}, 5000), (Indexes{0, 2, 3}));
}

TEST(TraceMergePolicy, NeverMergesOverAWindowsBorder) {
  std::vector<BlockSize> blocks;
  for (std::int64_t i = 0; i < 4; ++i) blocks.push_back({.bytes = 10, .start_ns_max = 998 + i});
  EXPECT_EQ(choose_merge(blocks, kPolicy, 1500), (Indexes{0, 1})) << "of the window that is over";
  for (BlockSize& block : blocks) block.start_ns_max -= 1000;
  EXPECT_EQ(choose_merge(blocks, kPolicy, 500), (Indexes{0, 1})) << "before 1970 too";
}

RC_GTEST_PROP(TraceMergePolicy, KeepsBlocksFewAndRewritesSeldom, ()) {
  constexpr MergePolicy kUnlimited = {.window_ns = 1000, .output_bytes_max = ~0ULL};
  std::vector<BlockSize> blocks;
  std::uint64_t written = 0;
  std::uint64_t total = 0;
  const int flushes = *rc::gen::inRange(1, 300);
  const auto step = [&](std::int64_t now) {
    const auto choice = choose_merge(blocks, kUnlimited, now);
    if (!choice) return false;
    RC_ASSERT(choice->size() >= 2U);
    RC_ASSERT(std::ranges::is_sorted(*choice));
    std::uint64_t sum = 0;
    for (auto i = choice->rbegin(); i != choice->rend(); ++i) {
      sum += blocks.at(*i).bytes;
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(*i));
    }
    blocks.push_back({.bytes = sum, .start_ns_max = 10});
    written += sum;
    return true;
  };
  for (int i = 0; i < flushes; ++i) {
    const std::uint64_t size = *rc::gen::inRange<std::uint64_t>(50, 200);
    blocks.push_back({.bytes = size, .start_ns_max = 10});
    total += size;
    while (step(500)) {
    }
    RC_ASSERT(blocks.size() <= 24U);
  }
  const double limit = 2 + std::log(flushes) / std::log(2.5);
  RC_ASSERT(static_cast<double>(written) <= static_cast<double>(total) * limit);
  while (step(2000)) {
  }
  RC_ASSERT(blocks.size() <= 8U);
}

}  // namespace
}  // namespace gantry::traces
