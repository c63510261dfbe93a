#include "gateway/model_listing.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/testing/catalogues.h"

namespace gantry::gateway {
namespace {

using nlohmann::json;

CatalogueConfig sample() {
  CatalogueConfig config;
  config.providers = {testing::make_provider("openai"), testing::make_provider("vllm")};
  config.providers[0].name = "OpenAI";
  config.providers[0].keys = {{.secret_reference = "env:TOP_SECRET"}};
  ModelConfig priced{.id = "openai/gpt-4o", .name = "GPT-4o", .description = "say \"hi\""};
  priced.created_unix_s = 1'700'000'000;
  priced.prices = Prices{.input = PicoUsd{2'500'000},
                         .output = PicoUsd{10'000'000},
                         .cache_read = PicoUsd{1'250'000},
                         .cache_write = {},
                         .request = {}};
  priced.context_length = 128'000;
  priced.input_modalities = {"text", "image"};
  priced.supported_parameters = {"tools"};
  priced.knowledge_cutoff = "2023-10-01";
  priced.endpoints = {testing::make_endpoint("openai")};
  priced.endpoints[0].output_tokens_max = 16'384;
  ModelConfig local{.id = "local/llama", .endpoints = {testing::make_endpoint("vllm", {}, "fast")}};
  config.models = {priced, local};
  return config;
}

TEST(ModelListing, PrintsWhatIsKnownAndNullForTheRest) {
  const auto catalogue = testing::make_catalogue(sample());
  const json listing = json::parse(print_models(*catalogue, {}));
  EXPECT_EQ(listing["object"], "list");
  EXPECT_EQ(listing["total_count"], 2);
  EXPECT_EQ(listing["links"], json::object());
  EXPECT_EQ(listing["data"][0], json::parse(R"({
    "id": "openai/gpt-4o", "object": "model", "owned_by": "openai",
    "canonical_slug": "openai/gpt-4o", "name": "GPT-4o", "created": 1700000000,
    "description": "say \"hi\"", "context_length": 128000,
    "architecture": {"modality": "text+image->text", "input_modalities": ["text", "image"],
                     "output_modalities": ["text"], "tokenizer": null, "instruct_type": null},
    "pricing": {"prompt": "0.0000025", "completion": "0.00001", "request": "0",
                "input_cache_read": "0.00000125"},
    "top_provider": {"context_length": 128000, "max_completion_tokens": 16384,
                     "is_moderated": false},
    "per_request_limits": null, "supported_parameters": ["tools"], "default_parameters": null,
    "knowledge_cutoff": "2023-10-01", "expiration_date": null})"));
  EXPECT_EQ(listing["data"][1]["name"], "local/llama");
  EXPECT_EQ(listing["data"][1]["pricing"], nullptr);
  EXPECT_EQ(listing["data"][1]["context_length"], nullptr);
}

TEST(ModelListing, PrintsThePricesThatAreSet) {
  CatalogueConfig config = sample();
  Prices& prices = *config.models[0].prices;
  prices.request = PicoUsd{1'000'000'000'000};
  prices.image = PicoUsd{3'613'000'000};
  prices.audio = PicoUsd{40'000'000};
  prices.audio_output = PicoUsd{80'000'000};
  prices.reasoning = PicoUsd{0};
  prices.cache_write = PicoUsd{3'000'000};
  prices.cache_write_1h = PicoUsd{5'000'000};
  const auto catalogue = testing::make_catalogue(std::move(config));
  EXPECT_EQ(json::parse(print_models(*catalogue, {}))["data"][0]["pricing"], json::parse(R"({
    "prompt": "0.0000025", "completion": "0.00001", "request": "1", "image": "0.003613",
    "audio": "0.00004", "audio_output": "0.00008", "internal_reasoning": "0",
    "input_cache_read": "0.00000125", "input_cache_write": "0.000003",
    "input_cache_write_1h": "0.000005"})"));
}

TEST(ModelListing, PrintsTiersFromTheirFirstToken) {
  CatalogueConfig config = sample();
  config.models[0].prices->tiers = {{.above_tokens = 200'000,
                                     .input = PicoUsd{5'000'000},
                                     .output = {},
                                     .cache_read = {},
                                     .cache_write = {}}};
  const auto catalogue = testing::make_catalogue(std::move(config));
  EXPECT_EQ(json::parse(print_models(*catalogue, {}))["data"][0]["pricing"]["overrides"],
            json::parse(R"([{"min_prompt_tokens": 200001, "prompt": "0.000005"}])"));
}

TEST(ModelListing, PrintsOnlyWhatTheKeyMayUse) {
  const auto catalogue = testing::make_catalogue(sample());
  const AllowedModels allowed{.ids = {{"local/llama", "gone/model"}}};
  const json listing = json::parse(print_models(*catalogue, allowed));
  ASSERT_EQ(listing["data"].size(), 1U);
  EXPECT_EQ(listing["data"][0]["id"], "local/llama");
  EXPECT_EQ(listing["total_count"], 1);
  EXPECT_EQ(print_model_count(*catalogue, allowed), R"({"data":{"count":1}})");
  EXPECT_EQ(print_model_count(*catalogue, {}), R"({"data":{"count":2}})");
  EXPECT_EQ(print_model_count(*catalogue, {.ids = {{}}}), R"({"data":{"count":0}})");
}

TEST(ModelListing, PrintsEndpointsWithoutWhatIsTheOperatorsAlone) {
  const auto catalogue = testing::make_catalogue(sample());
  const std::string text = print_endpoints(*catalogue->find("openai/gpt-4o")->model);
  EXPECT_EQ(text.find("TOP_SECRET"), std::string::npos);
  EXPECT_EQ(text.find("example"), std::string::npos);
  const json data = json::parse(text)["data"];
  EXPECT_EQ(data["id"], "openai/gpt-4o");
  EXPECT_EQ(data["endpoints"], json::parse(R"([{
    "name": "OpenAI | openai/gpt-4o", "model_id": "openai/gpt-4o", "model_name": "GPT-4o",
    "context_length": 128000, "provider_name": "OpenAI", "tag": "openai", "quantization": null,
    "pricing": {"prompt": "0.0000025", "completion": "0.00001", "request": "0",
                "input_cache_read": "0.00000125"},
    "max_completion_tokens": 16384, "max_prompt_tokens": null, "supported_parameters": ["tools"]
    }])"));
  EXPECT_EQ(json::parse(print_endpoints(*catalogue->models()[1]))["data"]["endpoints"][0]["tag"],
            "vllm/fast");
}

}  // namespace
}  // namespace gantry::gateway
