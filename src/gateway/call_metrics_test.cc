#include "gateway/call_metrics.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

GatewayKey key_of(std::int64_t org, std::uint32_t stack) {
  GatewayKey key;
  key.org = access::OrgId(org);
  key.stack = StackId(stack);
  return key;
}

Generation call_of(std::string model) {
  Generation made;
  made.requested_model = std::move(model);
  made.is_ok = true;
  return made;
}

/// Of gantry_gateway_requests_total.
double calls(const core::MetricRegistry& registry, std::string_view model) {
  double total = 0;
  for (const core::CollectedFamily& family : registry.collect()) {
    if (family.name != "gantry_gateway_requests_total") continue;
    for (const core::CollectedSample& sample : family.samples)
      for (const auto& [label, value] : sample.labels)
        if (label == "model" && value == model) total += sample.value;
  }
  return total;
}

TEST(CallMetrics, AStackHasItsOwnCallsAndTheServerAll) {
  core::MetricRegistry registry;
  CallMetrics metrics(registry, {});
  const GatewayKey one = key_of(1, 10);
  const GatewayKey other = key_of(2, 20);
  metrics.observe(call_of("a"), &one);
  metrics.observe(call_of("a"), &other);
  metrics.observe(call_of("b"), &other);
  metrics.observe(call_of("a"), nullptr);
  EXPECT_EQ(calls(registry, "a"), 3);
  EXPECT_EQ(calls(registry, "b"), 1);
  const auto stacks = metrics.stacks();
  ASSERT_EQ(stacks.size(), 2U);
  EXPECT_EQ(stacks[0].stack, StackId(10));
  EXPECT_EQ(stacks[0].org, access::OrgId(1));
  EXPECT_EQ(calls(*stacks[0].registry, "a"), 1);
  EXPECT_EQ(calls(*stacks[0].registry, "b"), 0);
  EXPECT_EQ(calls(*stacks[1].registry, "b"), 1);
}

TEST(CallMetrics, WhoHoldsTheRegistryOfAForgottenStackKeepsIt) {
  core::MetricRegistry registry;
  CallMetrics metrics(registry, {});
  const GatewayKey key = key_of(1, 10);
  metrics.observe(call_of("a"), &key);
  const auto held = metrics.stacks();
  metrics.forget(key.stack);
  EXPECT_TRUE(metrics.stacks().empty());
  EXPECT_EQ(calls(*held.front().registry, "a"), 1);
}

TEST(CallMetrics, KnowsItsFamilies) {
  core::MetricRegistry registry;
  GatewayMetrics metrics(registry, {});
  Generation made = call_of("a");
  made.is_stream = true;
  made.attempts = {{.provider_slug = "openai",
                    .sent_ms = 1,
                    .headers_ms = 2,
                    .first_token_ms = 3,
                    .body_end_ms = 4,
                    .is_ok = true}};
  made.usage = Usage{.input = 1, .output = 2, .total = 3, .cached = 1};
  made.cost = Cost{.total = PicoUsd{1}};
  metrics.observe(made);
  made.usage->is_estimated = true;
  metrics.observe(made);
  for (const core::CollectedFamily& family : registry.collect())
    EXPECT_TRUE(is_call_metric(family.name)) << family.name;
  EXPECT_FALSE(is_call_metric("gantry_gateway_inflight"));
  EXPECT_FALSE(is_call_metric("gantry_ready"));
}

}  // namespace
}  // namespace gantry::gateway
