#pragma once

// Which characters belong together. Private to this folder.

namespace gantry::traceql {

/// As Go's unicode.IsSpace.
[[nodiscard]] bool is_space(char32_t c);

/// May stand in an attribute name. A quote may too, but opens a quoted part.
[[nodiscard]] bool is_attribute_character(char32_t c);

}  // namespace gantry::traceql
