#pragma once

// Which of a call's tokens are text, audio or images, for `gen_ai.token.modality`.
//
// What the provider tells counts. The rest is text where nothing else can be in it; where something
// can, it is "unknown", as the convention has it: a guess would not be told from a report.
// Source: open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-token-metrics.md.

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

inline constexpr std::string_view kTextModality = "text";
inline constexpr std::string_view kUnknownModality = "unknown";

/// All tokens of one side, each in one place.
struct ModalityTokens {
  struct Told {
    std::string_view modality;
    std::int64_t tokens = 0;
  };

  std::int64_t total = 0;
  std::array<Told, 3> told;
  std::int64_t rest = 0;
  std::string_view rest_modality = kUnknownModality;

  /// Whether there is nothing but text, so that every part of it is text too.
  [[nodiscard]] bool is_text() const;
};

/// Of a generation that has usage.
[[nodiscard]] ModalityTokens input_modalities(const Generation& generation);
[[nodiscard]] ModalityTokens output_modalities(const Generation& generation);

}  // namespace gantry::gateway
