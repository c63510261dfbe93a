#include "gateway/provider_preferences.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

TEST(ProviderPreferences, AreAllOptional) {
  for (const char* json : {"", "{}", R"({"order":null,"sort":null,"max_price":null,"zdr":null})",
                           R"({"new_thing":[1,{"a":2}]})"}) {
    const auto preferences = parse_provider_preferences(json);
    ASSERT_TRUE(preferences) << json;
    EXPECT_TRUE(preferences->order.empty());
    EXPECT_TRUE(preferences->allows_fallbacks);
    EXPECT_FALSE(preferences->requires_parameters);
    EXPECT_TRUE(preferences->max_price.is_empty());
    EXPECT_EQ(preferences->sort, std::nullopt);
  }
}

TEST(ProviderPreferences, AreRead) {
  const auto preferences = parse_provider_preferences(R"({
    "order": ["azure/eu", "open\u0061i"], "only": ["a"], "ignore": [],
    "allow_fallbacks": false, "require_parameters": true,
    "max_price": {"prompt": 2.5, "completion": "10", "request": 0.01, "image": "0.003",
                  "audio": 40},
    "sort": {"by": "latency", "partition": "none"},
    "preferred_max_latency": 1.5,
    "preferred_min_throughput": {"p50": 100, "p99": 20, "p42": 1},
    "data_collection": "allow", "zdr": false, "quantizations": []})");
  ASSERT_TRUE(preferences) << preferences.error().message;
  EXPECT_EQ(preferences->order, (std::vector<std::string>{"azure/eu", "openai"}));
  EXPECT_EQ(preferences->only, std::vector<std::string>{"a"});
  EXPECT_FALSE(preferences->allows_fallbacks);
  EXPECT_TRUE(preferences->requires_parameters);
  EXPECT_EQ(preferences->max_price.prompt, PicoUsd{2'500'000});
  EXPECT_EQ(preferences->max_price.completion, PicoUsd{10'000'000});
  EXPECT_EQ(preferences->max_price.request, PicoUsd{10'000'000'000});
  EXPECT_EQ(preferences->max_price.image, PicoUsd{3'000'000'000});
  EXPECT_EQ(preferences->max_price.audio, PicoUsd{40'000'000});
  EXPECT_EQ(preferences->sort, SortBy::Latency);
  EXPECT_EQ(preferences->partition, SortPartition::None);
  EXPECT_EQ(preferences->latency_s_max, (PaceCutoffs{1.5, {}, {}, {}}));
  EXPECT_EQ(preferences->tokens_per_second_min, (PaceCutoffs{100, {}, {}, 20}));
  EXPECT_EQ(parse_provider_preferences(R"({"sort":"price"})")->sort, SortBy::Price);
  EXPECT_EQ(parse_provider_preferences(R"({"sort":{"by":"throughput"}})")->sort,
            SortBy::Throughput);
}

struct RefusedCase {
  std::string name;
  std::string json;
  std::string message;
};

class RefusedPreferenceTest : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(RefusedPreferenceTest, SaysWhichAndWhy) {
  const auto preferences = parse_provider_preferences(GetParam().json);
  ASSERT_FALSE(preferences);
  EXPECT_EQ(preferences.error().code, Code::InvalidArgument);
  EXPECT_EQ(preferences.error().message, GetParam().message);
}

std::string many_providers() {
  std::string json = R"({"only":["a")";
  for (int i = 0; i < 64; ++i) json += R"(,"a")";
  return json + "]}";
}

INSTANTIATE_TEST_SUITE_P(
    Members, RefusedPreferenceTest,
    ::testing::Values(
        RefusedCase{"array", "[]", "provider: must be an object"},
        RefusedCase{"broken", R"({"order":[})", "provider: line 1, column 11: expected a value"},
        RefusedCase{"order_text", R"({"order":"a"})", "provider.order: must be an array"},
        RefusedCase{"order_number", R"({"order":["a",1]})",
                    "provider.order: must hold names of providers"},
        RefusedCase{"ignore_empty", R"({"ignore":[""]})",
                    "provider.ignore: must hold names of providers"},
        RefusedCase{"too_many", many_providers(), "provider.only: more than 64 providers"},
        RefusedCase{"fallbacks", R"({"allow_fallbacks":1})",
                    "provider.allow_fallbacks: must be true or false"},
        RefusedCase{"price", R"({"max_price":{"prompt":-1}})",
                    "provider.max_price.prompt: must be a price in USD"},
        RefusedCase{"price_text", R"({"max_price":{"completion":"1x"}})",
                    "provider.max_price.completion: must be a price in USD"},
        RefusedCase{"price_broken_text", "{\"max_price\":{\"prompt\":\"1\t\"}}",
                    "provider: line 1, column 26: control character in a string"},
        RefusedCase{"price_bool", R"({"max_price":{"request":true}})",
                    "provider.max_price.request: must be a price in USD"},
        RefusedCase{"price_image", R"({"max_price":{"image":"dear"}})",
                    "provider.max_price.image: must be a price in USD"},
        RefusedCase{"prices", R"({"max_price":3})", "provider.max_price: must be an object"},
        RefusedCase{"sort", R"({"sort":"beauty"})",
                    "provider.sort: must be price, throughput or latency"},
        RefusedCase{"sort_number", R"({"sort":1})",
                    "provider.sort: must be price, throughput or latency"},
        RefusedCase{"sort_by", R"({"sort":{"by":"x"}})",
                    "provider.sort.by: must be price, throughput or latency"},
        RefusedCase{"partition", R"({"sort":{"by":"price","partition":"x"}})",
                    "provider.sort.partition: must be model or none"},
        RefusedCase{"cutoff", R"({"preferred_max_latency":{"p90":"1"}})",
                    "provider.preferred_max_latency.p90: must be a number of at least 0"},
        RefusedCase{"cutoff_text", R"({"preferred_min_throughput":"1"})",
                    "provider.preferred_min_throughput: must be a number, or an object of p50, "
                    "p75, p90 and p99"},
        RefusedCase{"data_collection", R"({"data_collection":"deny"})",
                    "provider.data_collection: this gateway does not know that of its providers"},
        RefusedCase{"zdr", R"({"zdr":true})",
                    "provider.zdr: this gateway does not know that of its providers"},
        RefusedCase{"quantizations", R"({"quantizations":["fp8"]})",
                    "provider.quantizations: this gateway does not know that of its providers"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace gantry::gateway
