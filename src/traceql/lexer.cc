#include "traceql/lexer.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/number_format.h"
#include "core/utf8.h"
#include "traceql/lexer_text.h"

namespace gantry::traceql {

namespace {

bool is_attribute_scope(TokenKind kind) {
  return kind >= TokenKind::Dot && kind <= TokenKind::ParentDot;
}

bool is_decimal_integer(std::string_view text) {
  for (const char c : text) {
    if (!is_digit(c)) return false;
  }
  return true;
}

// What may follow a number without space and make it a duration.
std::size_t duration_tail(std::string_view text) {
  constexpr std::u32string_view kLetters = U"nuµμmshdwy.";
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t next = end;
    const char32_t c = core::next_code_point(text, next);
    if (!(c >= '0' && c <= '9') && !kLetters.contains(c)) break;
    end = next;
  }
  return end;
}

}  // namespace

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::EndOfInput:
      return "$end";
    case TokenKind::Identifier:
    case TokenKind::AttributeName:
      return "IDENTIFIER";
    case TokenKind::String:
      return "STRING";
    case TokenKind::Integer:
      return "INTEGER";
    case TokenKind::Float:
      return "FLOAT";
    case TokenKind::Duration:
      return "DURATION";
    case TokenKind::EndAttribute:
      return "END_ATTRIBUTE";
    default:
      return std::string(token_text(token.kind));
  }
}

std::string integer_range_error(std::string_view digits) {
  return fmt::format("strconv.Atoi: parsing \"{}\": value out of range", digits);
}

Lexer::Lexer(std::string_view text, std::uint32_t column) : text_(text), column_(column) {}

void Lexer::advance_to(std::size_t position) {
  while (position_ < position) {
    if (text_[position_] == '\n') {
      ++line_;
      column_ = 0;
    }
    static_cast<void>(core::next_code_point(text_, position_));
    ++column_;
  }
}

Token Lexer::start() const {
  Token token;
  token.line = line_;
  token.column = column_;
  token.text = text_.substr(position_, 0);
  return token;
}

Token Lexer::fail(Token token, std::string message) {
  token.kind = TokenKind::Error;
  token.value = std::move(message);
  error_ = std::move(token);
  return error_;
}

bool Lexer::skip_space_and_comments() {
  while (!is_at_end()) {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      advance_to(position_ + 1);
    } else if (c == '/' && peek(1) == '/') {
      advance_to(std::min(text_.find('\n', position_), text_.size()));
    } else if (c == '/' && peek(1) == '*') {
      const std::size_t end = text_.find("*/", position_ + 2);
      if (end == std::string_view::npos) return false;
      advance_to(end + 2);
    } else {
      break;
    }
  }
  return true;
}

Token Lexer::next() {
  if (error_.kind == TokenKind::Error) return error_;
  if (is_after_scope_) {
    is_after_scope_ = false;
    return attribute_name();
  }
  const Token comment = start();
  if (!skip_space_and_comments()) return fail(comment, "comment not terminated");
  if (is_at_end()) return start();
  const char c = peek();
  if (c == '"' || c == '`') return string(c);
  if (c == '\'') return character();
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
  return word_or_symbol();
}

// Names, operators and scopes. A token grows by single characters for as long as the longer text is
// a token too, so that `span` becomes `span.` and `!` becomes `!>>`.
Token Lexer::word_or_symbol() {
  Token token = start();
  const std::size_t begin = position_;
  std::size_t end = begin;
  if (is_word_character(text_[begin])) {
    while (end < text_.size() && is_word_character(text_[end])) ++end;
  } else {
    end = begin + 1;
  }
  const std::size_t end_of_word = end;
  while (end < text_.size() && find_token(text_.substr(begin, end + 1 - begin))) ++end;
  if (end > end_of_word) token.line = 0;
  token.text = text_.substr(begin, end - begin);
  token.kind = find_token(token.text).value_or(TokenKind::Identifier);
  if (token.kind == TokenKind::Identifier) token.value = token.text;
  advance_to(end);
  if (is_attribute_scope(token.kind)) {
    is_after_scope_ = true;
    scope_ = token;
  }
  return token;
}

// Errors are placed at the scope, since Tempo reads the name as a part of it.
Token Lexer::attribute_name() {
  Token token = scope_;
  const std::size_t begin = position_;
  std::size_t position = begin;
  bool is_quoted = false;
  while (position < text_.size()) {
    std::size_t next = position;
    const char32_t c = core::next_code_point(text_, next);
    if (c == '"') {
      is_quoted = !is_quoted;
    } else if (is_quoted && c == '\\') {
      const char escaped = next < text_.size() ? text_[next] : '\0';
      if (escaped != '"' && escaped != '\\') {
        token.line = 0;
        return fail(std::move(token), "invalid escape sequence");
      }
      token.value += escaped;
      ++next;
    } else if (is_quoted || is_attribute_character(c)) {
      token.value += text_.substr(position, next - position);
    } else {
      break;
    }
    position = next;
  }
  if (position > begin) token.line = 0;
  if (is_quoted) return fail(std::move(token), "unexpected EOF, expecting \"");
  token.kind = token.value.empty() ? TokenKind::EndAttribute : TokenKind::AttributeName;
  token.text = text_.substr(begin, position - begin);
  advance_to(position);
  return token;
}

