#pragma once

// Token counts for admission, and for providers that do not report usage: a rough count that needs
// no vocabulary. What comes from here is marked as estimated wherever it goes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

/// A fourth of the bytes, rounded up: 0 for no bytes only.
[[nodiscard]] constexpr std::int64_t estimate_text_tokens(std::size_t bytes) {
  return static_cast<std::int64_t>(bytes / 4 + (bytes % 4 != 0 ? 1 : 0));
}

/// Of a request: its texts and tool definitions, 4 for each message, 3 for the answer's start, and
/// a fixed count for each image, file or recording, whose bytes say little. Token arrays are
/// counted exactly. At least 1. `body` is what RequestBody::parse accepted; one pass over it.
[[nodiscard]] std::int64_t estimate_input_tokens(Api api, std::string_view body);

/// Marked as estimated. `output_bytes` is StreamedAnswer's or the length of an answer's texts.
[[nodiscard]] Usage estimate_usage(std::int64_t input_tokens, std::size_t output_bytes);

}  // namespace gantry::gateway
