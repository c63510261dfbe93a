#pragma once

// The `provider` object of a request: which providers may serve it, and which first.

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "gateway/catalogue.h"
#include "gateway/endpoint_statistics.h"
#include "gateway/generation.h"

namespace gantry::gateway {

/// PerModel: all endpoints of the first model come before those of the second.
enum class SortPartition : bool { PerModel, None };

/// Per token, per call and per image, though clients write prices per million tokens. OpenRouter
/// says of `audio` only that it is "per audio unit"; it is read as of a million tokens, as prompt
/// and completion are, because the other reading would let every price pass.
struct PriceCaps {
  std::optional<PicoUsd> prompt;
  std::optional<PicoUsd> completion;
  std::optional<PicoUsd> request;
  std::optional<PicoUsd> image;
  std::optional<PicoUsd> audio;

  [[nodiscard]] bool is_empty() const {
    return !prompt && !completion && !request && !image && !audio;
  }
};

/// By Percentile.
using PaceCutoffs = std::array<std::optional<double>, kPercentiles.size()>;

struct ProviderPreferences {
  /// Slugs, or slugs with a variant. A slug without one means all its variants.
  std::vector<std::string> order;
  std::vector<std::string> only;
  std::vector<std::string> ignore;
  bool allows_fallbacks = true;
  bool requires_parameters = false;
  PriceCaps max_price;
  std::optional<SortBy> sort;
  SortPartition partition = SortPartition::PerModel;
  PaceCutoffs latency_s_max;
  PaceCutoffs tokens_per_second_min;
};

inline constexpr std::size_t kPreferredProvidersMax = 64;  ///< In each of the lists.

/// `json` is RequestFields::provider: an object, or "" for none. Members that are unknown here are
/// passed over, null is the same as absent. Demands that this gateway cannot vouch for
/// (data_collection "deny", zdr, enforce_distillable_text, quantizations) are refused, not ignored.
///
/// Errors: InvalidArgument, "provider.max_price.prompt: …".
[[nodiscard]] Result<ProviderPreferences> parse_provider_preferences(std::string_view json);

}  // namespace gantry::gateway
