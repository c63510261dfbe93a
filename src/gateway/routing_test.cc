#include "gateway/routing.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/testing/catalogues.h"

namespace gantry::gateway {
namespace {

using testing::make_endpoint;
using testing::make_prices;
using testing::make_provider;

class RoutingTest : public ::testing::Test {
 protected:
  RoutingTest() {
    config_.providers = {make_provider("cheap"), make_provider("mid"), make_provider("dear"),
                         make_provider("claude", ProviderType::Anthropic)};
    add_model("a/one",
              {make_endpoint("cheap", make_prices(1)), make_endpoint("mid", make_prices(2)),
               make_endpoint("dear", make_prices(3), "eu")});
    add_model("a/two",
              {make_endpoint("cheap", make_prices(10)), make_endpoint("mid", make_prices(1))});
    request_.models = {"a/one"};
  }

  void add_model(std::string id, std::vector<EndpointConfig> endpoints) {
    ModelConfig model{.id = std::move(id)};
    model.endpoints = std::move(endpoints);
    config_.models.push_back(std::move(model));
  }

  std::expected<Route, TypedError> route() {
    catalogue_ = testing::make_catalogue(config_);
    return router_.route(*catalogue_, request_);
  }

  /// "a/one cheap, a/one mid"
  std::string routed() {
    const auto route = this->route();
    if (!route) return "error: " + route.error().message;
    std::string out;
    for (const Candidate& candidate : route->candidates) {
      if (!out.empty()) out += ", ";
      out += candidate.model->config.id + " " + candidate.endpoint->tag;
    }
    return out;
  }

  EndpointId endpoint(std::size_t model, std::size_t index) {
    return testing::make_catalogue(config_)->models()[model]->endpoints[index]->id;
  }

  void break_endpoint(EndpointId id) {
    for (int i = 0; i < 5; ++i) breakers_.of(id)->try_begin()->end(AttemptOutcome::Failure);
  }

  /// How often each provider comes first in 4,000 requests.
  std::map<std::string, int> first_places() {
    catalogue_ = testing::make_catalogue(config_);
    std::map<std::string, int> firsts;
    for (int i = 0; i < 4'000; ++i) {
      ++firsts[router_.route(*catalogue_, request_)->candidates.front().endpoint->provider->slug];
    }
    return firsts;
  }

