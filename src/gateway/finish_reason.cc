#include "gateway/finish_reason.h"

#include <algorithm>
#include <array>

namespace gantry::gateway {
namespace {

struct Word {
  std::string_view native;  ///< In lower case.
  std::string_view reason;
};

/// OpenAI, Anthropic, Gemini, Cohere, Mistral, vLLM.
constexpr std::array kWords = {
    Word{"tool_calls", "tool_calls"},
    Word{"tool_call", "tool_calls"},
    Word{"tool_use", "tool_calls"},
    Word{"function_call", "tool_calls"},
    Word{"length", "length"},
    Word{"max_tokens", "length"},
    Word{"max_output_tokens", "length"},
    Word{"model_length", "length"},
    Word{"model_context_window_exceeded", "length"},
    Word{"error_limit", "length"},
    Word{"content_filter", "content_filter"},
    Word{"refusal", "content_filter"},
    Word{"safety", "content_filter"},
    Word{"recitation", "content_filter"},
    Word{"blocklist", "content_filter"},
    Word{"prohibited_content", "content_filter"},
    Word{"spii", "content_filter"},
    Word{"error_toxic", "content_filter"},
    Word{"error", "error"},
    Word{"failed", "error"},
    Word{"abort", "error"},
    Word{"malformed_function_call", "error"},
};

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::string_view normalise_finish_reason(std::string_view native) {
  if (native.empty()) return {};
  const auto found = std::ranges::find_if(kWords, [&](const Word& word) {
    return std::ranges::equal(word.native, native, {}, {}, to_lower);
  });
  return found == kWords.end() ? "stop" : found->reason;
}

}  // namespace gantry::gateway
