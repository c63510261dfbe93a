#include "promql/lexer.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "core/utf8.h"
#include "promql/lexer_text.h"

namespace gantry::promql {

namespace {

constexpr std::string_view kDecimal = "0123456789";
constexpr std::string_view kHexadecimal = "0123456789abcdefABCDEF";

bool is_space(int c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_digit(int c) {
  return c >= '0' && c <= '9';
}

bool is_alpha(int c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_alphanumeric(int c) {
  return is_alpha(c) || is_digit(c);
}

std::string lower(std::string_view word) {
  std::string result(word);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

}  // namespace

int Lexer::peek() const {
  std::size_t position = position_;
  if (position >= text_.size()) return kEndOfInput;
  return static_cast<int>(core::next_code_point(text_, position));
}

int Lexer::take() {
  if (position_ >= text_.size()) return kEndOfInput;
  const auto byte = static_cast<unsigned char>(text_[position_]);
  if (byte < 0x80) {
    ++position_;
    return byte;
  }
  std::size_t position = position_;
  const char32_t code_point = core::next_code_point(text_, position);
  position_ = static_cast<std::uint32_t>(position);
  return static_cast<int>(code_point);
}

bool Lexer::is_next(std::string_view set) const {
  return position_ < text_.size() && set.contains(text_[position_]);
}

bool Lexer::accept(std::string_view set) {
  if (!is_next(set)) return false;
  ++position_;
  return true;
}

void Lexer::skip_space_and_comments() {
  while (position_ < text_.size()) {
    if (is_space(text_[position_])) {
      ++position_;
    } else if (text_[position_] == '#' && mode_ != Mode::Duration) {
      position_ = static_cast<std::uint32_t>(std::min(text_.find('\n', position_), text_.size()));
    } else {
      break;
    }
  }
  start_ = position_;
}

Token Lexer::emit(TokenKind kind) {
  const Token token{
      .kind = kind, .start = start_, .text = text_.substr(start_, position_ - start_)};
  start_ = position_;
  return token;
}

Token Lexer::fail_with(std::string message) {
  mode_ = Mode::Failed;
  error_ = std::move(message);
  return {.kind = TokenKind::Error, .start = start_, .text = {}};
}

Token Lexer::fail_at_character(std::string_view before, int character, std::string_view after) {
  return fail_with(fmt::format("{}{}{}", before, quote_character(character), after));
}

Token Lexer::next() {
  if (mode_ == Mode::Failed) return {.kind = TokenKind::Error, .start = start_, .text = {}};
  skip_space_and_comments();
  switch (mode_) {
    case Mode::Braces:
      return next_in_braces();
    case Mode::Duration:
      return next_in_duration();
    case Mode::Outside:
    case Mode::AfterOperand:
    case Mode::Failed:
      break;
  }
  return next_outside();
}

Token Lexer::next_outside() {
  const int c = take();
  switch (c) {
    case kEndOfInput:
      if (paren_depth_ != 0) return fail_with("unclosed left parenthesis");
      if (is_in_brackets_) return fail_with("unclosed left bracket");
      return emit(TokenKind::EndOfInput);
    case '"':
    case '\'':
      return quoted_string(static_cast<char>(c));
    case '`':
      return raw_string();
    case '(':
      ++paren_depth_;
      return emit(TokenKind::LeftParen);
    case ')':
      return close_paren();
    case '{':
      mode_ = Mode::Braces;
      return emit(TokenKind::LeftBrace);
    case '[':
      return open_bracket();
    case ']':
      if (!is_in_brackets_) return fail_at_character("unexpected right bracket ", c);
      is_in_brackets_ = false;
      mode_ = Mode::Outside;
      return emit(TokenKind::RightBracket);
    default:
      break;
  }
  if (is_digit(c) || (c == '.' && is_digit(peek()))) {
    --position_;
    return number_or_duration();
  }
  if (is_alpha(c) || c == ':') return is_in_brackets_ ? after_operand_word(c) : word();
  return operator_token(c);
}

Token Lexer::operator_token(int character) {
  switch (character) {
    case ',':
      return emit(TokenKind::Comma);
    case '+':
      return emit(TokenKind::Add);
    case '-':
      return emit(TokenKind::Subtract);
    case '*':
      return emit(TokenKind::Multiply);
    case '/':
      return emit(TokenKind::Divide);
    case '%':
      return emit(TokenKind::Modulo);
    case '^':
      return emit(TokenKind::Power);
    case '@':
      return emit(TokenKind::At);
    case '=':
    case '!':
    case '<':
    case '>':
      return comparison(character);
    default:
      return fail_at_character("unexpected character: ", character);
  }
}

Token Lexer::comparison(int character) {
  switch (character) {
    case '=':
      if (accept("=")) return emit(TokenKind::Equal);
      if (is_next("~")) return fail_with("unexpected character after '=': '~'");
      return emit(TokenKind::Assign);
    case '!':
      if (accept("=")) return emit(TokenKind::NotEqual);
      return fail_at_character("unexpected character after '!': ", peek());
    case '<':
      if (accept("=")) return emit(TokenKind::LessOrEqual);
      if (accept("/")) return emit(TokenKind::TrimUpper);
      return emit(TokenKind::Less);
    default:
      if (accept("=")) return emit(TokenKind::GreaterOrEqual);
      if (accept("/")) return emit(TokenKind::TrimLower);
      return emit(TokenKind::Greater);
  }
}

Token Lexer::close_paren() {
  if (--paren_depth_ >= 0) return emit(TokenKind::RightParen);
  start_ = position_;
  return fail_with("unexpected right parenthesis ')'");
}

Token Lexer::open_bracket() {
  if (is_in_brackets_) return fail_with("unexpected left bracket '['");
  is_in_brackets_ = true;
  has_colon_ = false;
  mode_ = Mode::Duration;
  return emit(TokenKind::LeftBracket);
}

Token Lexer::colon_in_brackets() {
  const Token colon = emit(TokenKind::Colon);
  if (!has_operand_) {
    return fail_with("unexpected colon before duration in duration expression");
  }
  if (has_colon_) return fail_with("unexpected repeated colon in duration expression");
  has_colon_ = true;
  mode_ = Mode::Duration;
  return colon;
}

Token Lexer::next_in_braces() {
  const int c = take();
  switch (c) {
    case kEndOfInput:
      return fail_with("unexpected end of input inside braces");
    case ',':
      return emit(TokenKind::Comma);
    case '"':
    case '\'':
      return quoted_string(static_cast<char>(c));
    case '`':
      return raw_string();
    case '=':
      return emit(accept("~") ? TokenKind::RegexMatch : TokenKind::Assign);
    case '!':
      if (accept("~")) return emit(TokenKind::RegexNotMatch);
      if (accept("=")) return emit(TokenKind::NotEqual);
      return fail_at_character("unexpected character after '!' inside braces: ", peek());
    case '{':
      return fail_with("unexpected left brace '{'");
    case '}':
      mode_ = is_in_brackets_ ? Mode::AfterOperand : Mode::Outside;
      return emit(TokenKind::RightBrace);
    default:
      break;
  }
  if (is_alpha(c)) return identifier();
  return fail_at_character("unexpected character inside braces: ", c);
}

Token Lexer::next_in_duration() {
  const int c = take();
  Token token;
  switch (c) {
    case kEndOfInput:
      return fail_with("unexpected end of input in duration expression");
    case ']':
      is_in_brackets_ = false;
      mode_ = Mode::Outside;
      return emit(TokenKind::RightBracket);
    case ':':
      return colon_in_brackets();
    case '(':
      ++paren_depth_;
      return emit(TokenKind::LeftParen);
    case ')':
      return close_paren();
    case ',':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '^':
      return operator_token(c);
    default:
      break;
  }
  if (is_digit(c) || (c == '.' && is_digit(peek()))) {
    --position_;
    has_operand_ = true;
    mode_ = Mode::AfterOperand;
    return number_or_duration();
  }
  if (is_alpha(c) && duration_keyword(token)) return token;
  return fail_at_character("unexpected character in duration expression: ", c);
}

Token Lexer::after_operand_word(int character) {
  Token token;
  if (character == ':') return colon_in_brackets();
  if (duration_keyword(token)) return token;
  return fail_at_character("unexpected character: ", character, ", expected ':'");
}

bool Lexer::duration_keyword(Token& token) {
  std::uint32_t end = position_;
  while (end < text_.size() && is_alphanumeric(static_cast<unsigned char>(text_[end]))) ++end;
  const Keyword* keyword = find_keyword(lower(text_.substr(start_, end - start_)));
  if (keyword == nullptr) return false;
  if (keyword->kind != TokenKind::Step && keyword->kind != TokenKind::Range &&
      keyword->kind != TokenKind::MinOf && keyword->kind != TokenKind::MaxOf) {
    return false;
  }
  position_ = end;
  token = emit(keyword->kind);
  return true;
}

Token Lexer::identifier() {
  while (position_ < text_.size() && is_alphanumeric(text_[position_])) ++position_;
  return emit(TokenKind::Identifier);
}

Token Lexer::word() {
  while (position_ < text_.size() &&
         (is_alphanumeric(text_[position_]) || text_[position_] == ':')) {
    ++position_;
  }
  const std::string_view text = text_.substr(start_, position_ - start_);
  if (const Keyword* keyword = find_keyword(lower(text)); keyword != nullptr) {
    const bool is_fill = keyword->kind == TokenKind::Fill || keyword->kind == TokenKind::FillLeft ||
                         keyword->kind == TokenKind::FillRight;
    if (is_fill && !is_before_paren()) return emit(TokenKind::Identifier);
    Token token = emit(keyword->kind);
    token.aggregate = keyword->aggregate;
    return token;
  }
  return emit(text.contains(':') ? TokenKind::MetricIdentifier : TokenKind::Identifier);
}

bool Lexer::is_before_paren() const {
  std::size_t position = position_;
  while (position < text_.size() && is_space(text_[position])) ++position;
  return position < text_.size() && text_[position] == '(';
}

Token Lexer::quoted_string(char quote) {
  while (true) {
    const int c = take();
    if (c == quote) return emit(TokenKind::String);
    if (c == kEndOfInput || c == '\n') return fail_with("unterminated quoted string");
    if (c == kReplacement) return fail_with("invalid UTF-8 rune");
    if (c == '\\' && !escape_sequence(quote)) {
      return {.kind = TokenKind::Error, .start = start_, .text = {}};
    }
  }
}

Token Lexer::raw_string() {
  while (true) {
    const int c = take();
    if (c == '`') return emit(TokenKind::String);
    if (c == kEndOfInput) return fail_with("unterminated raw string");
    if (c == kReplacement) return fail_with("invalid UTF-8 rune");
  }
}

bool Lexer::escape_sequence(char quote) {
  int c = take();
  if (c == quote ||
      (c > 0 && c < 0x80 && std::string_view("abfnrtv\\").contains(static_cast<char>(c)))) {
    return true;
  }
  const auto shape = escape_shape(c);
  if (!shape) {
    fail_with(c == kEndOfInput ? std::string("escape sequence not terminated")
                               : "unknown escape sequence " + unicode_name(c));
    return false;
  }
  if (shape->has_letter) c = take();
  std::uint32_t value = 0;
  for (int left = shape->digits; left > 0; --left) {
    const int digit = digit_value(c);
    if (digit >= shape->base) {
      fail_with(c == kEndOfInput ? std::string("escape sequence not terminated")
                                 : "illegal character " + unicode_name(c) + " in escape sequence");
      return false;
    }
    value = value * static_cast<std::uint32_t>(shape->base) + static_cast<std::uint32_t>(digit);
    if (left > 1) c = take();
  }
  const bool is_surrogate = value >= 0xD800 && value < 0xE000;
  if (value > shape->value_max || is_surrogate) {
    fail_with("escape sequence is an invalid Unicode code point");
    return false;
  }
  return true;
}

Token Lexer::number_or_duration() {
  if (scan_number()) return emit(TokenKind::Number);
  if (scan_duration_rest()) return emit(TokenKind::Duration);
  return fail_with("bad number or duration syntax: " +
                   quoted(text_.substr(start_, position_ - start_)));
}

// On failure the position is behind the character that cannot be, which the message shows.
bool Lexer::scan_number() {
  std::string_view digits = kDecimal;
  if (accept("0") && accept("xX")) {
    accept("_");
    digits = kHexadecimal;
  }
  accept(".");
  accept(digits);
  bool has_dot = false;
  bool has_exponent = false;
  while (is_next(digits) || is_next("._eE")) {
    if (is_next(".") && has_dot) return accept("."), false;
    if (is_next("eE") && has_exponent && digits == kDecimal) return accept("eE"), false;
    if (accept(".")) {
      has_dot = true;
      if (accept("_.") || digits == kHexadecimal) return false;
    } else if (digits == kDecimal && accept("eE")) {
      has_exponent = true;
      accept("+-");
      if (accept("._eE") || position_ == text_.size()) return false;
    } else if (accept("_")) {
      if (accept("._eE") || position_ == text_.size()) return false;
    } else {
      while (accept(digits)) {
      }
    }
  }
  return !is_alphanumeric(peek());
}

bool Lexer::scan_duration_rest() {
  if (!accept("smhdwy")) return false;
  accept("s");  // ms; other pairs are refused with a better message when the value is read
  while (accept(kDecimal)) {
    while (accept(kDecimal)) {
    }
    if (!accept("smhdw")) return false;
    accept("s");
  }
  if (!is_alphanumeric(peek())) return true;
  take();
  return false;
}

}  // namespace gantry::promql
