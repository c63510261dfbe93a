#pragma once

// What a request demands of an endpoint.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "gateway/error_answer.h"
#include "gateway/routing.h"

namespace gantry::gateway {

/// "openai" names "openai" and "openai/eu"; "openai/eu" itself alone.
[[nodiscard]] bool names_provider(std::string_view name, const Endpoint& endpoint);

/// Keeps account of why endpoints were left out.
class RoutingFilter {
 public:
  explicit RoutingFilter(const RoutingRequest& request) : request_(request) {}

  [[nodiscard]] bool accepts(const Model& model, const Endpoint& endpoint);

  /// For when nothing was accepted.
  [[nodiscard]] TypedError explain() const;

 private:
  enum class Demand : std::uint8_t {
    AllowedModels,
    Api,
    InputModality,
    Only,
    Ignore,
    Order,
    MaxPrice,
    RequireParameters,
  };

  [[nodiscard]] static std::string_view demand_name(Demand demand);
  [[nodiscard]] bool meets(Demand demand, const Model& model, const Endpoint& endpoint) const;
  [[nodiscard]] bool has_modalities(const Endpoint& endpoint) const;
  [[nodiscard]] bool is_cheap_enough(const Endpoint& endpoint) const;
  [[nodiscard]] bool knows_parameters(const Endpoint& endpoint) const;

  const RoutingRequest& request_;
  std::set<Demand> unmet_;  ///< In the order of Demand.
  std::set<std::string> providers_;
};

}  // namespace gantry::gateway
