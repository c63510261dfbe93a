#pragma once

// Query text to tokens, on demand. After a scope (`.`, `span.`, …) the lexer reads an attribute
// name, in which `-`, `/`, `+` and `:` are letters. Token texts are views into the query.

#include <cstdint>
#include <string>
#include <string_view>

namespace gantry::traceql {

enum class TokenKind : std::uint8_t {
  EndOfInput,
  Error,  ///< `value` says what; no other token follows.
  Identifier,
  String,         ///< `value` without quotes and escapes.
  Integer,        ///< `integer`
  Float,          ///< `number`
  Duration,       ///< `integer`, in nanoseconds.
  AttributeName,  ///< `value` without quotes. Follows a scope.
  EndAttribute,   ///< Follows a scope without a name.

  LeftBrace,
  RightBrace,
  LeftParen,
  RightParen,
  Comma,
  Pipe,
  // Scopes.
  Dot,
  SpanDot,
  ResourceDot,
  EventDot,
  LinkDot,
  InstrumentationDot,
  ParentDot,
  SpanColon,
  TraceColon,
  EventColon,
  LinkColon,
  InstrumentationColon,
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
  Regex,
  NotRegex,  ///< Between span sets: no sibling.
  And,
  Or,
  Not,
  Descendant,
  Ancestor,
  Sibling,
  NotChild,
  NotDescendant,
  NotParent,
  NotAncestor,
  UnionChild,
  UnionDescendant,
  UnionParent,
  UnionAncestor,
  UnionSibling,
  // Literals.
  True,
  False,
  Nil,
  MinInt,
  MaxInt,
  Ok,
  ErrorStatus,
  Unset,
  Unspecified,
  Internal,
  Server,
  Client,
  Producer,
  Consumer,
  // Intrinsics, with and without a scope in front.
  Name,
  DurationWord,
  Status,
  StatusMessage,
  Kind,
  ChildCount,
  Id,
  ParentId,
  Parent,
  TraceDuration,
  RootName,
  RootService,
  RootServiceName,
  TimeSinceStart,
  TraceId,
  SpanId,
  Version,
  NestedSetLeft,
  NestedSetRight,
  NestedSetParent,
  // Functions.
  Count,
  Min,
  Max,
  Avg,
  Sum,
  By,
  Coalesce,
  Select,
  With,
  Rate,
  CountOverTime,
  MinOverTime,
  MaxOverTime,
  SumOverTime,
  AvgOverTime,
  QuantileOverTime,
  HistogramOverTime,
  Compare,
  TopK,
  BottomK,
};

struct Token {
  TokenKind kind = TokenKind::EndOfInput;
  /// As errors show it: both count from 1, columns in code points. The line of a token for which
  /// the lexer had to look further than a word is 0, as in Tempo.
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string_view text;
  std::string value;
  std::int64_t integer = 0;
  double number = 0;
  /// The integer 9223372036854775808, which exists only behind a minus sign; `integer` is its
  /// negative.
  bool is_beyond_int = false;
};

/// As syntax errors name a token: `$end`, `STRING`, `INTEGER`, `&&`, `span.`.
[[nodiscard]] std::string describe(const Token& token);

/// What strconv.Atoi of Go says of digits that are no int64.
[[nodiscard]] std::string integer_range_error(std::string_view digits);

/// Does not own the text, which must outlive the lexer and its tokens. Any bytes. One thread.
class Lexer {
 public:
  /// `column` is the first character's.
  explicit Lexer(std::string_view text, std::uint32_t column = 1);

  Token next();

 private:
  [[nodiscard]] bool is_at_end() const { return position_ >= text_.size(); }

  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }

  void advance_to(std::size_t position);
  [[nodiscard]] bool skip_space_and_comments();
  Token start() const;
  Token fail(Token token, std::string message);

  Token attribute_name();
  Token string(char quote);
  Token character();
  Token number();
  Token integer(Token token) const;
  Token floating(Token token) const;
  Token word_or_symbol();
  [[nodiscard]] std::size_t scan_number() const;
  bool extend_to_duration(Token& token);

  std::string_view text_;
  std::size_t position_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t column_ = 1;
  bool is_after_scope_ = false;
  Token scope_;
  Token error_;
};

}  // namespace gantry::traceql
