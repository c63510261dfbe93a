#include "gateway/gateway_settings.h"

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gantry::gateway {
namespace {

using nlohmann::ordered_json;

SettingNode node_of(const ordered_json& value, std::string key = {}) {
  SettingNode node;
  node.key = std::move(key);
  node.place = "gantry.yaml:1:1";
  if (value.is_object()) {
    node.kind = SettingNode::Kind::Map;
    for (const auto& [name, member] : value.items()) node.items.push_back(node_of(member, name));
  } else if (value.is_array()) {
    node.kind = SettingNode::Kind::List;
    for (const auto& item : value) node.items.push_back(node_of(item));
  } else if (!value.is_null()) {
    node.kind = SettingNode::Kind::Scalar;
    node.text = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return node;
}

Result<GatewaySettings> read(std::string_view text) {
  return read_gateway_settings(node_of(ordered_json::parse(text)));
}

std::string error_of(std::string_view text) {
  const auto settings = read(text);
  return settings ? "" : settings.error().message;
}

TEST(GatewaySettings, ReadsTheWholeSection) {
  const auto settings = read(R"({
    "enabled": true, "service_name": "llm", "metadata_namespace": "acme", "semconv": "latest",
    "max_concurrent": 7, "body_bytes_max": "1MiB", "always_include_usage": true,
    "overhead_header": false, "deadline": "90s",
    "providers": [{"slug": "openai", "name": "OpenAI", "type": "openai",
      "base_url": "https://api.openai.com/v1", "responses": true,
      "keys": [{"secret": "env:OPENAI_API_KEY", "weight": 3}, {"secret": "file:openai2"}],
      "headers": {"x-team": "blue"}, "stream_usage": "native", "max_concurrent": 512,
      "timeouts": {"connect": "5s", "headers": "1m", "idle": "2s", "total": "600s"}}],
    "models": [{"id": "openai/gpt-4o", "aliases": ["gpt-4o"], "context_length": 128000,
      "pricing": {"prompt": "0.0000025", "completion": "0.00001",
                  "input_cache_read": "0.00000125"},
      "endpoints": [{"provider": "openai", "model": "gpt-4o"},
                    {"provider": "openai", "variant": "eu", "model": "gpt-4o",
                     "pricing": {"prompt": 0, "completion": 0}}]}]})");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_TRUE(settings->is_enabled);
  EXPECT_EQ(settings->trace.service_name, "llm");
  EXPECT_EQ(settings->trace.metadata_namespace, "acme");
  EXPECT_EQ(settings->options.calls.metadata_namespace, "acme");
  EXPECT_EQ(settings->conventions, SemanticConventions::Latest);
  EXPECT_EQ(settings->options.calls_max, 7U);
  EXPECT_EQ(settings->options.body_bytes_max, 1U << 20);
  EXPECT_TRUE(settings->options.calls.always_includes_usage);
  EXPECT_EQ(settings->options.calls.overhead, AnswerDetails::Hidden);
  EXPECT_EQ(settings->options.calls.deadline, DurationMs{90'000});
  const Provider& provider = settings->catalogue.providers.at(0);
  EXPECT_EQ(provider.keys.at(0).secret_reference, "env:OPENAI_API_KEY");
  EXPECT_EQ(provider.keys.at(0).weight, 3U);
  EXPECT_EQ(provider.keys.at(1).weight, 1U);
  EXPECT_EQ(provider.headers.at(0).second, "blue");
  EXPECT_EQ(provider.timeouts.headers, DurationMs{60'000});
  EXPECT_EQ(provider.stream_usage, StreamUsageSupport::Native);
  EXPECT_TRUE(provider.has_responses_api);
  const ModelConfig& model = settings->catalogue.models.at(0);
  EXPECT_EQ(model.prices->input, PicoUsd{2'500'000});
  EXPECT_EQ(model.prices->cache_read, PicoUsd{1'250'000});
  EXPECT_EQ(model.endpoints.at(1).variant, "eu");
  EXPECT_EQ(model.endpoints.at(1).prices->input, PicoUsd{0});
  EXPECT_TRUE(Catalogue::build(settings->catalogue));
}

TEST(GatewaySettings, ReadsTiersAndWhatProvidersAreToldAndTrustedWith) {
  const auto settings = read(R"({
    "prices_as_of": "2026-09-30",
    "providers": [{"slug": "azure", "type": "azure-openai", "base_url": "https://x/openai",
      "api_version": "2024-10-21", "forward_headers": ["x-team"], "trust_upstream_cost": true}],
    "models": [{"id": "a/b", "endpoints": [{"provider": "azure", "model": "b"}],
      "pricing": {"prompt": "0.000001", "completion": "0.000002", "overrides": [
        {"above_tokens": 200000, "prompt": "0.000003", "input_cache_read": "0.0000001"}]}}]})");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->catalogue.prices_as_of, TimestampMs{1'790'726'400'000});
  const Provider& provider = settings->catalogue.providers.at(0);
  EXPECT_EQ(provider.api_version, "2024-10-21");
  EXPECT_EQ(provider.forward_headers, std::vector<std::string>{"x-team"});
  EXPECT_TRUE(provider.trusts_upstream_cost);
  const Prices prices = settings->catalogue.models.at(0).prices->at(200'001);
  EXPECT_EQ(prices.input, PicoUsd{3'000'000});
  EXPECT_EQ(prices.output, PicoUsd{2'000'000});
  EXPECT_EQ(prices.cache_read, PicoUsd{100'000});
  EXPECT_EQ(error_of(R"({"prices_as_of": "2026-02-30"})"),
            "gantry.yaml:1:1: gateway.prices_as_of: \"2026-02-30\" is not a day such as "
            "2026-01-31");
  EXPECT_NE(error_of(R"({"prices_as_of": "30.9.2026"})"), "");
}

TEST(GatewaySettings, ReadsThePricesOfEveryKindOfToken) {
  const auto settings = read(R"({
    "providers": [{"slug": "x", "base_url": "https://x/v1"}],
    "models": [{"id": "a/b", "endpoints": [{"provider": "x", "model": "b"}], "pricing": {
      "prompt": "0.000001", "completion": "0.000002", "request": "0.01", "image": "0.003",
      "audio": "0.000004", "audio_output": "0.000005", "internal_reasoning": "0.000006",
      "input_cache_read": "0.000007", "input_cache_write": "0.000008",
      "input_cache_write_1h": "0.000009", "overrides": [{"above_tokens": 10,
        "audio": "0.00004", "audio_output": "0.00005", "internal_reasoning": "0.00006",
        "input_cache_write": "0.00008", "input_cache_write_1h": "0.00009"}]}}]})");
  ASSERT_TRUE(settings) << settings.error().message;
  const Prices prices = *settings->catalogue.models.at(0).prices;
  EXPECT_EQ(prices.request, PicoUsd{10'000'000'000});
  EXPECT_EQ(prices.image, PicoUsd{3'000'000'000});
  EXPECT_EQ(prices.audio, PicoUsd{4'000'000});
  EXPECT_EQ(prices.audio_output, PicoUsd{5'000'000});
  EXPECT_EQ(prices.reasoning, PicoUsd{6'000'000});
  EXPECT_EQ(prices.cache_read, PicoUsd{7'000'000});
  EXPECT_EQ(prices.cache_write, PicoUsd{8'000'000});
  EXPECT_EQ(prices.cache_write_1h, PicoUsd{9'000'000});
  const Prices above = prices.at(11);
  EXPECT_EQ(above.audio, PicoUsd{40'000'000});
  EXPECT_EQ(above.audio_output, PicoUsd{50'000'000});
  EXPECT_EQ(above.reasoning, PicoUsd{60'000'000});
  EXPECT_EQ(above.cache_read, PicoUsd{7'000'000});
  EXPECT_EQ(above.cache_write, PicoUsd{80'000'000});
  EXPECT_EQ(above.cache_write_1h, PicoUsd{90'000'000});
  EXPECT_EQ(error_of(R"({"models": [{"pricing": {"images": "1"}}]})"),
            "gantry.yaml:1:1: gateway.models[0].pricing.images: unknown key");
  EXPECT_EQ(error_of(R"({"models": [{"pricing": {"overrides": [{"image": "1"}]}}]})"),
            "gantry.yaml:1:1: gateway.models[0].pricing.overrides[0].image: unknown key");
}

TEST(GatewaySettings, ReadsTokenizers) {
  const auto settings = read(R"({"tokenizers": [
    {"encoding": "cl100k_base", "file": "/c.tiktoken", "models": ["openai/gpt-4", "azure/*"]},
    {"file": "/o.tiktoken", "models": ["*"]}]})");
  ASSERT_TRUE(settings) << settings.error().message;
  const auto& tokenizers = settings->catalogue.tokenizers;
  ASSERT_EQ(tokenizers.size(), 2U);
  EXPECT_EQ(tokenizers[0].encoding, Encoding::Cl100kBase);
  EXPECT_EQ(tokenizers[0].file, "/c.tiktoken");
  EXPECT_EQ(tokenizers[0].models, (std::vector<std::string>{"openai/gpt-4", "azure/*"}));
  EXPECT_EQ(tokenizers[1].encoding, Encoding::O200kBase);
  EXPECT_TRUE(is_reloadable_setting("tokenizers"));
  EXPECT_EQ(error_of(R"({"tokenizers": [{"encoding": "p50k_base"}]})"),
            "gantry.yaml:1:1: gateway.tokenizers[0].encoding: \"p50k_base\" is not one of "
            "o200k_base, cl100k_base");
  EXPECT_EQ(error_of(R"({"tokenizers": [{"name": "x"}]})"),
            "gantry.yaml:1:1: gateway.tokenizers[0].name: unknown key");
}

TEST(GatewaySettings, IsOffByDefault) {
  const auto settings = read("{}");
  ASSERT_TRUE(settings);
  EXPECT_FALSE(settings->is_enabled);
  EXPECT_EQ(settings->trace.service_name, "openrouter");
}

TEST(GatewaySettings, ErrorsSayWhere) {
  EXPECT_EQ(error_of(R"({"provider": []})"), "gantry.yaml:1:1: gateway.provider: unknown key");
  EXPECT_EQ(error_of(R"({"providers": {}})"), "gantry.yaml:1:1: gateway.providers: must be a list");
  EXPECT_EQ(error_of(R"({"providers": [{"slog": "x"}]})"),
            "gantry.yaml:1:1: gateway.providers[0].slog: unknown key");
  EXPECT_EQ(error_of(R"({"providers": [{"type": "open"}]})"),
            "gantry.yaml:1:1: gateway.providers[0].type: \"open\" is not one of openai, anthropic, "
            "azure-openai, gemini");
  EXPECT_EQ(error_of(R"({"deadline": "soon"})"),
            "gantry.yaml:1:1: gateway.deadline: \"soon\" is not a duration such as 30s");
  EXPECT_EQ(error_of(R"({"max_queue": -1})"),
            "gantry.yaml:1:1: gateway.max_queue: \"-1\" is not a whole number in its range");
  EXPECT_EQ(error_of(R"({"max_concurrent": 0})"),
            "gantry.yaml:1:1: gateway.max_concurrent: must be above 0");
  EXPECT_NE(error_of(R"({"models": [{"id": "a/b", "pricing": {"prompt": "-1"}}]})"), "");
  EXPECT_NE(error_of(R"({"models": [{"id": "a/b"}]})"), "") << "without an endpoint";
}

TEST(GatewaySettings, NeverRepeatsASecret) {
  const std::string message = error_of(R"({"providers": [{"slug": "x", "base_url": "https://x",
      "keys": [{"secret": "sk-plain-secret"}]}]})");
  EXPECT_NE(message, "");
  EXPECT_FALSE(message.contains("sk-plain-secret")) << message;
}

}  // namespace
}  // namespace gantry::gateway
