#pragma once

// The words, escapes and quoting that the lexer and its messages need. Private to this folder.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "promql/lexer.h"

namespace gantry::promql {

/// What the lexer's character functions return behind the last character.
inline constexpr int kEndOfInput = -1;
/// U+FFFD: what invalid UTF-8 decodes to.
inline constexpr int kReplacement = 0xFFFD;

struct Keyword {
  std::string_view text;
  TokenKind kind;
  AggregateOp aggregate = AggregateOp::Sum;
};

/// Null when the word, in lower case, is no keyword.
[[nodiscard]] const Keyword* find_keyword(std::string_view lower_case);

/// As Go's %q prints a rune: 'x', '\n'.
[[nodiscard]] std::string quote_character(int c);

/// As Go's %#U: U+0063 'c'.
[[nodiscard]] std::string unicode_name(int c);

/// The text in double quotes, as Go's %q.
[[nodiscard]] std::string quoted(std::string_view text);

/// Of 0-9, a-f, A-F; 16 for anything else.
[[nodiscard]] int digit_value(int c);

/// An escape of digits: `c` is what follows the backslash.
struct EscapeShape {
  int digits = 0;
  int base = 0;
  std::uint32_t value_max = 0;
  bool has_letter = true;  ///< x, u or U stands in front of the digits.
};

[[nodiscard]] std::optional<EscapeShape> escape_shape(int c);

}  // namespace gantry::promql
