#pragma once

// The TraceQL syntax tree, as the parser leaves it: checked, constants folded. Immutable.
// Language: grafana/tempo, pkg/traceql.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "traceql/static_value.h"

namespace gantry::traceql {

// ---- fields

enum class AttributeScope : std::uint8_t { None, Span, Resource, Event, Link, Instrumentation };

enum class Intrinsic : std::uint8_t {
  None,  ///< An attribute by name.
  Name,
  Duration,
  Status,
  StatusMessage,
  Kind,
  ChildCount,
  SpanId,
  ParentId,
  TraceId,
  TraceDuration,
  RootName,
  RootServiceName,
  EventName,
  EventTimeSinceStart,
  LinkTraceId,
  LinkSpanId,
  InstrumentationName,
  InstrumentationVersion,
  NestedSetLeft,
  NestedSetRight,
  NestedSetParent,
};

/// "span", "resource", …; "" of None.
[[nodiscard]] std::string_view attribute_scope_text(AttributeScope scope);

/// As canonical text has it: "duration", "span:childCount", "rootServiceName".
[[nodiscard]] std::string_view intrinsic_text(Intrinsic intrinsic);

/// `span.http.method`, `.a`, `duration`, `trace:rootName`. Both spellings of an intrinsic
/// (`duration`, `span:duration`) are the same intrinsic with the same text.
struct Attribute {
  AttributeScope scope = AttributeScope::None;
  Intrinsic intrinsic = Intrinsic::None;
  std::string name;  ///< Of an attribute by name, unquoted: "http.method".
  std::string text;  ///< Canonical: `span.http.method`, `duration`, `span."with space"`.

  friend bool operator==(const Attribute& a, const Attribute& b) {
    return a.scope == b.scope && a.intrinsic == b.intrinsic && a.name == b.name;
  }
};

/// By name or an intrinsic, with its canonical text.
[[nodiscard]] Attribute make_attribute(AttributeScope scope, std::string name);
[[nodiscard]] Attribute make_intrinsic(Intrinsic intrinsic);

enum class FieldOp : std::uint8_t {
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
  NotRegex,
  And,
  Or,
};

[[nodiscard]] std::string_view field_op_text(FieldOp op);

/// = != < <= > >= =~ !~
[[nodiscard]] bool is_comparison(FieldOp op);

struct FieldExpr;
using FieldPtr = std::unique_ptr<const FieldExpr>;

struct UnaryField {
  enum class Op : std::uint8_t { Not, Negate };
  Op op = Op::Not;
  FieldPtr operand;
};

/// `x = nil` and `x != nil` have a Nil literal on the right, whatever side it was written on.
struct BinaryField {
  FieldOp op = FieldOp::Equal;
  FieldPtr left;
  FieldPtr right;
};

struct FieldExpr {
  std::variant<Static, Attribute, UnaryField, BinaryField> node;
};

// ---- span sets

enum class SpansetOp : std::uint8_t {
  And,
  Or,
  Child,       ///< >
  Descendant,  ///< >>
  Parent,      ///< <
  Ancestor,    ///< <<
  Sibling,     ///< ~
  NotChild,
  NotDescendant,
  NotParent,
  NotAncestor,
  NotSibling,
  UnionChild,
  UnionDescendant,
  UnionParent,
  UnionAncestor,
  UnionSibling,
};

[[nodiscard]] std::string_view spanset_op_text(SpansetOp op);

struct Pipeline;
struct SpansetExpr;
using SpansetPtr = std::unique_ptr<const SpansetExpr>;

struct SpansetFilter {
  FieldPtr field;  ///< `{}` is `{ true }`.
};

struct SpansetBinary {
  SpansetOp op = SpansetOp::And;
  SpansetPtr left;
  SpansetPtr right;
};

/// A parenthesised pipeline as an operand: `({ } | count() > 1) > ({ } | …)`.
struct SpansetPipeline {
  std::unique_ptr<const Pipeline> pipeline;
};

struct SpansetExpr {
  std::variant<SpansetFilter, SpansetBinary, SpansetPipeline> node;
};

// ---- pipelines

enum class AggregateOp : std::uint8_t { Count, Min, Max, Avg, Sum };

[[nodiscard]] std::string_view aggregate_op_text(AggregateOp op);

struct Aggregate {
  AggregateOp op = AggregateOp::Count;
  FieldPtr field;    ///< Null for count().
  std::string text;  ///< Canonical: `avg(duration)`; the name of the span set attribute it adds.
};

/// `count() > 2`.
struct ScalarFilter {
  Aggregate aggregate;
  FieldOp op = FieldOp::Greater;  ///< A comparison.
  Static right;                   ///< Int, Float or Duration.
};

struct GroupBy {
  FieldPtr field;
  std::string text;  ///< Canonical: `by(resource.service.name)`.
};

struct Coalesce {};

struct Select {
  std::vector<Attribute> attributes;
};

using Stage = std::variant<SpansetExpr, ScalarFilter, GroupBy, Coalesce, Select>;

struct Pipeline {
  std::vector<Stage> stages;  ///< At least one.
};

// ---- metrics

enum class MetricsOp : std::uint8_t {
  Rate,
  CountOverTime,
  MinOverTime,
  MaxOverTime,
  SumOverTime,
  AvgOverTime,
  QuantileOverTime,
  HistogramOverTime,
  Compare,
};

[[nodiscard]] std::string_view metrics_op_text(MetricsOp op);

struct MetricsFunction {
  MetricsOp op = MetricsOp::Rate;
  std::optional<Attribute> attribute;  ///< Of those with an argument.
  std::vector<double> quantiles;
  std::vector<Attribute> by;

  // compare() only:
  FieldPtr selection;
  std::int64_t top_n = 10;
  std::int64_t selection_start_ns = 0;  ///< 0 and 0: the whole range.
  std::int64_t selection_end_ns = 0;
};

/// `| topk(5)`, `| bottomk(5)` and the comparison `> 1`.
struct SecondStage {
  enum class Kind : std::uint8_t { TopK, BottomK, Filter };
  Kind kind = Kind::TopK;
  std::int64_t limit = 0;         ///< Of TopK and BottomK.
  FieldOp op = FieldOp::Greater;  ///< Of Filter: a comparison.
  double value = 0;               ///< Of Filter; durations in seconds.
};

struct MetricsExpr;
using MetricsPtr = std::unique_ptr<const MetricsExpr>;

struct MetricsPipeline {
  Pipeline pipeline;
  MetricsFunction function;
};

struct MetricsBinary {
  FieldOp op = FieldOp::Add;  ///< Add, Subtract, Multiply or Divide.
  MetricsPtr left;
  MetricsPtr right;
};

struct MetricsExpr {
  std::variant<MetricsPipeline, MetricsBinary, double> node;
  std::vector<SecondStage> second;  ///< Applied to this expression's series, in order.
};

// ---- query

struct Hint {
  std::string name;
  Static value;
};

struct Query {
  std::variant<Pipeline, MetricsPtr> node;
  std::vector<Hint> hints;

  [[nodiscard]] bool is_metrics() const { return std::holds_alternative<MetricsPtr>(node); }

  /// The last of that name; null when there is none.
  [[nodiscard]] const Static* hint(std::string_view name) const;
};

}  // namespace gantry::traceql
