#pragma once

// The recursive descent itself. A rule returns nothing after a syntax error, which is then in
// `failure_`; nothing more is parsed. What reads but may not be meant (types, forms that Tempo does
// not support) is noted in `refusal_`, the first of it, and parsing goes on: a syntax error behind
// it is worth more.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "traceql/ast.h"
#include "traceql/lexer.h"
#include "traceql/parser.h"

namespace gantry::traceql {

/// Chains (a + b + c, {} > {} > {}) are left-leaning trees without nesting in the text. What walks
/// trees recurses, so they have a limit too.
inline constexpr std::uint32_t kNestingMax = 256;
inline constexpr std::uint32_t kTreeHeightMax = 1024;

/// What an operand at the level of span sets can be; sets of them say what may stand somewhere.
enum OperandKind : std::uint32_t {
  kSpanset = 1,      ///< {…}, {…} > {…}
  kWrapped = 2,      ///< A pipeline in parentheses, and operations on such.
  kStages = 4,       ///< A pipeline, or a stage that is not a span set.
  kNumber = 8,       ///< 2 + 3
  kAggregate = 16,   ///< count(), count() + 1
  kScalarPipe = 32,  ///< ({…} | count()), and operations on such: refused later.
  kMetrics = 64,     ///< {…} | rate(); in parentheses an operand.
  kRefused = 128,    ///< Two scalar pipes compared: complete, and refused.
};

using OperandKinds = std::uint32_t;

struct Operand {
  OperandKind kind = kSpanset;
  SpansetExpr spanset;        ///< Of kSpanset, and of kWrapped without stages.
  std::vector<Stage> stages;  ///< Of kStages and kWrapped.
  Static number;              ///< Of kNumber.
  /// Of kAggregate; absent for arithmetic with aggregates.
  std::optional<Aggregate> aggregate;
  MetricsExpr metrics;  ///< Of kMetrics.
  std::uint32_t height = 1;
};

/// What may stand at a place: as it is, and what a parenthesis may enclose. `result` is what the
/// whole operation may become.
struct Accepted {
  OperandKinds bare = 0;
  OperandKinds wrapped = 0;
  OperandKinds result = 0;
};

class Parser {
 public:
  /// `column` is that of the text's first character.
  explicit Parser(std::string_view text, std::uint32_t column = 1);

  std::expected<Query, Refusal> parse_query();
  std::expected<Attribute, Refusal> parse_identifier();
  /// A field expression alone, not checked for being boolean.
  std::expected<FieldPtr, Refusal> parse_condition();

 private:
  class Level;

  // Tokens and errors (parser.cc).
  void advance();
  bool accept(TokenKind kind);
  bool expect(TokenKind kind, std::string_view expecting = "");

  [[nodiscard]] bool is(TokenKind kind) const { return token_.kind == kind; }

  void fail_at(const Token& token, std::string message);
  /// Returns nothing, for any rule.
  std::nullopt_t unexpected(std::string_view expecting = "");
  void refuse(RefusalKind kind, std::string message);
  void refuse(std::optional<std::string> message);
  bool check_height(std::uint32_t height);
  [[nodiscard]] Refusal take_failure();

  // Pipelines and span sets (parser.cc, parser_operand.cc).
  std::optional<Query> finish_query(Operand operand);
  std::optional<Operand> parse_body(OperandKinds result);
  std::optional<Operand> parse_stages(Operand first, OperandKinds result);
  std::optional<Operand> parse_operation(int precedence_min, const Accepted& accepted);
  std::optional<Operand> parse_operand(const Accepted& accepted);
  std::optional<Operand> parse_parenthesis(OperandKinds wrapped);
  std::optional<Operand> parse_filter();
  std::optional<Operand> parse_number();
  std::optional<Operand> parse_aggregate();
  std::optional<Operand> parse_group_by();
  std::optional<Operand> parse_select();
  std::optional<Operand> parse_coalesce();
  std::optional<Operand> combine(Operand left, const Token& op, const Token& last, Operand right,
                                 const Accepted& accepted);
  std::optional<Operand> combine_spansets(Operand left, SpansetOp op, Operand right);
  std::optional<Operand> combine_numbers(const Operand& left, FieldOp op, const Operand& right,
                                         const Token& position);
  std::optional<Operand> combine_metrics(Operand left, FieldOp op, Operand right,
                                         const Token& position);
  std::optional<Operand> compare_scalars(Operand left, FieldOp op, Operand right);

  // Metrics (parser_metrics.cc).
  std::optional<MetricsFunction> parse_metrics_function();
  bool parse_quantiles(MetricsFunction& function);
  bool parse_compare(MetricsFunction& function);
  bool parse_metrics_by(MetricsFunction& function);
  bool parse_second_stages(MetricsExpr& expr);
  std::optional<SecondStage> parse_limit();
  std::optional<SecondStage> parse_metrics_filter();
  std::optional<std::int64_t> parse_integer();
  bool parse_hints(std::vector<Hint>& hints);
  std::optional<Static> parse_hint_value();
  void check_metrics(const MetricsExpr& expr);

  // Fields (parser_field.cc). Heights of results are in height_.
  FieldPtr parse_field(int precedence_min);
  FieldPtr parse_field_unary();
  FieldPtr parse_field_primary();
  FieldPtr parse_negation();
  FieldPtr parse_nil_comparison();
  FieldPtr make_binary(FieldOp op, FieldPtr left, FieldPtr right);
  FieldPtr make_unary(UnaryField::Op op, FieldPtr operand);
  FieldPtr parse_number_field();
  std::optional<Static> parse_word_literal();
  std::optional<Attribute> parse_attribute();
  std::optional<Attribute> parse_named_attribute();
  std::optional<Attribute> parse_scoped_intrinsic();
  bool parse_attribute_list(std::vector<Attribute>& attributes);

  std::string_view text_;
  Lexer lexer_;
  Token token_;
  Token previous_;
  std::uint32_t nesting_ = 0;
  std::uint32_t height_ = 0;
  std::optional<Refusal> failure_;
  std::optional<Refusal> refusal_;
};

/// One level of nesting, for as long as it lives.
class Parser::Level {
 public:
  explicit Level(Parser& parser);

  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

  ~Level() { --parser_.nesting_; }

  /// False: the error is noted.
  [[nodiscard]] bool is_allowed() const { return parser_.nesting_ <= kNestingMax; }

 private:
  Parser& parser_;
};

/// Operators between fields, and = != < <= > >= wherever else they stand.
[[nodiscard]] std::optional<FieldOp> field_op(TokenKind kind);
[[nodiscard]] std::optional<SpansetOp> spanset_op(TokenKind kind);

}  // namespace gantry::traceql
