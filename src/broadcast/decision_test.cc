#include "broadcast/decision.h"

#include <gtest/gtest.h>

#include "broadcast/testing/destinations.h"

namespace gantry::broadcast {
namespace {

using testing::grafana_destination;

constexpr EventFacts kFacts{
    .key_hash = "key-1", .sampling_key = "session_abc", .fields = {.model = "openai/gpt-4o"}};

FilterRules only_anthropic() {
  const auto rules = FilterRules::parse(
      R"({"groups":[{"logic":"and","rules":[{"field":"model","operator":"starts_with",
                                             "value":"anthropic/"}]}]})");
  EXPECT_TRUE(rules) << (rules ? "" : rules.error().message);
  return rules.value_or(FilterRules());
}

TEST(Decision, TakesAllByDefault) {
  EXPECT_EQ(decide(grafana_destination(), kFacts), Decision::Taken);
  EXPECT_EQ(decide(grafana_destination(), {}), Decision::Taken);
}

// Each step is only reached when those before it let the event through.
TEST(Decision, AsksInOrder) {
  Destination destination = grafana_destination();
  destination.filter_rules = only_anthropic();
  EXPECT_EQ(decide(destination, kFacts), Decision::Filtered);
  // Of the published table: u of this id and key is 0.7072….
  destination.id = "99999999-aaaa-bbbb-cccc-dddddddddddd";
  destination.sampling_rate = 0.9;
  EXPECT_EQ(decide(destination, kFacts), Decision::Filtered);
  destination.sampling_rate = 0.5;
  EXPECT_EQ(decide(destination, kFacts), Decision::Sampled);
  destination.api_key_hashes = {{"key-2"}};
  EXPECT_EQ(decide(destination, kFacts), Decision::KeyFiltered);
  destination.is_enabled = false;
  EXPECT_EQ(decide(destination, kFacts), Decision::Disabled);
}

}  // namespace
}  // namespace gantry::broadcast
