#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gantry::core {

[[nodiscard]] bool is_valid_utf8(std::string_view text);

/// Decodes the code point at `position` and moves past it; U+FFFD and one byte for invalid input.
[[nodiscard]] char32_t next_code_point(std::string_view text, std::size_t& position);

void append_utf8(std::string& out, char32_t code_point);

/// The code points of valid UTF-8 (bytes that do not start one are not counted).
[[nodiscard]] std::size_t count_code_points(std::string_view text);

}  // namespace gantry::core
