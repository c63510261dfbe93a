#pragma once

// Token counts for admission, and for providers that do not report usage. What comes from here is
// marked as estimated wherever it goes: even an exact count of the texts does not know how the
// provider puts them together.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

class BpeTokenizer;
struct StreamedAnswer;

/// How texts are counted: by the tokenizer, while they are together within `exact_bytes_max`, and
/// else, as without one, by a fourth of their bytes.
struct TextCounting {
  const BpeTokenizer* tokenizer = nullptr;
  std::size_t exact_bytes_max = 4 << 20;  ///< A million tokens, in about a second.
};

/// A fourth of the bytes, rounded up: 0 for no bytes only.
[[nodiscard]] constexpr std::int64_t estimate_text_tokens(std::size_t bytes) {
  return static_cast<std::int64_t>(bytes / 4 + (bytes % 4 != 0 ? 1 : 0));
}

/// Of a request: its texts and tool definitions, 4 for each message, 3 for the answer's start, and
/// a fixed count for each image, file or recording, whose bytes say little. Token arrays are
/// counted exactly. At least 1. `body` is what RequestBody::parse accepted; one pass over it.
[[nodiscard]] std::int64_t estimate_input_tokens(Api api, std::string_view body,
                                                 const TextCounting& counting = {});

/// Of all choices of an answer in one piece, `body` being the provider's: texts, reasoning,
/// refusals, and names and arguments of tool calls. 0 for embeddings, and for what is no answer.
[[nodiscard]] std::int64_t estimate_output_tokens(Api api, std::string_view body,
                                                  const TextCounting& counting);

/// Of a stream, whose other choices and what was not kept are a fourth of their bytes.
[[nodiscard]] std::int64_t estimate_output_tokens(const StreamedAnswer& answer,
                                                  const TextCounting& counting);

/// Marked as estimated.
[[nodiscard]] Usage estimated_usage(std::int64_t input_tokens, std::int64_t output_tokens);

/// The same, of an output of so many bytes.
[[nodiscard]] Usage estimate_usage(std::int64_t input_tokens, std::size_t output_bytes);

}  // namespace gantry::gateway
