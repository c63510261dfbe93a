#pragma once

// Small catalogues for tests of what is chosen from them.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "gateway/catalogue.h"

namespace gantry::gateway::testing {

inline Provider make_provider(std::string slug, ProviderType type = ProviderType::OpenAi) {
  Provider provider{.slug = std::move(slug), .type = type};
  provider.base_url = "https://" + provider.slug + ".example/v1";
  return provider;
}

/// The price of a token in and of a token out, in 10^-12 USD.
inline Prices make_prices(std::int64_t pico_usd) {
  return {.input = PicoUsd{pico_usd},
          .output = PicoUsd{pico_usd},
          .cache_read = {},
          .cache_write = {},
          .request = {}};
}

inline EndpointConfig make_endpoint(std::string provider, std::optional<Prices> prices = {},
                                    std::string variant = {}) {
  EndpointConfig endpoint;
  endpoint.provider = std::move(provider);
  endpoint.variant = std::move(variant);
  endpoint.model = "upstream";
  endpoint.prices = prices;
  return endpoint;
}

/// Fails the test if the configuration has problems.
inline std::shared_ptr<const Catalogue> make_catalogue(CatalogueConfig config) {
  auto catalogue = Catalogue::build(std::move(config));
  EXPECT_TRUE(catalogue) << catalogue.error().message;
  return catalogue ? *std::move(catalogue) : nullptr;
}

}  // namespace gantry::gateway::testing
