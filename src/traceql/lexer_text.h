#pragma once

// The words, characters, escapes and durations that the lexer needs. Private to this folder.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "traceql/lexer.h"

namespace gantry::traceql {

/// As Go's unicode.IsSpace.
[[nodiscard]] bool is_space(char32_t c);

/// May stand in an attribute name. A quote may too, but opens a quoted part.
[[nodiscard]] bool is_attribute_character(char32_t c);

[[nodiscard]] bool is_digit(char c);

/// Letters, digits and underscores; bytes of other scripts count as letters.
[[nodiscard]] bool is_word_character(char c);

/// The kind of a keyword, operator or scope; nothing for any other text.
[[nodiscard]] std::optional<TokenKind> find_token(std::string_view text);

/// The text of a kind that find_token knows; "" of others.
[[nodiscard]] std::string_view token_text(TokenKind kind);

/// How long the escape sequence at the start of `text` (behind the backslash) is, and what it
/// stands for, appended to `out`. 0: not an escape of double-quoted strings.
[[nodiscard]] std::size_t read_escape(std::string_view text, std::string& out);

/// Nanoseconds of "1d", "1h30m" (Prometheus: whole numbers, larger units first) or "1.5h",
/// "1ms500us" (Go).
[[nodiscard]] std::optional<std::int64_t> parse_duration(std::string_view text);

}  // namespace gantry::traceql
