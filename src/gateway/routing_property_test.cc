// Routes through random catalogues, held to what the request demands and to the order that the
// rules prescribe between any two candidates.

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "gateway/routing.h"
#include "gateway/testing/catalogues.h"

namespace gantry::gateway {
namespace {

const std::vector<std::string> kSlugs = {"p0", "p1", "p2", "p3"};
const std::vector<std::string> kNames = {"p0", "p1", "p2", "p3", "p1/eu", "p2/us", "nobody"};

std::vector<std::string> random_names(int percent) {
  if (*rc::gen::inRange(0, 100) >= percent) return {};
  return *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(kNames)));
}

std::optional<Prices> random_prices() {
  const int price = *rc::gen::inRange(-1, 6);
  if (price < 0) return std::nullopt;
  return testing::make_prices(price);
}

CatalogueConfig random_catalogue() {
  CatalogueConfig config;
  for (const std::string& slug : kSlugs) config.providers.push_back(testing::make_provider(slug));
  config.providers.back().type = ProviderType::Anthropic;
  for (int i = 0; i < 3; ++i) {
    ModelConfig model{.id = "m/" + std::to_string(i)};
    std::set<std::string> tags;
    const int count = *rc::gen::inRange(1, 6);
    for (int j = 0; j < count; ++j) {
      const auto slug = *rc::gen::elementOf(kSlugs);
      const auto variant = *rc::gen::elementOf(std::vector<std::string>{"", "eu", "us"});
      if (!tags.insert(slug + "/" + variant).second) continue;
      model.endpoints.push_back(testing::make_endpoint(slug, random_prices(), variant));
      if (*rc::gen::arbitrary<bool>()) model.endpoints.back().supported_parameters = {{"tools"}};
    }
    config.models.push_back(std::move(model));
  }
  return config;
}

RoutingRequest random_request() {
  RoutingRequest request;
  request.models = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(
      rc::gen::elementOf(std::vector<std::string>{"m/0", "m/1", "m/2", "m/1:floor"})));
  request.passed_keys = {"messages", "tools"};
  ProviderPreferences& preferences = request.preferences;
  preferences.order = random_names(40);
  preferences.only = random_names(20);
  preferences.ignore = random_names(20);
  preferences.allows_fallbacks = *rc::gen::inRange(0, 4) > 0;
  preferences.requires_parameters = *rc::gen::inRange(0, 4) == 0;
  if (*rc::gen::inRange(0, 4) == 0) {
    preferences.max_price.prompt = PicoUsd{*rc::gen::inRange<std::int64_t>(0, 6)};
  }
  if (*rc::gen::inRange(0, 3) == 0) preferences.sort = SortBy::Price;
  if (*rc::gen::arbitrary<bool>()) preferences.partition = SortPartition::None;
  if (*rc::gen::inRange(0, 3) == 0) request.allowed.ids = {{"m/0", "m/1"}};
  return request;
}

bool is_named(const std::vector<std::string>& names, const Endpoint& endpoint) {
  return std::ranges::any_of(names, [&](const std::string& name) {
    return endpoint.tag == name || endpoint.tag.starts_with(name + "/");
  });
}

bool meets_demands(const RoutingRequest& request, const Model& model, const Endpoint& endpoint) {
  const ProviderPreferences& preferences = request.preferences;
  const bool is_ordered = preferences.order.empty() || is_named(preferences.order, endpoint);
  const auto& cap = preferences.max_price.prompt;
  return request.allowed.allows(model.config.id) &&
         endpoint.provider->type != ProviderType::Anthropic &&
         (preferences.only.empty() || is_named(preferences.only, endpoint)) &&
         !is_named(preferences.ignore, endpoint) && (preferences.allows_fallbacks || is_ordered) &&
         (!preferences.requires_parameters || !endpoint.supported_parameters.empty()) &&
         (!cap || (endpoint.prices && endpoint.prices->input <= *cap));
}

std::size_t order_rank(const ProviderPreferences& preferences, const Endpoint& endpoint) {
  std::size_t rank = 0;
  while (rank < preferences.order.size() && !is_named({preferences.order[rank]}, endpoint)) ++rank;
  return rank;
}

std::int64_t price_rank(const Endpoint& endpoint) {
  return endpoint.prices ? endpoint.prices->input.value : 1'000;
}

