#include "access/use_counters.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

std::uint64_t count(core::MetricRegistry& registry, const std::string& token,
                    const std::string& code) {
  return registry.counter("gantry_token_requests_total", "", {{"token_id", token}, {"code", code}})
      .value();
}

TEST(UseCountersTest, CountsTokensAndCodesApart) {
  core::MetricRegistry registry;
  UseCounters counters(registry);
  for (int i = 0; i < 3; ++i) counters.add("a", "200");
  counters.add("a", "403");
  counters.add("b", "200");
  EXPECT_EQ(count(registry, "a", "200"), 3U);
  EXPECT_EQ(count(registry, "a", "403"), 1U);
  EXPECT_EQ(count(registry, "b", "200"), 1U);
}

TEST(UseCountersTest, TwoOnOneRegistryShareTheCounters) {
  core::MetricRegistry registry;
  UseCounters one(registry);
  UseCounters two(registry);
  one.add("a", "200");
  two.add("a", "200");
  EXPECT_EQ(count(registry, "a", "200"), 2U);
}

TEST(UseCountersTest, ThreadsLoseNothing) {
  core::MetricRegistry registry;
  UseCounters counters(registry);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int round = 0; round < 500; ++round) counters.add("a", std::to_string(round % 7));
      });
  }
  std::uint64_t total = 0;
  for (int code = 0; code < 7; ++code) total += count(registry, "a", std::to_string(code));
  EXPECT_EQ(total, 2000U);
}

}  // namespace
}  // namespace gantry::access
