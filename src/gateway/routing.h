#pragma once

// Which endpoints may serve a request, the best first.
//
// For each model in turn its endpoints that meet what the request demands are candidates. Their
// order: those of provider.order; else by provider.sort or the name's suffix, without any
// balancing; else the provider that served the session last, then endpoints without significant
// failures, then the rest. Where that leaves a choice, it is drawn with the weight 1/price². Those
// slower than the preferred latency or throughput go to the end.

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "gateway/breaker.h"
#include "gateway/catalogue.h"
#include "gateway/endpoint_statistics.h"
#include "gateway/error_answer.h"
#include "gateway/generation.h"
#include "gateway/provider_preferences.h"
#include "gateway/random_source.h"
#include "gateway/sticky_sessions.h"

namespace gantry::gateway {

struct RoutingRequest {
  Api api = Api::Chat;
  std::vector<std::string> models;  ///< `model`, then `models`. At least one.
  ProviderPreferences preferences;
  std::vector<std::string> passed_keys;       ///< RequestFields::passed_keys.
  std::vector<std::string> input_modalities;  ///< Of the content beside text: "image", …
  AllowedModels allowed;
  std::string session_owner;      ///< A hash of the key.
  std::string session;            ///< session_id, else prompt_cache_key; "": none.
  std::int64_t input_tokens = 0;  ///< Estimated: for prices that depend on it.
};

struct Candidate {
  std::shared_ptr<const Model> model;
  std::shared_ptr<const Endpoint> endpoint;
};

struct Route {
  std::vector<Candidate> candidates;  ///< At least one, in the order in which to try them.
  /// Every candidate's breaker is open: the one here, which closes soonest, is tried nevertheless.
  bool is_forced = false;
};

/// Any number of threads; whatever it is given outlives it.
class Router {
 public:
  Router(const Breakers& breakers, const EndpointStatistics& statistics,
         const StickySessions& sessions, RandomSource& random)
      : breakers_(breakers), statistics_(statistics), sessions_(sessions), random_(random) {}

  /// Errors: invalid_request for a name that is no model's; not_found, with the reasons in
  /// `availability`, if nothing meets the demands. Breakers alone never leave nothing.
  [[nodiscard]] std::expected<Route, TypedError> route(const Catalogue& catalogue,
                                                       const RoutingRequest& request) const;

 private:
  struct Group;

  void order_group(const RoutingRequest& request, Group& group) const;
  void order_by_default(const RoutingRequest& request, std::vector<Candidate>& candidates) const;
  void shuffle_by_price(const RoutingRequest& request, std::vector<Candidate>& candidates) const;
  void move_slow_to_end(const ProviderPreferences& preferences,
                        std::vector<Candidate>& candidates) const;
  [[nodiscard]] Route choose_admitted(std::vector<Candidate> candidates) const;

  const Breakers& breakers_;
  const EndpointStatistics& statistics_;
  const StickySessions& sessions_;
  RandomSource& random_;
};

}  // namespace gantry::gateway
