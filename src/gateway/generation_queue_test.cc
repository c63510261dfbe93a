#include "gateway/generation_queue.h"

#include <atomic>
#include <string>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

std::shared_ptr<const Generation> call(std::size_t prompt_bytes = 1) {
  auto generation = std::make_shared<Generation>();
  generation->prompt.json = std::string(prompt_bytes, 'x');
  return generation;
}

double lost(const core::MetricRegistry& registry) {
  for (const auto& family : registry.collect()) {
    if (family.name == "gantry_gateway_generations_lost_total") return family.samples[0].value;
  }
  return -1;
}

TEST(GenerationQueue, GivesAllThatItTookBeforeItEnds) {
  core::MetricRegistry registry;
  std::atomic<int> consumed = 0;
  {
    GenerationQueue queue(
        [&](std::span<const FinishedCall> batch) {
          EXPECT_LE(batch.size(), 3U);
          EXPECT_EQ(batch.front().stack, StackId(7));
          consumed += static_cast<int>(batch.size());
        },
        registry, {.batch_max = 3});
    for (int i = 0; i < 100; ++i) queue.take(access::OrgId(1), StackId(7), call());
  }
  EXPECT_EQ(consumed.load(), 100);
  EXPECT_EQ(lost(registry), 0);
}

TEST(GenerationQueue, GivesTogetherWhatComesTogether) {
  core::MetricRegistry registry;
  std::atomic<int> batches = 0;
  std::atomic<int> consumed = 0;
  {
    GenerationQueue queue(
        [&](std::span<const FinishedCall> batch) {
          ++batches;
          consumed += static_cast<int>(batch.size());
        },
        registry, {.gather_for = {200}, .thread_count = 4});
    for (int i = 0; i < 20; ++i) queue.take(access::OrgId(1), StackId(7), call());
  }
  EXPECT_EQ(consumed.load(), 20);
  EXPECT_LE(batches.load(), 4) << "of twenty calls";
}

TEST(GenerationQueue, CountsWhatDoesNotFit) {
  core::MetricRegistry registry;
  std::atomic<bool> is_blocked = false;
  std::atomic<bool> may_go = false;
  std::atomic<int> consumed = 0;
  {
    GenerationQueue queue(
        [&](std::span<const FinishedCall> batch) {
          is_blocked = true;
          is_blocked.notify_all();
          may_go.wait(false);
          consumed += static_cast<int>(batch.size());
        },
        registry, {.calls_max = 2, .bytes_max = 100, .thread_count = 1});
    const auto take = [&](std::size_t bytes) {
      queue.take(access::OrgId(1), StackId(7), call(bytes));
    };
    take(1);
    is_blocked.wait(false);
    take(60);
    take(60);  // too many bytes
    take(1);
    take(1);  // too many calls
    EXPECT_EQ(lost(registry), 2);
    may_go = true;
    may_go.notify_all();
  }
  EXPECT_EQ(consumed.load(), 3);
}

}  // namespace
}  // namespace gantry::gateway
