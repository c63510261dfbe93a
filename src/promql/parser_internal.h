#pragma once

// The recursive descent itself. A rule returns null when the current token cannot be: the nearest
// enclosing rule with something to say about its context reports it (`unexpected`), the whole query
// otherwise. After the first syntax error nothing more is parsed; errors of meaning (a division by
// zero, a modifier set twice) are noted and parsing goes on.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "promql/ast.h"
#include "promql/lexer.h"
#include "promql/parser.h"

namespace gantry::promql {

inline constexpr std::uint32_t kNestingMax = 256;
inline constexpr std::size_t kQueryBytesMax = std::size_t{1} << 20;

/// Chains (a + b + c, x[5m:][5m:]) are left-leaning trees without nesting in the text. What walks
/// trees recurses, so chains have a limit, and so has the height of what is built on top of them.
inline constexpr std::uint32_t kChainHeightMax = 1024;
inline constexpr std::uint32_t kTreeHeightMax = kChainHeightMax + kNestingMax;

using DurationExprPtr = std::unique_ptr<DurationExpr>;

class Parser {
 public:
  Parser(std::string_view query, const ParserOptions& options);

  /// Null when there are errors.
  ExprPtr parse_query();
  std::optional<VectorSelector> parse_selector();

  [[nodiscard]] const std::vector<ParseError>& errors() const { return errors_; }

 private:
  class Level;

  // Tokens and errors.
  void advance();
  bool accept(TokenKind kind);

  [[nodiscard]] bool is(TokenKind kind) const { return token_.kind == kind; }

  void add_error(Position position, std::string message);
  void unexpected(std::string_view context, std::string_view expected);
  bool set_height(std::uint32_t left, std::uint32_t right);

  // Expressions.
  ExprPtr parse_expr(int precedence_min);
  /// Checks the types of a tree that has grown too high and puts an operand of the same type in its
  /// place: what else is wrong with the query is worth more than its height.
  void fold(Expr& tall);
  ExprPtr parse_unary();
  ExprPtr parse_postfix();
  ExprPtr parse_primary();
  ExprPtr parse_paren();
  ExprPtr parse_number();
  ExprPtr parse_string();
  ExprPtr parse_word();
  ExprPtr parse_aggregate(const Token& op);
  ExprPtr finish_aggregate(const Token& op, Aggregate aggregate, std::vector<ExprPtr> arguments);
  ExprPtr parse_call(const Token& name);
  bool parse_arguments(std::vector<ExprPtr>& arguments);
  bool parse_binary_modifiers(Binary& binary);
  bool parse_fill(VectorMatching& matching);
  std::optional<double> parse_fill_value();
  bool parse_grouping(std::vector<std::string>& labels);
  bool parse_grouping_label(std::vector<std::string>& labels);

  // Selectors and what follows them.
  ExprPtr parse_selector_expr(std::optional<Token> name);
  bool parse_matchers(std::vector<Matcher>& matchers);
  bool parse_matcher(std::vector<Matcher>& matchers);
  void add_matcher(std::vector<Matcher>& matchers, MatchOp op, std::string name, std::string value,
                   Position position);
  ExprPtr parse_range(ExprPtr expr);
  ExprPtr make_matrix(ExprPtr expr, Position bracket, DurationExprPtr range);
  ExprPtr parse_offset(ExprPtr expr);
  ExprPtr parse_at(ExprPtr expr);
  ExprPtr parse_mode(ExprPtr expr);
  TimeModifiers* find_time(Expr& expr, std::string_view modifier);
  void set_timestamp(Expr& expr, double seconds);

  // Durations.
  DurationExprPtr parse_duration(int precedence_min);
  DurationExprPtr parse_duration_unary();
  DurationExprPtr parse_duration_primary();
  DurationExprPtr parse_duration_call();
  DurationExprPtr parse_offset_duration();
  DurationExprPtr make_duration_binary(DurationOp op, Position op_position, DurationExprPtr left,
                                       DurationExprPtr right);
  DurationExprPtr negate_duration(const Token& sign, DurationExprPtr operand);
  void check_positive(DurationExpr& duration);
  void check_duration_arithmetic(Position position);

  /// The value of the current Number or Duration token, which it consumes.
  double take_number();
  double read_number(const Token& token);
  double read_duration(const Token& token);

  std::string_view query_;
  ParserOptions options_;
  Lexer lexer_;
  Token token_;
  std::uint32_t previous_end_ = 0;
  /// End of the last number or closing bracket that was read, the current token included.
  std::uint32_t last_closing_ = 0;
  std::uint32_t nesting_ = 0;
  /// Of the tree that the last rule returned.
  std::uint32_t height_ = 0;
  bool has_failed_ = false;
  /// The last range that was put behind something other than a selector.
  const Expr* misplaced_range_ = nullptr;
  std::vector<ParseError> errors_;
  std::vector<ParseError> type_errors_;  ///< Of folded trees.
  std::optional<ParseError> height_error_;
};

/// The checks that need types, over a tree without syntax errors. Completes vector matching.
void check_types(Expr& expr, std::string_view query, std::vector<ParseError>& errors);

}  // namespace gantry::promql
