#include "gateway/routing.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "gateway/routing_filter_internal.h"

namespace gantry::gateway {
namespace {

constexpr double kWorst = std::numeric_limits<double>::infinity();

TypedError unknown_model(std::string_view name, const std::vector<std::string>& requested) {
  return {
      .type = ErrorType::InvalidRequest,
      .message = fmt::format("{} is not a valid model ID", name),
      .availability = Availability{.code = "model_not_found",
                                   .requested_models = requested,
                                   .fallback_models = {requested.begin() + 1, requested.end()}}};
}

/// One number for an endpoint's prices, in 10^-12 USD: of a token in and a token out. Nothing:
/// unpriced.
std::optional<double> price_of(const Endpoint& endpoint, const RoutingRequest& request) {
  if (!endpoint.prices) return std::nullopt;
  const Prices prices = endpoint.prices->at(request.input_tokens);
  return static_cast<double>(prices.input.value) + static_cast<double>(prices.output.value);
}

/// Keeps the order of equals. `key_of` is asked once for each.
template <class KeyOf>
void sort_by_key(std::vector<Candidate>& candidates, KeyOf key_of) {
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t i = 0; i < candidates.size(); ++i) order.emplace_back(key_of(candidates[i]), i);
  std::ranges::sort(order);
  std::vector<Candidate> sorted;
  sorted.reserve(candidates.size());
  for (const auto& [key, index] : order) sorted.push_back(std::move(candidates[index]));
  candidates = std::move(sorted);
}

double rank_in(const std::vector<std::string>& order, const Endpoint& endpoint) {
  const auto found = std::ranges::find_if(
      order, [&](const std::string& name) { return names_provider(name, endpoint); });
  return static_cast<double>(found - order.begin());
}

/// What was not measured comes last: `kWorst`.
double sort_key(SortBy sort, const Endpoint& endpoint, const RoutingRequest& request,
                const EndpointStatistics& statistics) {
  switch (sort) {
    case SortBy::Price:
      return price_of(endpoint, request).value_or(kWorst);
    case SortBy::Latency: {
      const auto latency = statistics.pace(endpoint.id).latency_s;
      return latency ? latency->at(Percentile::P50) : kWorst;
    }
    case SortBy::Throughput: {
      const auto throughput = statistics.pace(endpoint.id).tokens_per_second;
      return throughput ? -throughput->at(Percentile::P50) : kWorst;
    }
  }
  return kWorst;
}

template <class Exceeds>
bool violates(const PaceCutoffs& cutoffs, const std::optional<Percentiles>& measured,
              Exceeds exceeds) {
  if (!measured) return false;
  return std::ranges::any_of(kPercentiles, [&](Percentile percentile) {
    const auto& cutoff = cutoffs.at(static_cast<std::size_t>(percentile));
    return cutoff && exceeds(measured->at(percentile), *cutoff);
  });
}

bool has_cutoff(const PaceCutoffs& cutoffs) {
  return std::ranges::any_of(cutoffs, [](const auto& cutoff) { return cutoff.has_value(); });
}

}  // namespace

/// Candidates that are ordered among themselves.
struct Router::Group {
  std::vector<Candidate> candidates;
  std::optional<SortBy> sort;
};

std::expected<Route, TypedError> Router::route(const Catalogue& catalogue,
                                               const RoutingRequest& request) const {
  GANTRY_ASSERT(!request.models.empty(), "a parsed request names a model");
  const ProviderPreferences& preferences = request.preferences;
  RoutingFilter filter(request);
  std::vector<std::string> seen;
  std::vector<Group> groups;
  for (const std::string& name : request.models) {
    auto match = catalogue.find(name);
    if (!match) return std::unexpected(unknown_model(name, request.models));
    if (std::ranges::count(seen, match->model->config.id) > 0) continue;
    seen.push_back(match->model->config.id);
    Group group{.candidates = {}, .sort = preferences.sort ? preferences.sort : match->sort};
    for (const auto& endpoint : match->model->endpoints) {
      if (filter.accepts(*match->model, *endpoint)) {
        group.candidates.push_back({.model = match->model, .endpoint = endpoint});
      }
    }
    groups.push_back(std::move(group));
  }
  if (preferences.sort && preferences.partition == SortPartition::None) {
    for (Group& later : std::span(groups).subspan(1)) {
      std::ranges::move(later.candidates, std::back_inserter(groups.front().candidates));
    }
    groups.resize(1);
  }

  std::vector<Candidate> candidates;
  for (Group& group : groups) {
    order_group(request, group);
    candidates.insert(candidates.end(), group.candidates.begin(), group.candidates.end());
  }
  if (candidates.empty()) return std::unexpected(filter.explain());
  return choose_admitted(std::move(candidates));
}