struct World {
  ManualClock clock{TimestampMs{1'000'000}};
  Breakers breakers{clock};
  EndpointStatistics statistics{clock};
  StickySessions sessions{clock};
  RandomSource random{*rc::gen::arbitrary<std::uint64_t>()};
  Router router{breakers, statistics, sessions, random};
};

RC_GTEST_PROP(RoutingProperty, CandidatesAreThoseThatMeetTheDemands, ()) {
  World world;
  const auto catalogue = testing::make_catalogue(random_catalogue());
  const RoutingRequest request = random_request();
  std::set<EndpointId> expected;
  std::set<EndpointId> broken;
  std::set<std::string> models;
  for (const std::string& name : request.models) {
    const auto model = catalogue->find(name)->model;
    models.insert(model->config.id);
    for (const auto& endpoint : model->endpoints) {
      if (meets_demands(request, *model, *endpoint)) expected.insert(endpoint->id);
    }
  }
  for (const EndpointId id : catalogue->endpoint_ids()) {
    if (*rc::gen::inRange(0, 3) > 0) continue;
    world.clock.advance({1});
    for (int i = 0; i < 5; ++i) world.breakers.of(id)->try_begin()->end(AttemptOutcome::Failure);
    broken.insert(id);
  }
  const auto route = world.router.route(*catalogue, request);
  RC_ASSERT(route.has_value() == !expected.empty());
  if (!route) {
    RC_ASSERT(route.error().availability.has_value());
    RC_ASSERT(!route.error().availability->excluded_by.empty());
    RC_TAG("nothing");
    return;
  }
  std::set<EndpointId> got;
  for (const Candidate& candidate : route->candidates) {
    RC_ASSERT(got.insert(candidate.endpoint->id).second);
    RC_ASSERT(expected.contains(candidate.endpoint->id));
    RC_ASSERT(route->is_forced == broken.contains(candidate.endpoint->id));
  }
  RC_ASSERT((!route->is_forced || got.size() == 1));
  const bool is_single = !request.preferences.allows_fallbacks && request.preferences.order.empty();
  if (is_single) {
    RC_ASSERT(got.size() <= models.size());
  } else if (!route->is_forced) {
    std::erase_if(expected, [&](EndpointId id) { return broken.contains(id); });
    RC_ASSERT(got == expected);
  }
  RC_TAG(route->is_forced ? "forced" : "routed");
}

RC_GTEST_PROP(RoutingProperty, EachCandidateMayStandBeforeTheNext, ()) {
  World world;
  const auto catalogue = testing::make_catalogue(random_catalogue());
  const RoutingRequest request = random_request();
  for (const EndpointId id : catalogue->endpoint_ids()) {
    if (*rc::gen::inRange(0, 3) > 0) continue;
    world.statistics.record(
        id, {.outcome = AttemptOutcome::Failure, .latency_s = {}, .tokens_per_second = {}});
  }
  const auto route = world.router.route(*catalogue, request);
  if (!route) return;  // too many of the requests for a precondition
  const ProviderPreferences& preferences = request.preferences;
  const bool is_one_group = preferences.sort && preferences.partition == SortPartition::None;
  const auto model_rank = [&](const Candidate& candidate) {
    const auto named = std::ranges::find_if(request.models, [&](const std::string& name) {
      return catalogue->find(name)->model == candidate.model;
    });
    return is_one_group ? 0 : named - request.models.begin();
  };
  for (std::size_t i = 1; i < route->candidates.size(); ++i) {
    const Candidate& before = route->candidates[i - 1];
    const Candidate& after = route->candidates[i];
    RC_ASSERT(model_rank(before) <= model_rank(after));
    if (model_rank(before) != model_rank(after)) continue;
    const std::size_t rank = order_rank(preferences, *before.endpoint);
    RC_ASSERT(rank <= order_rank(preferences, *after.endpoint));
    if (rank != order_rank(preferences, *after.endpoint)) continue;
    const auto first_name = *std::ranges::find_if(request.models, [&](const std::string& name) {
      return catalogue->find(name)->model == before.model;
    });
    if (preferences.sort || first_name.ends_with(":floor")) {
      RC_ASSERT(price_rank(*before.endpoint) <= price_rank(*after.endpoint));
    } else {
      RC_ASSERT(world.statistics.has_significant_failures(before.endpoint->id) <=
                world.statistics.has_significant_failures(after.endpoint->id));
    }
  }
}

}  // namespace
}  // namespace gantry::gateway
