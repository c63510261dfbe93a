#pragma once

// The PromQL syntax tree. Immutable once parsed and checked, apart from what `resolve_durations`
// fills in before evaluation.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "promql/matcher.h"

namespace gantry::promql {

/// Byte offsets into the query text, end exclusive.
struct Position {
  std::uint32_t start = 0;
  std::uint32_t end = 0;

  friend bool operator==(const Position&, const Position&) = default;
};

enum class ValueType : std::uint8_t { None, Scalar, Vector, Matrix, String };

/// As errors write it: "scalar", "instant vector", "range vector", "string", "none".
[[nodiscard]] std::string_view value_type_text(ValueType type);

enum class BinaryOp : std::uint8_t {
  Add,
  Subtract,
  Multiply,
  Divide,
  Modulo,
  Power,
  Atan2,
  Equal,
  NotEqual,
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual,
  TrimUpper,  // </
  TrimLower,  // >/
  And,
  Or,
  Unless,
};

[[nodiscard]] std::string_view binary_op_text(BinaryOp op);
[[nodiscard]] bool is_comparison(BinaryOp op);
[[nodiscard]] bool is_set_operator(BinaryOp op);

enum class AggregateOp : std::uint8_t {
  Sum,
  Avg,
  Count,
  Min,
  Max,
  Group,
  Stddev,
  Stdvar,
  TopK,
  BottomK,
  CountValues,
  Quantile,
  LimitK,
  LimitRatio,
};

[[nodiscard]] std::string_view aggregate_op_text(AggregateOp op);

enum class UnaryOp : std::uint8_t { Plus, Minus };

// ---- durations
// ---------------------------------------------------------------------------------------------------

enum class DurationOp : std::uint8_t {
  Literal,
  Add,
  Subtract,
  Multiply,
  Divide,
  Modulo,
  Power,
  Negate,
  Plus,
  Step,
  Range,
  MinOf,
  MaxOf,
};

/// Arithmetic inside a range, a sub-query step or an offset. Values are seconds.
struct DurationExpr {
  Position position;
  DurationOp op = DurationOp::Literal;
  double literal_seconds = 0;
  bool is_duration_literal = false;  ///< Written as 5m rather than 300: for printing.
  bool is_wrapped = false;           ///< In parentheses.
  std::unique_ptr<DurationExpr> left;
  std::unique_ptr<DurationExpr> right;
};

// ---- nodes
// -------------------------------------------------------------------------------------------------------

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

enum class AtKind : std::uint8_t { None, Timestamp, Start, End };

/// `@` and `offset`, as written on a selector or a sub-query.
struct TimeModifiers {
  std::int64_t offset_ms = 0;  ///< Positive looks back.
  std::unique_ptr<DurationExpr>
      offset_expr;  ///< When the offset is arithmetic; resolved into offset_ms.
  AtKind at = AtKind::None;
  std::int64_t at_ms = 0;  ///< For AtKind::Timestamp.
};

enum class RangeMode : std::uint8_t { Plain, Anchored, Smoothed };

struct VectorSelector {
  std::string name;  ///< As written in front of the braces; empty when it was inside or absent.
  std::vector<Matcher> matchers;  ///< In written order; the one of `name` is last.
  TimeModifiers time;
  RangeMode mode = RangeMode::Plain;
};

struct MatrixSelector {
  VectorSelector selector;
  Position selector_position;
  std::int64_t range_ms = 0;
  std::unique_ptr<DurationExpr>
      range_expr;  ///< When the range is arithmetic; resolved into range_ms.
};

struct Subquery {
  ExprPtr expr;
  std::int64_t range_ms = 0;
  std::unique_ptr<DurationExpr> range_expr;
  std::int64_t step_ms = 0;  ///< 0: the default interval.
  std::unique_ptr<DurationExpr> step_expr;
  TimeModifiers time;
};

struct NumberLiteral {
  double value = 0;
  bool is_duration = false;  ///< Written as 5m.
};

struct StringLiteral {
  std::string value;
};

struct Paren {
  ExprPtr expr;
};

struct Unary {
  UnaryOp op = UnaryOp::Minus;
  ExprPtr expr;
};

enum class MatchCard : std::uint8_t { OneToOne, ManyToOne, OneToMany, ManyToMany };

struct VectorMatching {
  MatchCard card = MatchCard::OneToOne;
  bool is_on = false;                ///< on(...) rather than ignoring(...).
  std::vector<std::string> labels;   ///< Of on or ignoring.
  std::vector<std::string> include;  ///< Of group_left or group_right.
  std::optional<double> fill_left;
  std::optional<double> fill_right;
};

struct Binary {
  BinaryOp op = BinaryOp::Add;
  ExprPtr left;
  ExprPtr right;
  std::optional<VectorMatching> matching;  ///< Only between two instant vectors.
  bool returns_bool = false;
};

struct Aggregate {
  AggregateOp op = AggregateOp::Sum;
  ExprPtr expr;
  ExprPtr parameter;  ///< Null where the operator takes none.
  std::vector<std::string> grouping;
  bool is_without = false;
};

struct FunctionSignature;  // function_table.h

struct Call {
  const FunctionSignature* function = nullptr;  ///< Static storage.
  std::vector<ExprPtr> arguments;
};

struct Expr {
  using Node = std::variant<NumberLiteral, StringLiteral, VectorSelector, MatrixSelector, Subquery,
                            Paren, Unary, Binary, Aggregate, Call>;

  Position position;
  Node node;

  [[nodiscard]] ValueType type() const;
};

[[nodiscard]] ExprPtr clone(const Expr& expr);

/// The expression inside any number of parentheses.
[[nodiscard]] const Expr& strip_parens(const Expr& expr);

/// "aggregation", "binaryExpr"…: see the API; and the reference's names ("VectorSelector") for
/// tests.
[[nodiscard]] std::string_view node_kind_text(const Expr& expr);

/// The direct children, in written order (not the parameter of duration expressions).
[[nodiscard]] std::vector<const Expr*> children(const Expr& expr);

}  // namespace gantry::promql
