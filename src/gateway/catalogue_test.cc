#include "gateway/catalogue.h"

#include <functional>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "gateway/testing/catalogues.h"

namespace gantry::gateway {
namespace {

using testing::make_catalogue;
using testing::make_endpoint;
using testing::make_prices;
using testing::make_provider;

CatalogueConfig sample() {
  CatalogueConfig config;
  config.providers = {make_provider("openai"), make_provider("azure")};
  ModelConfig model{.id = "openai/gpt-4o", .aliases = {"gpt-4o"}, .prices = make_prices(5)};
  model.context_length = 1000;
  model.supported_parameters = {"tools"};
  model.endpoints = {make_endpoint("openai"), make_endpoint("azure", make_prices(7), "eu")};
  model.endpoints[1].context_length = 500;
  config.models.push_back(std::move(model));
  return config;
}

struct ProblemCase {
  std::string name;
  std::function<void(CatalogueConfig&)> spoil;
  std::string problem;
};

class CatalogueProblemTest : public ::testing::TestWithParam<ProblemCase> {};

TEST_P(CatalogueProblemTest, IsNamedByItsPath) {
  CatalogueConfig config = sample();
  GetParam().spoil(config);
  EXPECT_EQ(find_problems(config), std::vector{GetParam().problem});
  const auto built = Catalogue::build(config);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, Code::InvalidArgument);
  EXPECT_EQ(built.error().message, GetParam().problem);
}

using Config = CatalogueConfig;

INSTANTIATE_TEST_SUITE_P(
    Providers, CatalogueProblemTest,
    ::testing::Values(
        ProblemCase{"slug", [](Config& c) { c.providers.push_back(make_provider("Open_AI")); },
                    "gateway.providers[2].slug: \"Open_AI\" is not of a-z, 0-9 and -"},
        ProblemCase{"slug_twice", [](Config& c) { c.providers.push_back(make_provider("azure")); },
                    "gateway.providers[2].slug: \"azure\" is there twice"},
        ProblemCase{"scheme", [](Config& c) { c.providers[0].base_url = "ftp://a"; },
                    "gateway.providers[0].base_url: must begin with http:// or https://"},
        ProblemCase{"no_url", [](Config& c) { c.providers[0].base_url = ""; },
                    "gateway.providers[0].base_url: must begin with http:// or https://"},
        ProblemCase{"no_host", [](Config& c) { c.providers[0].base_url = "https:///v1"; },
                    "gateway.providers[0].base_url: has no host"},
        ProblemCase{"url_password", [](Config& c) { c.providers[0].base_url = "https://u:p@a/"; },
                    "gateway.providers[0].base_url: must not have a user or password; use keys"},
        ProblemCase{"url_query", [](Config& c) { c.providers[0].base_url = "https://a/?k=1"; },
                    "gateway.providers[0].base_url: must not have a query or fragment"},
        ProblemCase{"url_space", [](Config& c) { c.providers[0].base_url = "https://a b/"; },
                    "gateway.providers[0].base_url: must not have spaces or characters outside "
                    "ASCII"},
        ProblemCase{"pasted_secret",
                    [](Config& c) {
                      c.providers[1].keys.push_back({.secret_reference = "sk-very-secret"});
                    },
                    "gateway.providers[1].keys[0].secret: must be env:NAME, file:NAME or "
                    "sealed:NAME"},
        ProblemCase{"empty_reference",
                    [](Config& c) { c.providers[1].keys.push_back({.secret_reference = "env:"}); },
                    "gateway.providers[1].keys[0].secret: must be env:NAME, file:NAME or "
                    "sealed:NAME"},
        ProblemCase{"weight",
                    [](Config& c) {
                      c.providers[1].keys = {{.secret_reference = "env:A"},
                                             {.secret_reference = "env:B", .weight = 0}};
                    },
                    "gateway.providers[1].keys[1].weight: 0 is not from 1 to 1000000"},
        ProblemCase{"reserved_header",
                    [](Config& c) { c.providers[0].headers = {{"Authorization", "x"}}; },
                    "gateway.providers[0].headers: \"Authorization\" is set by the gateway"},
        ProblemCase{"header_name", [](Config& c) { c.providers[0].headers = {{"a b", "x"}}; },
                    "gateway.providers[0].headers: \"a b\" is not a header's name"},
        ProblemCase{"header_value", [](Config& c) { c.providers[0].headers = {{"a", "x\r\ny"}}; },
                    "gateway.providers[0].headers: the value of \"a\" has control characters"},
        ProblemCase{"forwarded_name", [](Config& c) { c.providers[0].forward_headers = {{"a b"}}; },
                    "gateway.providers[0].forward_headers: \"a b\" is not a header's name"},
        ProblemCase{"forwarded_secret",
                    [](Config& c) { c.providers[0].forward_headers = {{"x-ok", "Authorization"}}; },
                    "gateway.providers[0].forward_headers: \"Authorization\" is never passed on"},
        ProblemCase{"api_version", [](Config& c) { c.providers[0].api_version = "2024-10-21"; },
                    "gateway.providers[0].api_version: is of the type azure-openai alone"},
        ProblemCase{"timeout", [](Config& c) { c.providers[0].timeouts.idle = {0}; },
                    "gateway.providers[0].timeouts.idle: must be above 0"},
        ProblemCase{"concurrency", [](Config& c) { c.providers[0].max_concurrent = 0; },
                    "gateway.providers[0].max_concurrent: must be above 0"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Models, CatalogueProblemTest,
    ::testing::Values(
        ProblemCase{"id_form", [](Config& c) { c.models[0].id = "gpt"; },
                    "gateway.models[0].id: \"gpt\" is not of the form author/slug"},
        ProblemCase{"id_slashes", [](Config& c) { c.models[0].id = "a/b/c"; },
                    "gateway.models[0].id: \"a/b/c\" is not of the form author/slug"},
        ProblemCase{"id_suffix", [](Config& c) { c.models[0].id = "a/b:nitro"; },
                    "gateway.models[0].id: \"a/b:nitro\" ends in a suffix that asks for an order"},
        ProblemCase{"alias_twice", [](Config& c) { c.models[0].aliases.push_back("gpt-4o"); },
                    "gateway.models[0].aliases[1]: \"gpt-4o\" is there twice, as an id or alias"},
        ProblemCase{"alias_is_id",
                    [](Config& c) { c.models[0].aliases.push_back("openai/gpt-4o"); },
                    "gateway.models[0].aliases[1]: \"openai/gpt-4o\" is there twice, as an id or "
                    "alias"},
        ProblemCase{"empty_alias", [](Config& c) { c.models[0].aliases = {""}; },
                    "gateway.models[0].aliases[0]: must not be empty or have spaces or characters "
                    "outside ASCII"},
        ProblemCase{"price", [](Config& c) { c.models[0].prices->output = PicoUsd{-1}; },
                    "gateway.models[0].pricing.completion: not from 0 to 1,000,000 USD"},
        ProblemCase{"cache_price",
                    [](Config& c) {
                      c.models[0].endpoints[1].prices->cache_read =
                          PicoUsd{1'000'000'000'000'000'001};
                    },
                    "gateway.models[0].endpoints[1].pricing.input_cache_read: not from 0 to "
                    "1,000,000 USD"},
        ProblemCase{"image_price", [](Config& c) { c.models[0].prices->image = PicoUsd{-1}; },
                    "gateway.models[0].pricing.image: not from 0 to 1,000,000 USD"},
        ProblemCase{"tier_order",
                    [](Config& c) {
                      c.models[0].prices->tiers.resize(2);
                      c.models[0].prices->tiers[0].above_tokens = 9;
                      c.models[0].prices->tiers[1].above_tokens = 9;
                    },
                    "gateway.models[0].pricing.overrides[1].above_tokens: must be above 0, and "
                    "above that of the one before"},
        ProblemCase{"tier_audio_price",
                    [](Config& c) {
                      c.models[0].prices->tiers.resize(1);
                      c.models[0].prices->tiers[0].above_tokens = 9;
                      c.models[0].prices->tiers[0].audio = PicoUsd{-1};
                    },
                    "gateway.models[0].pricing.overrides[0].audio: not from 0 to 1,000,000 USD"},
        ProblemCase{"tier_price",
                    [](Config& c) {
                      c.models[0].prices->tiers.resize(1);
                      c.models[0].prices->tiers[0].above_tokens = 9;
                      c.models[0].prices->tiers[0].output = PicoUsd{-1};
                    },
                    "gateway.models[0].pricing.overrides[0].completion: not from 0 to 1,000,000 "
                    "USD"},
        ProblemCase{"context", [](Config& c) { c.models[0].context_length = 0; },
                    "gateway.models[0].context_length: must be above 0"},
        ProblemCase{"modalities", [](Config& c) { c.models[0].input_modalities.clear(); },
                    "gateway.models[0].input_modalities: must not be empty"},
        ProblemCase{"no_endpoint", [](Config& c) { c.models[0].endpoints.clear(); },
                    "gateway.models[0].endpoints: at least one is required"},
        ProblemCase{"provider", [](Config& c) { c.models[0].endpoints[0].provider = "nobody"; },
                    "gateway.models[0].endpoints[0].provider: no provider has the slug \"nobody\""},
        ProblemCase{"variant", [](Config& c) { c.models[0].endpoints[0].variant = "EU"; },
                    "gateway.models[0].endpoints[0].variant: \"EU\" is not of a-z, 0-9 and -"},
        ProblemCase{"upstream_model", [](Config& c) { c.models[0].endpoints[0].model = ""; },
                    "gateway.models[0].endpoints[0].model: required"},
        ProblemCase{"output_limit",
                    [](Config& c) { c.models[0].endpoints[0].output_tokens_max = -1; },
                    "gateway.models[0].endpoints[0].max_completion_tokens: must be above 0"},
        ProblemCase{"endpoint_modalities",
                    [](Config& c) { c.models[0].endpoints[0].input_modalities.emplace(); },
                    "gateway.models[0].endpoints[0].input_modalities: must not be empty"},
        ProblemCase{"endpoint_twice",
                    [](Config& c) { c.models[0].endpoints.push_back(c.models[0].endpoints[0]); },
                    "gateway.models[0].endpoints[2]: the same as one before it; give one of them "
                    "a variant"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Tokenizers, CatalogueProblemTest,
    ::testing::Values(
        ProblemCase{"file", [](Config& c) { c.tokenizers = {{.models = {"*"}}}; },
                    "gateway.tokenizers[0].file: required"},
        ProblemCase{"no_models", [](Config& c) { c.tokenizers = {{.file = "x"}}; },
                    "gateway.tokenizers[0].models: at least one is required"},
        ProblemCase{"star",
                    [](Config& c) { c.tokenizers = {{.file = "x", .models = {"a/*", "a*b"}}}; },
                    "gateway.tokenizers[0].models[1]: \"a*b\" is not a model's id, or the "
                    "beginning of one and a *"},
        ProblemCase{"empty_model",
                    [](Config& c) { c.tokenizers = {{.file = "x", .models = {""}}}; },
                    "gateway.tokenizers[0].models[0]: \"\" is not a model's id, or the beginning "
                    "of one and a *"}),
    [](const auto& info) { return info.param.name; });

TEST(Catalogue, TokenizersCountModelsByIdOrBeginning) {
  const TokenizerConfig config{.models = {"openai/gpt-4", "openai/o*", "azure/*"}};
  for (const auto* const id : {"openai/gpt-4", "openai/o3", "openai/o", "azure/gpt-4o"}) {
    EXPECT_TRUE(config.counts(id)) << id;
  }
  for (const auto* const id : {"openai/gpt-4o", "openai/gpt", "azur", "x/openai/o3"}) {
    EXPECT_FALSE(config.counts(id)) << id;
  }
}

TEST(Catalogue, TellsAllProblemsAtOnce) {
  CatalogueConfig config = sample();
  config.providers[0].max_concurrent = 0;
  config.models[0].endpoints.clear();
  const auto built = Catalogue::build(config);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().message,
            "gateway.providers[0].max_concurrent: must be above 0\n"
            "gateway.models[0].endpoints: at least one is required");
}

TEST(Catalogue, EndpointsInheritWhatTheyDoNotSay) {
  const auto catalogue = make_catalogue(sample());
  const auto& endpoints = catalogue->find("openai/gpt-4o")->model->endpoints;
  ASSERT_EQ(endpoints.size(), 2U);
  EXPECT_EQ(endpoints[0]->tag, "openai");
  EXPECT_EQ(endpoints[0]->prices->input, PicoUsd{5});
  EXPECT_EQ(endpoints[0]->context_length, 1000);
  EXPECT_EQ(endpoints[1]->tag, "azure/eu");
  EXPECT_EQ(endpoints[1]->prices->input, PicoUsd{7});
  EXPECT_EQ(endpoints[1]->context_length, 500);
  EXPECT_EQ(endpoints[1]->supported_parameters, std::vector<std::string>{"tools"});
}

TEST(Catalogue, FindsByIdAliasAndSuffix) {
  const auto catalogue = make_catalogue(sample());
  const auto found = [&](std::string_view name) {
    const auto match = catalogue->find(name);
    return match ? match->model->config.id : "";
  };
  EXPECT_EQ(found("openai/gpt-4o"), "openai/gpt-4o");
  EXPECT_EQ(found("gpt-4o"), "openai/gpt-4o");
  EXPECT_EQ(found("gpt-4o:nitro"), "openai/gpt-4o");
  EXPECT_EQ(catalogue->find("gpt-4o")->sort, std::nullopt);
  EXPECT_EQ(catalogue->find("gpt-4o:nitro")->sort, SortBy::Throughput);
  EXPECT_EQ(catalogue->find("openai/gpt-4o:floor")->sort, SortBy::Price);
  EXPECT_EQ(found("gpt-4o:free"), "");
  EXPECT_EQ(found("gpt-4o:nitro:nitro"), "");
  EXPECT_EQ(found(""), "");
  EXPECT_EQ(found(":nitro"), "");
  EXPECT_EQ(found("openai/o9"), "");
}

TEST(Catalogue, UnlistedModelsGoToTheProviderOfTheirName) {
  CatalogueConfig config = sample();
  config.allows_unlisted = true;
  const auto catalogue = make_catalogue(config);
  const auto match = catalogue->find("azure/meta/llama:8b");
  ASSERT_TRUE(match);
  EXPECT_FALSE(match->model->is_listed);
  EXPECT_EQ(match->model->config.id, "azure/meta/llama:8b");
  ASSERT_EQ(match->model->endpoints.size(), 1U);
  EXPECT_EQ(match->model->endpoints[0]->upstream_model, "meta/llama:8b");
  EXPECT_EQ(match->model->endpoints[0]->provider->slug, "azure");
  EXPECT_EQ(match->model->endpoints[0]->prices, std::nullopt);
  EXPECT_TRUE(catalogue->find("openai/gpt-4o")->model->is_listed);
  EXPECT_FALSE(catalogue->find("nobody/llama"));
  EXPECT_FALSE(catalogue->find("azure/"));
  EXPECT_FALSE(catalogue->find("azure"));
  EXPECT_EQ(catalogue->find("azure/x:floor")->model->endpoints[0]->upstream_model, "x");
}

TEST(Catalogue, EndpointIdsOutliveAReloadAndDiffer) {
  CatalogueConfig config = sample();
  config.allows_unlisted = true;
  const auto before = make_catalogue(config)->endpoint_ids();
  config.models[0].prices = make_prices(99);
  config.models[0].description = "new";
  const auto catalogue = make_catalogue(config);
  EXPECT_EQ(catalogue->endpoint_ids(), before);
  EXPECT_EQ(std::set<EndpointId>(before.begin(), before.end()).size(), 4U);
  // However many names clients make up, there is one endpoint for them.
  EXPECT_EQ(catalogue->find("azure/a")->model->endpoints[0]->id,
            catalogue->find("azure/b")->model->endpoints[0]->id);
}

TEST(Catalogue, ModelsOutliveTheirCatalogue) {
  auto catalogue = make_catalogue(sample());
  const auto model = catalogue->find("gpt-4o")->model;
  catalogue.reset();
  EXPECT_EQ(model->endpoints[1]->provider->slug, "azure");
}

TEST(Provider, ServesTheApisThatNeedNoTranslation) {
  const auto served = [](const Provider& provider) {
    std::string out;
    for (const auto& [api, letter] :
         {std::pair(Api::Chat, 'c'), std::pair(Api::Completions, 'l'),
          std::pair(Api::Embeddings, 'e'), std::pair(Api::Responses, 'r'),
          std::pair(Api::Messages, 'm')}) {
      if (provider.serves(api)) out.push_back(letter);
    }
    return out;
  };
  Provider provider = make_provider("a");
  EXPECT_EQ(served(provider), "cle");
  provider.has_responses_api = true;
  EXPECT_EQ(served(provider), "cler");
  provider.type = ProviderType::Anthropic;
  EXPECT_EQ(served(provider), "m");
}

}  // namespace
}  // namespace gantry::gateway
