#include "storage/merge_pacer.h"

#include <gtest/gtest.h>

namespace gantry::storage {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

/// A merge of `bytes` in blocks of `block_bytes`, each of which takes `block_ns`; returns how long
/// it took. `has_queries(now)`: whether a query runs then.
template <class HasQueries>
std::int64_t merge_time_ns(MergePacer& pacer, std::uint64_t bytes, std::uint64_t block_bytes,
                           std::int64_t block_ns, const HasQueries& has_queries) {
  std::int64_t now_ns = 0;
  for (std::uint64_t written = block_bytes; written <= bytes; written += block_bytes) {
    now_ns += block_ns;
    while (const std::int64_t wait_ns = pacer.wait_ns(written, has_queries(now_ns), now_ns)) {
      EXPECT_GT(wait_ns, 0);
      now_ns += wait_ns;
    }
  }
  return now_ns;
}

bool never(std::int64_t) {
  return false;
}

bool always(std::int64_t) {
  return true;
}

TEST(MergePacer, WithoutBudgetAndQueriesNothingWaits) {
  MergePacer pacer(0, 0);
  EXPECT_EQ(merge_time_ns(pacer, 10 << 20, 4096, kMs, never), 2560 * kMs);
}

TEST(MergePacer, TheBudgetIsKept) {
  MergePacer pacer(1 << 20, 0);
  const std::int64_t took_ns = merge_time_ns(pacer, 10 << 20, 4096, kMs / 10, never);
  EXPECT_GE(took_ns, 10 * kSecond - MergePacer::kAheadNs);
  EXPECT_LE(took_ns, 10 * kSecond + kMs);
}

TEST(MergePacer, ASlowMergeIsNotSlowedFurther) {
  MergePacer pacer(1 << 20, 0);
  EXPECT_EQ(merge_time_ns(pacer, 1 << 20, 4096, 5 * kMs, never), 1280 * kMs);
}

TEST(MergePacer, WaitsWhileAQueryRunsAndGoesOnAfterIt) {
  MergePacer pacer(0, 0);
  EXPECT_EQ(pacer.wait_ns(1, true, MergePacer::kWorkNs - 1), 0);
  const std::int64_t paused_at = MergePacer::kWorkNs;
  EXPECT_EQ(pacer.wait_ns(2, true, paused_at), MergePacer::kAskAgainNs);
  EXPECT_EQ(pacer.wait_ns(2, true, paused_at + 10 * kMs), MergePacer::kAskAgainNs);
  EXPECT_EQ(pacer.wait_ns(2, false, paused_at + 20 * kMs), 0);
  // And has its time to work again.
  EXPECT_EQ(pacer.wait_ns(3, true, paused_at + 20 * kMs + MergePacer::kWorkNs - 1), 0);
  EXPECT_GT(pacer.wait_ns(3, true, paused_at + 20 * kMs + MergePacer::kWorkNs), 0);
}

TEST(MergePacer, QueriesWithoutEndLeaveAFifth) {
  MergePacer pacer(0, 0);
  const std::int64_t work_ns = 1000 * kMs;
  const std::int64_t took_ns = merge_time_ns(pacer, 1000, 1, kMs, always);
  EXPECT_GT(took_ns, 4 * work_ns);
  EXPECT_LE(took_ns, 5 * work_ns);
}

TEST(MergePacer, BudgetHoldsBehindQueriesToo) {
  MergePacer pacer(1 << 20, 0);
  const std::int64_t took_ns = merge_time_ns(pacer, 4 << 20, 4096, kMs / 10, always);
  EXPECT_GE(took_ns, 4 * kSecond - MergePacer::kAheadNs);
}

}  // namespace
}  // namespace gantry::storage