  ManualClock clock_{TimestampMs{1'000'000}};
  Breakers breakers_{clock_};
  EndpointStatistics statistics_{clock_};
  StickySessions sessions_{clock_};
  RandomSource random_{1};
  Router router_{breakers_, statistics_, sessions_, random_};
  CatalogueConfig config_;
  std::shared_ptr<const Catalogue> catalogue_;
  RoutingRequest request_;
};

TEST_F(RoutingTest, PicksByOneOverPriceSquared) {
  // 1 : 1/4 : 1/9
  const auto firsts = first_places();
  constexpr double kTotal = 1 + 1.0 / 4 + 1.0 / 9;
  EXPECT_NEAR(firsts.at("cheap"), 4'000 / kTotal, 100);
  EXPECT_NEAR(firsts.at("mid"), 4'000 / 4 / kTotal, 100);
  EXPECT_NEAR(firsts.at("dear"), 4'000 / 9 / kTotal, 100);
}

TEST_F(RoutingTest, PicksTheRestByTheirWeightsToo) {
  request_.preferences.ignore = {"cheap"};
  const auto firsts = first_places();
  EXPECT_NEAR(firsts.at("mid"), 4'000 * 9.0 / 13, 100);
}

TEST_F(RoutingTest, UnpricedEndpointsMakeAllWeightsEqual) {
  config_.models[0].endpoints[2].prices.reset();
  const auto firsts = first_places();
  for (const char* provider : {"cheap", "mid", "dear"}) {
    EXPECT_NEAR(firsts.at(provider), 4'000 / 3, 100) << provider;
  }
}

TEST_F(RoutingTest, WhatCostsNothingComesFirst) {
  config_.models[0].endpoints[1].prices = make_prices(0);
  config_.models[0].endpoints[2].prices = make_prices(0);
  const auto firsts = first_places();
  EXPECT_EQ(firsts.count("cheap"), 0U);
  EXPECT_NEAR(firsts.at("mid"), 2'000, 100);
}

TEST_F(RoutingTest, SignificantFailuresPutAnEndpointBehindForThirtySeconds) {
  statistics_.record(
      endpoint(0, 0),
      {.outcome = AttemptOutcome::Failure, .latency_s = {}, .tokens_per_second = {}});
  catalogue_ = testing::make_catalogue(config_);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(router_.route(*catalogue_, request_)->candidates.back().endpoint->tag, "cheap");
  }
  clock_.advance({30'000});
  EXPECT_GT(first_places()["cheap"], 2'000);
}

TEST_F(RoutingTest, ASessionStaysWithItsProvider) {
  request_.session_owner = "key";
  request_.session = "s";
  sessions_.record_success({.owner = "key", .session = "s", .model = "a/one"}, "dear");
  EXPECT_EQ(first_places(), (std::map<std::string, int>{{"dear", 4'000}}));
  request_.preferences.sort = SortBy::Price;
  EXPECT_EQ(routed(), "a/one cheap, a/one mid, a/one dear/eu");
  request_.preferences.sort.reset();
  request_.preferences.order = {"mid"};
  EXPECT_TRUE(routed().starts_with("a/one mid, a/one dear/eu, "));
}

TEST_F(RoutingTest, SortsByPriceWithoutBalancing) {
  request_.preferences.sort = SortBy::Price;
  request_.models = {"a/one", "a/two"};
  EXPECT_EQ(routed(), "a/one cheap, a/one mid, a/one dear/eu, a/two mid, a/two cheap");
  request_.preferences.partition = SortPartition::None;
  EXPECT_EQ(routed(), "a/one cheap, a/two mid, a/one mid, a/one dear/eu, a/two cheap");
  config_.models[0].endpoints[0].prices.reset();
  EXPECT_TRUE(routed().ends_with(", a/one cheap"));
}

TEST_F(RoutingTest, PricesOfALongInputAreThoseOfItsTier) {
  config_.models[0].endpoints[0].prices->tiers = {{.above_tokens = 1'000,
                                                   .input = PicoUsd{1'000'000},
                                                   .output = {},
                                                   .cache_read = {},
                                                   .cache_write = {}}};
  request_.preferences.sort = SortBy::Price;
  request_.input_tokens = 1'000;
  EXPECT_EQ(routed(), "a/one cheap, a/one mid, a/one dear/eu");
  request_.input_tokens = 1'001;
  EXPECT_EQ(routed(), "a/one mid, a/one dear/eu, a/one cheap");
  request_.preferences.max_price.prompt = PicoUsd{999'999};
  EXPECT_EQ(routed(), "a/one mid, a/one dear/eu");
}

TEST_F(RoutingTest, SortsByMeasuredPace) {
  statistics_.record(endpoint(0, 1), {.latency_s = 2, .tokens_per_second = 50});
  statistics_.record(endpoint(0, 2), {.latency_s = 1, .tokens_per_second = 20});
  request_.preferences.sort = SortBy::Latency;
  EXPECT_EQ(routed(), "a/one dear/eu, a/one mid, a/one cheap");
  request_.preferences.sort = SortBy::Throughput;
  EXPECT_EQ(routed(), "a/one mid, a/one dear/eu, a/one cheap");
}

TEST_F(RoutingTest, ASuffixSortsItsModelUnlessTheRequestSaysOtherwise) {
  statistics_.record(endpoint(0, 2), {.latency_s = 1, .tokens_per_second = 20});
  request_.models = {"a/one:floor", "a/two:floor"};
  EXPECT_EQ(routed(), "a/one cheap, a/one mid, a/one dear/eu, a/two mid, a/two cheap");
  request_.models = {"a/one:nitro"};
  EXPECT_TRUE(routed().starts_with("a/one dear/eu, "));
  request_.preferences.sort = SortBy::Price;
  EXPECT_TRUE(routed().starts_with("a/one cheap, "));
}

TEST_F(RoutingTest, OrderGoesFirstAndVariantsFollowTheirSlug) {
  request_.preferences.order = {"nobody", "dear", "mid"};
  EXPECT_EQ(routed(), "a/one dear/eu, a/one mid, a/one cheap");
  request_.preferences.order = {"dear/us", "mid"};
  request_.preferences.allows_fallbacks = false;
  EXPECT_EQ(routed(), "a/one mid");
  request_.preferences.order = {"dear/eu"};
  EXPECT_EQ(routed(), "a/one dear/eu");
}

TEST_F(RoutingTest, WithoutFallbacksAndOrderOnlyTheFirstIsTried) {
  request_.preferences.sort = SortBy::Price;
  request_.preferences.allows_fallbacks = false;
  EXPECT_EQ(routed(), "a/one cheap");
}

TEST_F(RoutingTest, SlowEndpointsMoveToTheEndButStay) {
  request_.preferences.sort = SortBy::Price;
  request_.preferences.latency_s_max = {1.0, {}, {}, {}};
  statistics_.record(endpoint(0, 0), {.latency_s = 1.5, .tokens_per_second = {}});
  statistics_.record(endpoint(0, 1), {.latency_s = 1.0, .tokens_per_second = 10.0});
  EXPECT_EQ(routed(), "a/one mid, a/one dear/eu, a/one cheap");
  request_.preferences.tokens_per_second_min.at(2) = 11.0;
  EXPECT_EQ(routed(), "a/one dear/eu, a/one cheap, a/one mid");
}

TEST_F(RoutingTest, ModelsFollowEachOtherAndRepeatNothing) {
  request_.preferences.sort = SortBy::Price;
  config_.models[1].aliases = {"deux"};
  request_.models = {"a/two", "a/one", "deux", "a/two:nitro"};
  EXPECT_EQ(routed(), "a/two mid, a/two cheap, a/one cheap, a/one mid, a/one dear/eu");
}

TEST_F(RoutingTest, AnUnknownModelIsTheClientsError) {
  request_.models = {"a/one", "acme/fake-1.0"};
  const auto route = this->route();
  ASSERT_FALSE(route);
  EXPECT_EQ(route.error().message, "acme/fake-1.0 is not a valid model ID");
  EXPECT_EQ(openai_error_body(route.error()),
            R"({"error":{"code":400,"message":"acme/fake-1.0 is not a valid model ID",)"
            R"("metadata":{"error_type":"invalid_request"},"availability":{)"
            R"("code":"model_not_found","retryable":false,"retry_after":null,)"
            R"("requested_models":["a/one","acme/fake-1.0"],"affected_providers":[],)"
            R"("excluded_by":[],"fallback_models":["acme/fake-1.0"],"constraint":null,)"
            R"("docs_url":null}}})");
}

TEST_F(RoutingTest, OpenBreakersTakeEndpointsOutUnlessNoneIsLeft) {
  request_.preferences.sort = SortBy::Price;
  break_endpoint(endpoint(0, 1));
  EXPECT_EQ(routed(), "a/one cheap, a/one dear/eu");
  clock_.advance({10'000});
  break_endpoint(endpoint(0, 0));
  break_endpoint(endpoint(0, 2));
  EXPECT_EQ(routed(), "a/one mid");
  EXPECT_TRUE(route()->is_forced);
  clock_.advance({20'000});
  EXPECT_EQ(routed(), "a/one mid");
  EXPECT_FALSE(route()->is_forced);
}

struct FilterCase {
  std::string name;
  std::function<void(RoutingRequest&)> demand;
  std::string routed;  ///< Or the only thing that excluded.
  std::string code;    ///< "": there is a route.
};

class RoutingFilterTest : public RoutingTest, public ::testing::WithParamInterface<FilterCase> {};

TEST_P(RoutingFilterTest, KeepsWhatMeetsTheDemand) {
  add_model("a/see", {make_endpoint("mid"), make_endpoint("dear")});
  config_.models.back().endpoints[0].input_modalities = {"text", "image"};
  config_.models.back().endpoints[0].supported_parameters = {"tools", "max_completion_tokens"};
  add_model("a/claude", {make_endpoint("claude")});
  request_.preferences.sort = SortBy::Price;
  GetParam().demand(request_);
  const auto route = this->route();
  ASSERT_EQ(route.has_value(), GetParam().code.empty());
  if (route) {
    EXPECT_EQ(routed(), GetParam().routed);
    return;
  }
  EXPECT_EQ(route.error().type, ErrorType::NotFound);
  ASSERT_TRUE(route.error().availability);
  EXPECT_EQ(route.error().availability->code, GetParam().code);
  EXPECT_EQ(route.error().availability->constraint, GetParam().routed);
  EXPECT_FALSE(route.error().availability->is_retryable);
}

using Request = RoutingRequest;

INSTANTIATE_TEST_SUITE_P(
    Demands, RoutingFilterTest,
    ::testing::Values(
        FilterCase{"only", [](Request& r) { r.preferences.only = {"mid", "dear/eu"}; },
                   "a/one mid, a/one dear/eu", ""},
        FilterCase{"only_nobody", [](Request& r) { r.preferences.only = {"dear/us"}; },
                   "provider.only", "constraint_filtered"},
        FilterCase{"ignore", [](Request& r) { r.preferences.ignore = {"dear", "cheap/x"}; },
                   "a/one cheap, a/one mid", ""},
        FilterCase{"max_price", [](Request& r) { r.preferences.max_price.completion = PicoUsd{2}; },
                   "a/one cheap, a/one mid", ""},
        FilterCase{"max_price_none",
                   [](Request& r) { r.preferences.max_price.prompt = PicoUsd{0}; },
                   "provider.max_price", "constraint_filtered"},
        FilterCase{"max_price_unpriced",
                   [](Request& r) {
                     r.models = {"a/see"};
                     r.preferences.max_price.request = PicoUsd{1};
                   },
                   "provider.max_price", "constraint_filtered"},
        FilterCase{"parameters",
                   [](Request& r) {
                     r.models = {"a/see"};
                     r.preferences.requires_parameters = true;
                     r.passed_keys = {"model", "messages", "stream", "tools", "max_tokens", "user"};
                   },
                   "a/see mid", ""},
        FilterCase{"unknown_parameter",
                   [](Request& r) {
                     r.models = {"a/see"};
                     r.preferences.requires_parameters = true;
                     r.passed_keys = {"tools", "seed"};
                   },
                   "provider.require_parameters", "constraint_filtered"},
        FilterCase{"modality",
                   [](Request& r) {
                     r.models = {"a/see"};
                     r.input_modalities = {"image"};
                   },
                   "a/see mid", ""},
        FilterCase{"no_modality", [](Request& r) { r.input_modalities = {"audio"}; },
                   "input_modalities", "no_endpoints"},
        FilterCase{"api", [](Request& r) { r.models = {"a/claude"}; }, "api", "wrong_endpoint"},
        FilterCase{"messages",
                   [](Request& r) {
                     r.models = {"a/one", "a/claude"};
                     r.api = Api::Messages;
                   },
                   "a/claude claude", ""},
        FilterCase{"allowed", [](Request& r) { r.allowed.ids = {{"a/two"}}; }, "allowed_models",
                   "constraint_filtered"},
        FilterCase{"allowed_second",
                   [](Request& r) {
                     r.allowed.ids = {{"a/two"}};
                     r.models = {"a/one", "a/two"};
                   },
                   "a/two mid, a/two cheap", ""},
        FilterCase{"order_without_fallbacks",
                   [](Request& r) {
                     r.preferences.order = {"nobody"};
                     r.preferences.allows_fallbacks = false;
                   },
                   "provider.allow_fallbacks", "constraint_filtered"}),
    [](const auto& info) { return info.param.name; });

TEST_F(RoutingTest, ImagesAndAudioHaveCapsOfTheirOwn) {
  request_.preferences.sort = SortBy::Price;
  std::vector<EndpointConfig>& endpoints = config_.models[0].endpoints;
  endpoints[0].prices->image = PicoUsd{100};
  endpoints[1].prices->image = PicoUsd{50};
  request_.preferences.max_price.image = PicoUsd{50};
  EXPECT_EQ(routed(), "a/one mid, a/one dear/eu") << "what has no price costs nothing more";
  request_.preferences.max_price = {};
  endpoints[1].prices->audio = PicoUsd{20};
  endpoints[2].prices->audio_output = PicoUsd{20};
  request_.preferences.max_price.audio = PicoUsd{19};
  EXPECT_EQ(routed(), "a/one cheap");
  request_.preferences.max_price.audio = PicoUsd{20};
  EXPECT_EQ(routed(), "a/one cheap, a/one mid, a/one dear/eu");
}

TEST_F(RoutingTest, AudioWithoutAPriceCostsWhatTextDoes) {
  request_.preferences.sort = SortBy::Price;
  request_.preferences.max_price.audio = PicoUsd{2};
  EXPECT_EQ(routed(), "a/one cheap, a/one mid, a/one dear/eu");
  request_.input_modalities = {"audio"};
  for (EndpointConfig& endpoint : config_.models[0].endpoints)
    endpoint.input_modalities = {"text", "audio"};
  EXPECT_EQ(routed(), "a/one cheap, a/one mid");
}

TEST_F(RoutingTest, SaysAllThatStoodInTheWay) {
  request_.models = {"a/one", "a/two"};
  request_.preferences.only = {"mid", "dear"};
  request_.preferences.max_price.prompt = PicoUsd{0};
  const auto route = this->route();
  ASSERT_FALSE(route);
  EXPECT_EQ(openai_error_body(route.error()),
            R"({"error":{"code":404,"message":"No endpoints found for a/one, a/two: excluded by )"
            R"(provider.only, provider.max_price","metadata":{"error_type":"not_found"},)"
            R"("availability":{"code":"constraint_filtered","retryable":false,)"
            R"("retry_after":null,"requested_models":["a/one","a/two"],)"
            R"("affected_providers":["cheap","dear","mid"],)"
            R"("excluded_by":["provider.only","provider.max_price"],"fallback_models":["a/two"],)"
            R"("constraint":null,"docs_url":null}}})");
}

TEST_F(RoutingTest, UnlistedModelsMeetWhatNothingIsKnownAbout) {
  config_.allows_unlisted = true;
  request_.models = {"mid/llama"};
  request_.input_modalities = {"image"};
  EXPECT_EQ(routed(), "mid/llama mid");
  request_.preferences.max_price.prompt = PicoUsd{1};
  EXPECT_EQ(routed(), "error: No endpoints found for mid/llama: excluded by provider.max_price");
}

}  // namespace
}  // namespace gantry::gateway
