#pragma once

// Letter case as Go's strings package knows it: one code point for one (ß stays ß), whatever the
// language.

#include <string>
#include <string_view>

namespace gantry::core {

/// Bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string to_upper(std::string_view text);
[[nodiscard]] std::string to_lower(std::string_view text);

}  // namespace gantry::core