void Router::order_group(const RoutingRequest& request, Group& group) const {
  const ProviderPreferences& preferences = request.preferences;
  if (group.sort) {
    sort_by_key(group.candidates, [&](const Candidate& candidate) {
      return sort_key(*group.sort, *candidate.endpoint, request, statistics_);
    });
  } else {
    order_by_default(request, group.candidates);
  }
  if (!preferences.order.empty()) {
    sort_by_key(group.candidates, [&](const Candidate& candidate) {
      return rank_in(preferences.order, *candidate.endpoint);
    });
  }
  move_slow_to_end(preferences, group.candidates);
  // With an order, endpoints outside it were left out already.
  const bool is_single = !preferences.allows_fallbacks && preferences.order.empty();
  if (is_single && group.candidates.size() > 1) group.candidates.resize(1);
}

void Router::order_by_default(const RoutingRequest& request,
                              std::vector<Candidate>& candidates) const {
  shuffle_by_price(request, candidates);
  sort_by_key(candidates, [&](const Candidate& candidate) {
    const auto sticky = sessions_.find_provider({.owner = request.session_owner,
                                                 .session = request.session,
                                                 .model = candidate.model->config.id});
    if (sticky == candidate.endpoint->provider->slug) return 0;
    return statistics_.has_significant_failures(candidate.endpoint->id) ? 2 : 1;
  });
}

/// Each place is drawn from those left with the weight 1/price²: by exponential variates
/// (Efraimidis and Spirakis, Information Processing Letters 97, 2006). What costs nothing comes
/// first; with an unpriced endpoint among them prices say nothing, and all weights are equal.
void Router::shuffle_by_price(const RoutingRequest& request,
                              std::vector<Candidate>& candidates) const {
  const bool is_priced = std::ranges::all_of(candidates, [&](const Candidate& candidate) {
    return price_of(*candidate.endpoint, request).has_value();
  });
  sort_by_key(candidates, [&](const Candidate&) { return random_.unit(); });
  if (!is_priced) return;
  sort_by_key(candidates, [&](const Candidate& candidate) {
    const double price = *price_of(*candidate.endpoint, request);
    return -std::log(random_.unit()) * price * price;
  });
}

void Router::move_slow_to_end(const ProviderPreferences& preferences,
                              std::vector<Candidate>& candidates) const {
  if (!has_cutoff(preferences.latency_s_max) && !has_cutoff(preferences.tokens_per_second_min)) {
    return;
  }
  sort_by_key(candidates, [&](const Candidate& candidate) {
    const EndpointPace pace = statistics_.pace(candidate.endpoint->id);
    const bool is_slow =
        violates(preferences.latency_s_max, pace.latency_s, std::greater<>()) ||
        violates(preferences.tokens_per_second_min, pace.tokens_per_second, std::less<>());
    return is_slow ? 1 : 0;
  });
}

Route Router::choose_admitted(std::vector<Candidate> candidates) const {
  Route route;
  const Candidate* soonest = nullptr;
  TimestampMs soonest_time{std::numeric_limits<std::int64_t>::max()};
  for (const Candidate& candidate : candidates) {
    const BreakerStatus status = breakers_.status(candidate.endpoint->id);
    if (status.admits) {
      route.candidates.push_back(candidate);
    } else if (status.open_until < soonest_time) {
      soonest = &candidate;
      soonest_time = status.open_until;
    }
  }
  if (route.candidates.empty()) {
    route.candidates.push_back(*soonest);
    route.is_forced = true;
  }
  return route;
}

}  // namespace gantry::gateway
