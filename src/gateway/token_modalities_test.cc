#include <string>

#include <gtest/gtest.h>

#include "gateway/token_modalities_internal.h"
// After GoogleTest, or it does not compile.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

namespace gantry::gateway {
namespace {

/// "audio 3, text 7"
std::string told(const ModalityTokens& tokens) {
  std::string out;
  for (const auto& [modality, count] : tokens.told) {
    if (count > 0) out += fmt::format("{} {}, ", modality, count);
  }
  return out + fmt::format("{} {}", tokens.rest_modality, tokens.rest);
}

Generation made(Usage usage, std::vector<std::string> modalities = {},
                std::string output_type = {}) {
  Generation generation;
  generation.usage = usage;
  generation.input_media.modalities = std::move(modalities);
  generation.output_type = std::move(output_type);
  return generation;
}

TEST(TokenModalities, TextIsTextThoughNobodySaysSo) {
  const Generation text = made({.input = 10, .output = 4, .total = 14});
  EXPECT_EQ(told(input_modalities(text)), "text 10");
  EXPECT_TRUE(input_modalities(text).is_text());
  EXPECT_EQ(told(output_modalities(text)), "text 4");
}

TEST(TokenModalities, WhatMayBeAnythingIsUnknown) {
  const Generation seen = made({.input = 10, .output = 4, .total = 14}, {"image"});
  EXPECT_EQ(told(input_modalities(seen)), "unknown 10");
  EXPECT_FALSE(input_modalities(seen).is_text());
  EXPECT_TRUE(output_modalities(seen).is_text());
  for (const char* const asked : {"image", "speech"}) {
    const Generation drawn = made({.input = 10, .output = 4, .total = 14}, {}, asked);
    EXPECT_EQ(told(output_modalities(drawn)), "unknown 4") << asked;
    EXPECT_TRUE(input_modalities(drawn).is_text()) << asked;
  }
}

TEST(TokenModalities, WhatTheProviderTellsCounts) {
  Usage usage{.input = 30, .output = 20, .total = 50};
  usage.input_audio = 12;
  usage.output_audio = 15;
  const Generation spoken = made(usage, {"audio"}, "speech");
  EXPECT_EQ(told(input_modalities(spoken)), "audio 12, text 18");
  EXPECT_FALSE(input_modalities(spoken).is_text());
  EXPECT_EQ(told(output_modalities(spoken)), "audio 15, text 5");
  EXPECT_EQ(told(input_modalities(made(usage, {"audio", "file"}))), "audio 12, unknown 18");
  usage.input_text = 10;
  EXPECT_EQ(told(input_modalities(made(usage, {"audio"}))), "audio 12, text 10, unknown 8");
}

RC_GTEST_PROP(TokenModalities, HaveEachTokenOnce, ()) {
  const auto count = [] { return *rc::gen::inRange<std::int64_t>(-5, 100); };
  const auto maybe = [&] {
    return *rc::gen::arbitrary<bool>() ? std::optional(count()) : std::nullopt;
  };
  Usage usage{.input = count()};
  usage.input_audio = maybe();
  usage.input_image = maybe();
  usage.input_text = maybe();
  const ModalityTokens tokens = input_modalities(made(usage, {"image"}));
  std::int64_t sum = tokens.rest;
  RC_ASSERT(tokens.rest >= 0);
  for (const auto& each : tokens.told) {
    RC_ASSERT(each.tokens >= 0);
    sum += each.tokens;
  }
  RC_ASSERT(sum == std::max<std::int64_t>(usage.input, 0));
}

}  // namespace
}  // namespace gantry::gateway
