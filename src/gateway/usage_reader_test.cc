#include "gateway/usage_reader.h"

#include <string_view>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

std::optional<Usage> openai(std::string_view text) {
  JsonReader json(text);
  return read_openai_usage(json).usage;
}

TEST(OpenAiUsage, HasACost) {
  const auto cost = [](std::string_view text) {
    JsonReader json(text);
    return read_openai_usage(json).cost;
  };
  EXPECT_EQ(cost(R"({"cost":1.425e-4})"), PicoUsd{142'500'000});
  EXPECT_FALSE(cost(R"({"cost":null})"));
  EXPECT_FALSE(cost(R"({"cost":-1})"));
  EXPECT_FALSE(cost(R"({"cost":1e400})"));
}

TEST(OpenAiUsage, HasPartsInsideItsTotals) {
  const auto usage = openai(
      R"({"prompt_tokens":1200,"completion_tokens":50,"total_tokens":1250,
          "prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},
          "completion_tokens_details":{"reasoning_tokens":20}})");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->input, 1200);
  EXPECT_EQ(usage->output, 50);
  EXPECT_EQ(usage->total, 1250);
  EXPECT_EQ(usage->cached, 1024);
  EXPECT_EQ(usage->reasoning, 20);
  EXPECT_EQ(usage->cache_write, std::nullopt);
  EXPECT_FALSE(usage->is_estimated);
}

TEST(OpenAiUsage, ReadsTheNamesOfResponses) {
  const auto usage = openai(
      R"({"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,
          "output_tokens_details":{"reasoning_tokens":3},"total_tokens":15})");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->input, 10);
  EXPECT_EQ(usage->output, 5);
  EXPECT_EQ(usage->cached, 4);
  EXPECT_EQ(usage->reasoning, 3);
}

TEST(OpenAiUsage, AddsThinkingThatWasLeftOut) {
  const auto usage = openai(
      R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,
          "completion_tokens_details":{"reasoning_tokens":100}})");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->output, 105);
  EXPECT_EQ(usage->total, 115);
}

TEST(OpenAiUsage, OfEmbeddingsHasInputOnly) {
  const auto usage = openai(R"({"prompt_tokens":8})");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->input, 8);
  EXPECT_EQ(usage->output, 0);
  EXPECT_EQ(usage->total, 8);
}

TEST(OpenAiUsage, TellsModalities) {
  const auto usage = openai(
      R"({"prompt_tokens":120,"completion_tokens":90,
          "prompt_tokens_details":{"text_tokens":50,"audio_tokens":60,"image_tokens":10},
          "completion_tokens_details":{"audio_tokens":70,"text_tokens":15,"image_tokens":5,
                                       "reasoning_tokens":0,"accepted_prediction_tokens":3}})");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->input_text, 50);
  EXPECT_EQ(usage->input_audio, 60);
  EXPECT_EQ(usage->input_image, 10);
  EXPECT_EQ(usage->output_audio, 70);
  EXPECT_EQ(usage->output_text, 15);
  EXPECT_EQ(usage->output_image, 5);
}

TEST(OpenAiUsage, ReadsWhatOpenRouterPassesOnOfAnthropic) {
  const auto usage = openai(
      R"({"prompt_tokens":120,"completion_tokens":9,
          "cache_creation":{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60}})");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->input, 120);
  EXPECT_EQ(usage->cache_write, 100);
  EXPECT_EQ(usage->cache_write_1h, 60);
}

TEST(OpenAiUsage, IsNothingWithoutCounts) {
  for (const char* text :
       {"null", "{}", "[]", R"({"total_tokens":3})", R"({"completion_tokens":3})",
        R"({"prompt_tokens":-1})", R"({"prompt_tokens":"3"})", R"({"prompt_tokens":1e300})"}) {
    EXPECT_FALSE(openai(text)) << text;
  }
}

TEST(AnthropicUsage, AddsTheCachesToTheInput) {
  AnthropicUsage reader;
  EXPECT_FALSE(reader.usage());
  JsonReader start(
      R"({"input_tokens":5,"cache_creation_input_tokens":1000,"cache_read_input_tokens":200,
          "cache_creation":{"ephemeral_5m_input_tokens":600,"ephemeral_1h_input_tokens":400},
          "output_tokens":1})");
  reader.read(start);
  JsonReader delta(R"({"output_tokens":42})");
  reader.read(delta);
  const auto usage = reader.usage();
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->input, 1205);
  EXPECT_EQ(usage->output, 42);
  EXPECT_EQ(usage->total, 1247);
  EXPECT_EQ(usage->cached, 200);
  EXPECT_EQ(usage->cache_write, 1000);
  EXPECT_EQ(usage->cache_write_5m, 600);
  EXPECT_EQ(usage->cache_write_1h, 400);
}

TEST(AnthropicUsage, PartsOfWritesStandForTheirSum) {
  AnthropicUsage reader;
  JsonReader start(
      R"({"input_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":400},"output_tokens":1})");
  reader.read(start);
  ASSERT_TRUE(reader.usage());
  EXPECT_EQ(reader.usage()->input, 405);
  EXPECT_EQ(reader.usage()->cache_write, 400);
  EXPECT_EQ(reader.usage()->cache_write_5m, std::nullopt);
}

TEST(AnthropicUsage, KeepsWhatALaterPartLeavesOut) {
  AnthropicUsage reader;
  JsonReader start(R"({"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1})");
  reader.read(start);
  JsonReader delta(R"({"input_tokens":7,"cache_read_input_tokens":null,"output_tokens":3})");
  reader.read(delta);
  EXPECT_EQ(reader.usage()->input, 9);
  EXPECT_EQ(reader.usage()->cached, 2);
}

}  // namespace
}  // namespace gantry::gateway
