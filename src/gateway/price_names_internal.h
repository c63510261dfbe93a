#pragma once

// The prices that may be left out, by their names in the configuration and in the list of models.

#include <array>
#include <optional>
#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

struct PriceName {
  std::string_view name;
  std::optional<PicoUsd> Prices::* price;
  std::optional<PicoUsd> PriceTier::* of_tier;  ///< Null: the same in all tiers.
};

/// OpenRouter's names, in the order in which they are listed.
inline constexpr std::array kPriceNames = {
    PriceName{"image", &Prices::image, nullptr},
    PriceName{"audio", &Prices::audio, &PriceTier::audio},
    PriceName{"audio_output", &Prices::audio_output, &PriceTier::audio_output},
    PriceName{"internal_reasoning", &Prices::reasoning, &PriceTier::reasoning},
    PriceName{"input_cache_read", &Prices::cache_read, &PriceTier::cache_read},
    PriceName{"input_cache_write", &Prices::cache_write, &PriceTier::cache_write},
    PriceName{"input_cache_write_1h", &Prices::cache_write_1h, &PriceTier::cache_write_1h},
};

}  // namespace gantry::gateway