Token Lexer::string(char quote) {
  Token token = start();
  token.kind = TokenKind::String;
  std::size_t position = position_ + 1;
  while (true) {
    if (position >= text_.size() || (quote == '"' && text_[position] == '\n')) {
      return fail(std::move(token), "literal not terminated");
    }
    const char c = text_[position++];
    if (c == quote) break;
    if (c != '\\' || quote == '`') {
      token.value += c;
      continue;
    }
    const std::size_t length = read_escape(text_.substr(position), token.value);
    if (length == 0) return fail(std::move(token), "invalid char escape");
    position += length;
  }
  token.text = text_.substr(position_, position - position_);
  advance_to(position);
  return token;
}

// Single quotes hold one character, which is a name that nobody knows.
Token Lexer::character() {
  Token token = start();
  std::size_t position = position_ + 1;
  const std::size_t end = text_.find('\'', position);
  if (end == std::string_view::npos || text_.substr(position, end - position).contains('\n')) {
    return fail(std::move(token), "literal not terminated");
  }
  if (position < end) static_cast<void>(core::next_code_point(text_, position));
  if (position != end || end == position_ + 1) {
    return fail(std::move(token), "invalid char literal");
  }
  token.kind = TokenKind::Identifier;
  token.text = text_.substr(position_, end + 1 - position_);
  token.value = token.text;
  advance_to(end + 1);
  return token;
}

// Where a number ends as Go's scanner sees it: prefixes and underscores belong to it, though the
// conversion refuses them.
std::size_t Lexer::scan_number() const {
  const auto is_part = [](char c) { return is_digit(c) || c == '_'; };
  std::size_t end = position_;
  const auto skip = [&] {
    while (end < text_.size() && is_part(text_[end])) ++end;
  };
  const char prefix = static_cast<char>(peek(1) | 0x20);
  if (peek() == '0' && (prefix == 'x' || prefix == 'b' || prefix == 'o')) {
    end += 2;
    while (end < text_.size() &&
           (is_part(text_[end]) || std::isxdigit(static_cast<unsigned char>(text_[end])) != 0)) {
      ++end;
    }
    return end;
  }
  skip();
  if (end < text_.size() && text_[end] == '.') {
    ++end;
    skip();
  }
  if (end < text_.size() && (text_[end] | 0x20) == 'e') {
    ++end;
    if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) ++end;
    skip();
  }
  return end;
}

Token Lexer::number() {
  Token token = start();
  const std::size_t end = scan_number();
  token.text = text_.substr(position_, end - position_);
  if (extend_to_duration(token)) {
    token.line = 0;
  } else if (token.text.find_first_of(".eE") == std::string_view::npos ||
             token.text.starts_with("0x") || token.text.starts_with("0X")) {
    token = integer(std::move(token));
  } else {
    token = floating(std::move(token));
  }
  if (token.kind == TokenKind::Error) return fail(token, token.value);
  advance_to(position_ + token.text.size());
  return token;
}

bool Lexer::extend_to_duration(Token& token) {
  const std::size_t tail = duration_tail(text_.substr(position_ + token.text.size()));
  if (tail == 0) return false;
  const std::string_view text = text_.substr(position_, token.text.size() + tail);
  const auto duration = parse_duration(text);
  if (!duration) return false;
  token.kind = TokenKind::Duration;
  token.text = text;
  token.integer = *duration;
  return true;
}

Token Lexer::integer(Token token) const {
  constexpr auto kBeyond = std::uint64_t{1} << 63;
  token.kind = TokenKind::Error;
  if (!is_decimal_integer(token.text)) {
    token.value = fmt::format("strconv.Atoi: parsing \"{}\": invalid syntax", token.text);
    return token;
  }
  std::uint64_t value = 0;
  const auto read =
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
  if (read.ec != std::errc{} || value > kBeyond) {
    token.value = integer_range_error(token.text);
    return token;
  }
  token.kind = TokenKind::Integer;
  token.integer = static_cast<std::int64_t>(value);
  token.is_beyond_int = value == kBeyond;
  return token;
}

Token Lexer::floating(Token token) const {
  const char last = token.text.back();
  token.kind = TokenKind::Error;
  if (!is_digit(last) && last != '.') {
    token.value = "exponent has no digits";
    return token;
  }
  if (token.text.contains('_')) {
    token.value = fmt::format("strconv.ParseFloat: parsing \"{}\": invalid syntax", token.text);
    return token;
  }
  const auto value = core::parse_float(token.text);
  if (!value) {
    token.value = fmt::format("strconv.ParseFloat: parsing \"{}\": value out of range", token.text);
    return token;
  }
  token.kind = TokenKind::Float;
  token.number = *value;
  return token;
}

}  // namespace gantry::traceql
