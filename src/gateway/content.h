#pragma once

// What is recorded of prompts and answers: JSON of at most kContentBytesMax, without media.

#include <cstddef>
#include <string>
#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

/// Per content attribute.
inline constexpr std::size_t kContentBytesMax = 1 << 20;

/// `text`, or as many whole characters of it as fit into `bytes_max`.
[[nodiscard]] std::string_view cut_text(std::string_view text, std::size_t bytes_max);

/// Cuts what is too long.
[[nodiscard]] RecordedContent record_content(std::string json);

/// {"completion":…,"reasoning":…,"toolCalls":[…]}. The arguments are JSON: a string or null for the
/// first two ("" is null too), an array for the last ("": there were none, and no "toolCalls").
[[nodiscard]] RecordedContent record_completion(std::string_view completion,
                                                std::string_view reasoning,
                                                std::string_view tool_calls);

}  // namespace gantry::gateway
