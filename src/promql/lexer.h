#pragma once

// Query text to tokens, on demand: what a character means depends on whether it stands inside
// braces, inside brackets or outside both. Positions are byte offsets; token texts are views into
// the query.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "promql/ast.h"

namespace gantry::promql {

enum class TokenKind : std::uint8_t {
  EndOfInput,
  Error,  ///< Lexer::error() says what; no token follows.
  Identifier,
  MetricIdentifier,  ///< With a colon.
  String,            ///< The text includes the quotes: unquote() it.
  Number,
  Duration,
  // Punctuation.
  LeftParen,
  RightParen,
  LeftBrace,
  RightBrace,
  LeftBracket,
  RightBracket,
  Comma,
  Colon,
  Assign,  ///< =
  // Operators.
  Add,
  Subtract,
  Multiply,
  Divide,
  Modulo,
  Power,
  Equal,
  NotEqual,
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual,
  TrimUpper,
  TrimLower,
  RegexMatch,
  RegexNotMatch,
  At,
  And,
  Or,
  Unless,
  Atan2,
  // Words.
  Aggregator,
  Offset,
  Smoothed,
  Anchored,
  By,
  Without,
  On,
  Ignoring,
  GroupLeft,
  GroupRight,
  Fill,
  FillLeft,
  FillRight,
  Bool,
  Start,
  End,
  Step,
  Range,
  MaxOf,
  MinOf,
};

struct Token {
  TokenKind kind = TokenKind::EndOfInput;
  AggregateOp aggregate = AggregateOp::Sum;  ///< For Aggregator.
  std::uint32_t start = 0;
  std::string_view text;

  [[nodiscard]] Position position() const {
    return {.start = start, .end = start + static_cast<std::uint32_t>(text.size())};
  }
};

/// As syntax errors name a token: `identifier "x"`, `<op:+>`, `<by>`, `","`, `end of input`.
[[nodiscard]] std::string describe(const Token& token);

/// Does not own the text, which must outlive the lexer and its tokens. One thread.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next();

  /// After an Error token: the message and its place.
  [[nodiscard]] const std::string& error() const { return error_; }

  [[nodiscard]] Position error_position() const {
    return {.start = start_, .end = static_cast<std::uint32_t>(text_.size())};
  }

  /// Where the next token will be looked for. For callers that go on with a scanner of their own.
  [[nodiscard]] std::uint32_t position() const { return position_; }

 private:
  // Inside brackets the text is read in one of two modes: Duration wants an operand, a sign or a
  // keyword; after a number the mode is AfterOperand.
  enum class Mode : std::uint8_t { Outside, Braces, Duration, AfterOperand, Failed };

  [[nodiscard]] int peek() const;
  int take();
  bool accept(std::string_view set);
  bool is_next(std::string_view set) const;
  void skip_space_and_comments();
  Token emit(TokenKind kind);
  Token fail_with(std::string message);
  Token fail_at_character(std::string_view before, int character, std::string_view after = "");

  Token next_outside();
  Token next_in_braces();
  Token next_in_duration();
  Token after_operand_word(int character);
  Token operator_token(int character);
  Token comparison(int character);
  Token close_paren();
  Token open_bracket();
  Token colon_in_brackets();
  Token word();
  Token identifier();
  Token quoted_string(char quote);
  Token raw_string();
  Token number_or_duration();
  bool duration_keyword(Token& token);
  bool escape_sequence(char quote);
  bool scan_number();
  bool scan_duration_rest();
  [[nodiscard]] bool is_before_paren() const;

  std::string_view text_;
  std::uint32_t start_ = 0;
  std::uint32_t position_ = 0;
  int paren_depth_ = 0;
  bool is_in_brackets_ = false;
  bool has_colon_ = false;
  bool has_operand_ = false;  ///< Brackets so far, not only these, had a number.
  Mode mode_ = Mode::Outside;
  std::string error_;
};

/// The value of a String token's text, which the lexer has checked.
[[nodiscard]] std::string unquote(std::string_view quoted);

}  // namespace gantry::promql
