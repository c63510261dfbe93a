#include "gateway/generation_broadcast.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "codec/otlp_traces_encoder.h"
#include "gateway/content.h"
#include "gateway/testing/broadcast_cases.h"

namespace gantry::gateway {
namespace {

using broadcast::Decision;
using broadcast::Destination;
using nlohmann::json;

/// Keeps what it is offered.
class FakeBroadcaster final : public broadcast::Broadcaster {
 public:
  Result<void> start() override { return {}; }

  void notify() override {}

  void offer(const broadcast::CallEvent& event) override {
    stack = event.stack;
    model = event.facts.fields.model.value_or("");
    event.build({.cost = true}, batch);
    encoded = codec::encode_otlp_traces(batch);
  }

  void offer(StackId /*stack*/, const telemetry::SpanBatch& /*batch*/) override {
    FAIL() << "a call is no request with spans";
  }

  void offer(StackId /*stack*/, const telemetry::MetricBatch& /*batch*/,
             const telemetry::AppendResult& /*stored*/) override {
    FAIL() << "a call is no samples";
  }

  void stop(DurationMs /*drain*/) override {}

  broadcast::DestinationHealth health(const broadcast::DestinationId& /*id*/) const override {
    return {};
  }

  Result<broadcast::DeadLetterPage> dead_letters(const broadcast::DestinationId& /*id*/,
                                                 std::optional<std::uint64_t> /*before*/,
                                                 std::size_t /*limit*/) override {
    return broadcast::DeadLetterPage{};
  }

  Result<std::uint64_t> replay(const broadcast::DestinationId& /*id*/,
                               std::uint64_t /*letters_max*/) override {
    return 0;
  }

  Result<std::uint64_t> clear(const broadcast::DestinationId& /*id*/) override { return 0; }

  broadcast::Intake intake(StackId /*stack*/, const broadcast::DestinationId& /*id*/,
                           broadcast::Signal /*signal*/) const override {
    return broadcast::Intake::Unknown;
  }

  std::size_t batch_bytes_max() const override { return 0; }

  Result<broadcast::Requeued> requeue(StackId /*stack*/, const broadcast::DestinationId& /*id*/,
                                      const telemetry::SpanBatch& /*batch*/) override {
    return broadcast::Requeued{};
  }

  Result<std::uint64_t> requeue(StackId /*stack*/, const broadcast::DestinationId& /*id*/,
                                const telemetry::MetricBatch& /*batch*/) override {
    return 0;
  }

  StackId stack;
  std::string model;
  telemetry::SpanBatch batch;
  std::string encoded;
};

/// Of a case file: as its destination is set up.
Destination destination_of(const json& given) {
  Destination destination{.id = given.at("id").get<std::string>()};
  destination.is_enabled = given.at("enabled").get<bool>();
  destination.sampling_rate = given.at("sampling_rate").get<double>();
  if (!given.at("api_key_hashes").is_null())
    destination.api_key_hashes = given.at("api_key_hashes").get<std::vector<std::string>>();
  if (!given.at("excluded_api_key_hashes").is_null())
    destination.excluded_api_key_hashes =
        given.at("excluded_api_key_hashes").get<std::vector<std::string>>();
  auto rules = broadcast::FilterRules::parse(given.at("filter_rules").dump());
  EXPECT_TRUE(rules) << (rules ? "" : rules.error().message);
  if (rules) destination.filter_rules = *rules;
  return destination;
}

// The published cases say of each call whether the destination gets it.
TEST(GenerationBroadcast, DecidesAsTheVectorsExpect) {
  int taken = 0;
  int refused = 0;
  for (const std::string& name : testing::broadcast_case_names()) {
    const json example = testing::read_broadcast_json(name).value();
    // Of calls that were refused before any attempt there is no event.
    if (example.at("attempts").empty()) continue;
    const Generation generation = testing::generation_of(example);
    const std::string key = call_sampling_key(generation);
    const Decision decision =
        broadcast::decide(destination_of(example.at("destination")), call_facts(generation, key));
    const bool is_expected = example.at("expect").at("exported").get<bool>();
    EXPECT_EQ(decision == Decision::Taken, is_expected) << name;
    ++(is_expected ? taken : refused);
  }
  EXPECT_GT(taken, 0);
  EXPECT_GT(refused, 0);
}

TEST(GenerationBroadcast, SamplesByTheSessionElseByTheTrace) {
  Generation generation;
  generation.id = "gen-1790606294-sdYHTGXUVyDKWCLqX5Op";
  EXPECT_EQ(call_sampling_key(generation), "9b1de41a703bf6c7f0831bba77573c3e");
  generation.context.session_id = "session_abc";
  EXPECT_EQ(call_sampling_key(generation), "session_abc");
}

TEST(GenerationBroadcast, OffersTheCallsTrace) {
  FakeBroadcaster broadcaster;
  const GenerationBroadcast sink(broadcaster, {});
  Generation generation;
  generation.id = "gen-1-a";
  generation.requested_model = "acme/one";
  generation.attempts.push_back({.provider_name = "Acme"});
  sink.offer(StackId(1'000'000), generation);
  EXPECT_EQ(broadcaster.stack, StackId(1'000'000));
  EXPECT_EQ(broadcaster.model, "acme/one");
  ASSERT_FALSE(broadcaster.batch.spans.empty());
  EXPECT_EQ(broadcaster.batch.spans.front().name, "LLM Generation");
}

TEST(GenerationBroadcast, DestinationsGetWhatTheRulesOfTheStackLeave) {
  FakeBroadcaster broadcaster;
  const GenerationBroadcast sink(broadcaster, {});
  Generation generation;
  generation.id = "gen-1-a";
  generation.requested_model = "acme/one";
  generation.context.user_id = "user-to-keep";
  generation.prompt = record_content(R"({"prompt":"planted"})");
  generation.attempts.push_back({.provider_name = "Acme"});
  sink.offer(StackId(1'000'000), generation);
  EXPECT_TRUE(broadcaster.encoded.contains("planted"));
  EXPECT_TRUE(broadcaster.encoded.contains("user-to-keep"));
  pipeline::StackRules rules;
  rules.is_private = true;
  sink.offer(StackId(1'000'000), generation, &rules);
  EXPECT_FALSE(broadcaster.encoded.contains("planted"));
  EXPECT_TRUE(broadcaster.encoded.contains("user-to-keep"));
}

TEST(GenerationBroadcast, WhatIsNotKnownIsNoField) {
  Generation generation;
  const auto facts = call_facts(generation, "key");
  EXPECT_EQ(facts.fields.model, std::nullopt);
  EXPECT_EQ(facts.fields.provider, std::nullopt);
  EXPECT_EQ(facts.fields.input, std::nullopt);
  EXPECT_EQ(facts.fields.total_cost, std::nullopt);
  EXPECT_EQ(facts.fields.total_tokens, std::nullopt);
  generation.served_model = "acme/two";
  generation.attempts = {{.provider_name = "First"},
                         {.provider_name = "Second", .is_ok = true},
                         {.provider_name = "Third"}};
  generation.cost = Cost{.total = PicoUsd{4'000'000'000}};
  const auto served = call_facts(generation, "key");
  EXPECT_EQ(served.fields.model, "acme/two");
  EXPECT_EQ(served.fields.provider, "Second");
  EXPECT_EQ(served.fields.total_cost, 0.004);
}

}  // namespace
}  // namespace gantry::gateway
