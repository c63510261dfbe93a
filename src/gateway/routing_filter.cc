#include <algorithm>
#include <array>
#include <vector>

#include <fmt/ranges.h>

#include "gateway/routing_filter_internal.h"

namespace gantry::gateway {
namespace {

template <class Range>
bool contains(const Range& range, std::string_view value) {
  return std::ranges::count(range, value) > 0;
}

/// What has no price of its own, or no cap, exceeds nothing.
bool exceeds(const std::optional<PicoUsd>& price, const std::optional<PicoUsd>& cap) {
  return price && cap && *price > *cap;
}

bool is_named(const std::vector<std::string>& names, const Endpoint& endpoint) {
  return std::ranges::any_of(
      names, [&](const std::string& name) { return names_provider(name, endpoint); });
}

/// Members of a body that are no parameters of a model.
constexpr std::array<std::string_view, 10> kEnvelope = {
    "input",  "messages",     "metadata", "model",         "prompt", "prompt_cache_key",
    "stream", "service_tier", "system",   "stream_options"};

/// Two names of one thing: to know one is to know the other.
struct SameParameter {
  std::string_view one;
  std::string_view other;
};

constexpr std::array kSameParameters = {SameParameter{"max_tokens", "max_completion_tokens"},
                                        SameParameter{"reasoning", "reasoning_effort"}};

bool knows_parameter(const std::vector<std::string>& known, std::string_view name) {
  if (name == "user" || contains(kEnvelope, name)) return true;
  if (contains(known, name)) return true;
  return std::ranges::any_of(kSameParameters, [&](const SameParameter& same) {
    return (name == same.one && contains(known, same.other)) ||
           (name == same.other && contains(known, same.one));
  });
}

}  // namespace

bool names_provider(std::string_view name, const Endpoint& endpoint) {
  return name == endpoint.tag || name == endpoint.provider->slug;
}

std::string_view RoutingFilter::demand_name(Demand demand) {
  switch (demand) {
    case Demand::AllowedModels:
      return "allowed_models";
    case Demand::Api:
      return "api";
    case Demand::InputModality:
      return "input_modalities";
    case Demand::Only:
      return "provider.only";
    case Demand::Ignore:
      return "provider.ignore";
    case Demand::Order:
      return "provider.allow_fallbacks";
    case Demand::MaxPrice:
      return "provider.max_price";
    case Demand::RequireParameters:
      return "provider.require_parameters";
  }
  return {};
}

bool RoutingFilter::accepts(const Model& model, const Endpoint& endpoint) {
  constexpr std::array kDemands = {
      Demand::AllowedModels, Demand::Api,   Demand::InputModality, Demand::Only,
      Demand::Ignore,        Demand::Order, Demand::MaxPrice,      Demand::RequireParameters};
  const auto failed = std::ranges::find_if(
      kDemands, [&](Demand demand) { return !meets(demand, model, endpoint); });
  if (failed == kDemands.end()) return true;
  unmet_.insert(*failed);
  providers_.insert(endpoint.provider->slug);
  return false;
}

bool RoutingFilter::meets(Demand demand, const Model& model, const Endpoint& endpoint) const {
  const ProviderPreferences& preferences = request_.preferences;
  switch (demand) {
    case Demand::AllowedModels:
      return request_.allowed.allows(model.config.id);
    case Demand::Api:
      return endpoint.provider->serves(request_.api);
    case Demand::InputModality:
      // Of an unlisted model nothing is known: its provider will say.
      return !model.is_listed || has_modalities(endpoint);
    case Demand::Only:
      return preferences.only.empty() || is_named(preferences.only, endpoint);
    case Demand::Ignore:
      return !is_named(preferences.ignore, endpoint);
    case Demand::Order:
      return preferences.allows_fallbacks || preferences.order.empty() ||
             is_named(preferences.order, endpoint);
    case Demand::MaxPrice:
      return is_cheap_enough(endpoint);
    case Demand::RequireParameters:
      return !preferences.requires_parameters || knows_parameters(endpoint);
  }
  return false;
}

bool RoutingFilter::has_modalities(const Endpoint& endpoint) const {
  return std::ranges::all_of(request_.input_modalities, [&](const std::string& modality) {
    return contains(endpoint.input_modalities, modality);
  });
}

bool RoutingFilter::is_cheap_enough(const Endpoint& endpoint) const {
  const PriceCaps& caps = request_.preferences.max_price;
  if (caps.is_empty()) return true;
  // An unknown price may be any.
  if (!endpoint.prices) return false;
  const Prices prices = endpoint.prices->at(request_.input_tokens);
  std::optional<PicoUsd> audio_as_text;
  if (contains(request_.input_modalities, "audio")) audio_as_text = prices.input;
  return prices.input <= caps.prompt.value_or(prices.input) &&
         prices.output <= caps.completion.value_or(prices.output) &&
         prices.request <= caps.request.value_or(prices.request) &&
         !exceeds(prices.image, caps.image) && !exceeds(prices.audio_output, caps.audio) &&
         !exceeds(prices.audio ? prices.audio : audio_as_text, caps.audio);
}

bool RoutingFilter::knows_parameters(const Endpoint& endpoint) const {
  return std::ranges::all_of(request_.passed_keys, [&](const std::string& key) {
    return knows_parameter(endpoint.supported_parameters, key);
  });
}

TypedError RoutingFilter::explain() const {
  Availability availability;
  for (const Demand demand : unmet_) availability.excluded_by.emplace_back(demand_name(demand));
  availability.affected_providers.assign(providers_.begin(), providers_.end());
  availability.requested_models = request_.models;
  availability.fallback_models.assign(request_.models.begin() + 1, request_.models.end());
  if (unmet_.size() == 1) availability.constraint = availability.excluded_by.front();

  const bool is_only = unmet_.size() == 1;
  if (is_only && unmet_.contains(Demand::Api)) {
    availability.code = "wrong_endpoint";
  } else if (is_only && unmet_.contains(Demand::InputModality)) {
    availability.code = "no_endpoints";
  } else {
    availability.code = "constraint_filtered";
  }
  return {.type = ErrorType::NotFound,
          .message = fmt::format("No endpoints found for {}: excluded by {}",
                                 fmt::join(request_.models, ", "),
                                 fmt::join(availability.excluded_by, ", ")),
          .availability = std::move(availability)};
}

}  // namespace gantry::gateway
