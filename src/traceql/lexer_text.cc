#include "traceql/lexer_text.h"

#include <string_view>

namespace gantry::traceql {

bool is_space(char32_t c) {
  if ((c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xA0) return true;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_attribute_character(char32_t c) {
  constexpr std::u32string_view kEnds = U"{}()=~!<>&|^,";
  return !is_space(c) && !kEnds.contains(c);
}

}  // namespace gantry::traceql
