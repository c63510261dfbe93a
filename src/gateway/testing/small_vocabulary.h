#pragma once

// Vocabularies of a few tokens, as files hold them.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "codec/otlp_attributes.h"

namespace gantry::gateway::testing {

inline std::string vocabulary_line(std::string_view token, std::size_t rank) {
  std::string line;
  codec::append_base64(line, token);
  return line += " " + std::to_string(rank) + "\n";
}

/// All bytes and, behind them, `tokens`.
inline std::string small_vocabulary(const std::vector<std::string>& tokens) {
  constexpr std::size_t kByteValues = 256;
  std::string text;
  for (std::size_t byte = 0; byte < kByteValues; ++byte) {
    const char one = static_cast<char>(byte);
    text += vocabulary_line({&one, 1}, byte);
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    text += vocabulary_line(tokens[i], kByteValues + i);
  }
  return text;
}

}  // namespace gantry::gateway::testing
