// Span sets, pipelines and scalars: everything in which a parenthesis can open any of several
// things. Operands carry what they turned out to be, and each place says what it accepts.

#include <algorithm>
#include <utility>
#include <variant>

#include "traceql/fold.h"
#include "traceql/format_internal.h"
#include "traceql/parser_internal.h"
#include "traceql/type_check.h"

namespace gantry::traceql {

namespace {

constexpr int kLogicalPrecedence = 1;
constexpr int kComparisonPrecedence = 2;
constexpr int kSumPrecedence = 3;
constexpr int kProductPrecedence = 4;

constexpr OperandKinds kPipelines = kStages | kScalarPipe | kMetrics;
constexpr OperandKinds kScalars = kNumber | kAggregate | kScalarPipe;

bool is_arithmetic(FieldOp op) {
  return op == FieldOp::Add || op == FieldOp::Subtract || op == FieldOp::Multiply ||
         op == FieldOp::Divide;
}

bool is_scalar_comparison(FieldOp op) {
  return is_comparison(op) && op != FieldOp::Regex && op != FieldOp::NotRegex;
}

bool is_product(FieldOp op) {
  return op == FieldOp::Multiply || op == FieldOp::Divide;
}

// 0: no operator for such an operand.
int precedence_of(OperandKind left, TokenKind kind, OperandKinds result) {
  if (left == kSpanset || left == kWrapped) {
    const auto op = spanset_op(kind);
    if (!op) return 0;
    return *op <= SpansetOp::Or ? kLogicalPrecedence : kComparisonPrecedence;
  }
  const auto op = field_op(kind);
  if (!op || (left & (kScalars | kMetrics)) == 0) return 0;
  if (is_arithmetic(*op)) return is_product(*op) ? kProductPrecedence : kSumPrecedence;
  const OperandKinds compared = left == kScalarPipe ? kRefused : kStages;
  const bool can_compare = (left & kScalars) != 0 && (result & compared) != 0;
  return can_compare && is_scalar_comparison(*op) ? kComparisonPrecedence : 0;
}

// What the right side of an operator may be.
Accepted right_of(OperandKind left, bool is_compared, OperandKinds result) {
  Accepted accepted;
  switch (left) {
    case kSpanset:
      accepted = {.bare = kSpanset, .wrapped = kSpanset};
      break;
    case kWrapped:
      accepted = {.bare = 0, .wrapped = kSpanset | kStages | kWrapped};
      break;
    case kNumber:
      accepted = {.bare = result & (kNumber | kAggregate),
                  .wrapped = result & (kNumber | kAggregate | kMetrics | kScalarPipe)};
      if (is_compared) accepted.wrapped &= kNumber | kAggregate;
      break;
    case kAggregate:
      accepted = {.bare = kNumber | kAggregate, .wrapped = kNumber | kAggregate};
      break;
    case kScalarPipe:
      accepted = {.bare = kNumber, .wrapped = kNumber | kScalarPipe};
      break;
    case kMetrics:
      accepted = {.bare = kNumber, .wrapped = kNumber | kMetrics};
      break;
    case kStages:
    case kRefused:
      break;
  }
  const bool can_grow = left == kSpanset || left == kWrapped || (left == kNumber && !is_compared);
  accepted.result = can_grow ? result : accepted.bare | accepted.wrapped;
  return accepted;
}

SpansetPtr take_spanset(Operand& operand) {
  if (operand.stages.empty())
    return std::make_unique<const SpansetExpr>(std::move(operand.spanset));
  SpansetPipeline pipeline{
      std::make_unique<const Pipeline>(Pipeline{.stages = std::move(operand.stages)})};
  return std::make_unique<const SpansetExpr>(SpansetExpr{std::move(pipeline)});
}

Operand refused() {
  Operand operand;
  operand.kind = kRefused;
  return operand;
}

Operand single_stage(Stage stage) {
  Operand operand;
  operand.kind = kStages;
  operand.stages.push_back(std::move(stage));
  return operand;
}

bool is_metrics_function(TokenKind kind) {
  return kind >= TokenKind::Rate && kind <= TokenKind::Compare;
}

}  // namespace

std::optional<SpansetOp> spanset_op(TokenKind kind) {
  switch (kind) {
    case TokenKind::And:
      return SpansetOp::And;
    case TokenKind::Or:
      return SpansetOp::Or;
    case TokenKind::Greater:
      return SpansetOp::Child;
    case TokenKind::Descendant:
      return SpansetOp::Descendant;
    case TokenKind::Less:
      return SpansetOp::Parent;
    case TokenKind::Ancestor:
      return SpansetOp::Ancestor;
    case TokenKind::Sibling:
      return SpansetOp::Sibling;
    case TokenKind::NotChild:
      return SpansetOp::NotChild;
    case TokenKind::NotDescendant:
      return SpansetOp::NotDescendant;
    case TokenKind::NotParent:
      return SpansetOp::NotParent;
    case TokenKind::NotAncestor:
      return SpansetOp::NotAncestor;
    case TokenKind::NotRegex:
      return SpansetOp::NotSibling;
    case TokenKind::UnionChild:
      return SpansetOp::UnionChild;
    case TokenKind::UnionDescendant:
      return SpansetOp::UnionDescendant;
    case TokenKind::UnionParent:
      return SpansetOp::UnionParent;
    case TokenKind::UnionAncestor:
      return SpansetOp::UnionAncestor;
    case TokenKind::UnionSibling:
      return SpansetOp::UnionSibling;
    default:
      return std::nullopt;
  }
}

// What stands in a parenthesis, or is the whole query: an operation, or a pipeline that begins with
// one.
std::optional<Operand> Parser::parse_body(OperandKinds result) {
  const Level level(*this);
  if (!level.is_allowed()) return std::nullopt;
  Accepted accepted{.bare = result, .wrapped = result, .result = result};
  if ((result & (kPipelines | kWrapped)) != 0) {
    const OperandKinds first = kSpanset | kNumber | kAggregate;
    accepted.bare |= first;
    accepted.wrapped |= first;
    accepted.result |= first | kStages;
  }
  auto operand = parse_operation(0, accepted);
  const bool is_pipeline = operand && (operand->kind == kSpanset || operand->kind == kStages);
  if (is_pipeline && is(TokenKind::Pipe) && (result & kPipelines) != 0) {
    return parse_stages(*std::move(operand), result);
  }
  return operand;
}

std::optional<Operand> Parser::parse_stages(Operand first, OperandKinds result) {
  constexpr OperandKinds kFirst = kSpanset | kNumber | kAggregate;
  constexpr Accepted kStage{
      .bare = kFirst | kStages, .wrapped = kFirst, .result = kFirst | kStages};
  Operand pipeline = std::move(first);
  if (pipeline.kind == kSpanset) {
    pipeline.stages.emplace_back(std::move(pipeline.spanset));
    pipeline.kind = kStages;
  }
  while (accept(TokenKind::Pipe)) {
    if (is_metrics_function(token_.kind) && (result & kMetrics) != 0) {
      auto function = parse_metrics_function();
      if (!function) return std::nullopt;
      pipeline.metrics.node = MetricsPipeline{{std::move(pipeline.stages)}, *std::move(function)};
      pipeline.kind = kMetrics;
      if (!parse_second_stages(pipeline.metrics)) return std::nullopt;
      return pipeline;
    }
    auto stage = is(TokenKind::Coalesce) ? parse_coalesce() : parse_operation(0, kStage);
    if (!stage) return std::nullopt;
    pipeline.height = std::max(pipeline.height, stage->height);
    if (stage->kind == kSpanset) {
      pipeline.stages.emplace_back(std::move(stage->spanset));
    } else if (stage->kind == kStages) {
      pipeline.stages.push_back(std::move(stage->stages[0]));
    } else if (stage->kind == kAggregate && (result & kScalarPipe) != 0 &&
               is(TokenKind::RightParen)) {
      pipeline.kind = kScalarPipe;
      return pipeline;
    } else {
      return unexpected();
    }
  }
  return pipeline;
}

std::optional<Operand> Parser::parse_operation(int precedence_min, const Accepted& accepted) {
  auto left = parse_operand(accepted);
  while (left) {
    const int precedence = precedence_of(left->kind, token_.kind, accepted.result);
    if (precedence == 0 || precedence < precedence_min) break;
    const Token op = token_;
    advance();
    const bool is_compared = precedence == kComparisonPrecedence;
    auto right =
        parse_operation(precedence + 1, right_of(left->kind, is_compared, accepted.result));
    if (!right) return std::nullopt;
    left = combine(*std::move(left), op, previous_, *std::move(right), accepted);
  }
  return left;
}

std::optional<Operand> Parser::parse_operand(const Accepted& accepted) {
  const auto takes = [&](OperandKinds kinds) { return (accepted.bare & kinds) != 0; };
  switch (token_.kind) {
    case TokenKind::LeftBrace:
      if (takes(kSpanset)) return parse_filter();
      break;
    case TokenKind::LeftParen:
      if (accepted.wrapped != 0) return parse_parenthesis(accepted.wrapped);
      break;
    case TokenKind::Integer:
    case TokenKind::Float:
    case TokenKind::Duration:
    case TokenKind::Subtract:
      if (takes(kNumber)) return parse_number();
      break;
    case TokenKind::Count:
    case TokenKind::Min:
    case TokenKind::Max:
    case TokenKind::Avg:
    case TokenKind::Sum:
      if (takes(kAggregate)) return parse_aggregate();
      break;
    case TokenKind::By:
      if (takes(kPipelines)) return parse_group_by();
      break;
    case TokenKind::Select:
      if (takes(kPipelines)) return parse_select();
      break;
    default:
      break;
  }
  if (accepted.bare == kSpanset) return unexpected("{ or (");
  if (accepted.bare == 0) return unexpected("(");
  return unexpected();
}

std::optional<Operand> Parser::parse_parenthesis(OperandKinds wrapped) {
  advance();
  auto operand = parse_body(wrapped);
  if (!operand) return std::nullopt;
  const bool is_accepted = (operand->kind & wrapped) != 0;
  if (!is_accepted || !is(TokenKind::RightParen)) return unexpected();
  advance();
  if (operand->kind == kStages) operand->kind = kWrapped;
  return operand;
}

// "{" [ field ] "}"
std::optional<Operand> Parser::parse_filter() {
  advance();
  FieldPtr field;
  Operand operand;
  if (is(TokenKind::RightBrace)) {
    field = std::make_unique<const FieldExpr>(Static::of_bool(true));
  } else {
    field = parse_field(0);
    if (!field) return std::nullopt;
    refuse(check_filter(*field));
    operand.height += height_;
  }
  if (!expect(TokenKind::RightBrace)) return std::nullopt;
  operand.spanset.node = SpansetFilter{std::move(field)};
  return operand;
}

// A literal; signs bind tighter than any operator here.
std::optional<Operand> Parser::parse_number() {
  const Level level(*this);
  if (!level.is_allowed()) return std::nullopt;
  const bool is_negative = accept(TokenKind::Subtract);
  Operand operand;
  operand.kind = kNumber;
  if (is(TokenKind::Integer)) {
    if (token_.is_beyond_int && !is_negative) {
      fail_at(token_, integer_range_error(token_.text));
      return std::nullopt;
    }
    operand.number = Static::of_int(token_.integer);
  } else if (is(TokenKind::Float)) {
    operand.number = Static::of_float(token_.number);
  } else if (is(TokenKind::Duration)) {
    operand.number = Static::of_duration(token_.integer);
  } else if (is_negative && is(TokenKind::Subtract)) {
    auto inner = parse_number();
    if (!inner) return std::nullopt;
    operand.number = *fold(UnaryField::Op::Negate, inner->number);
    return operand;
  } else if (is_negative && is(TokenKind::LeftParen)) {
    auto inner = parse_parenthesis(kNumber);
    if (!inner) return std::nullopt;
    operand.number = *fold(UnaryField::Op::Negate, inner->number);
    return operand;
  } else {
    return unexpected();
  }
  advance();
  if (is_negative) operand.number = *fold(UnaryField::Op::Negate, operand.number);
  return operand;
}

std::optional<Operand> Parser::parse_aggregate() {
  Aggregate aggregate;
  aggregate.op =
      static_cast<AggregateOp>(static_cast<int>(token_.kind) - static_cast<int>(TokenKind::Count));
  advance();
  if (!expect(TokenKind::LeftParen, "(")) return std::nullopt;
  if (aggregate.op != AggregateOp::Count) {
    aggregate.field = parse_field(0);
    if (!aggregate.field) return std::nullopt;
  }
  if (!expect(TokenKind::RightParen, aggregate.field ? "" : ")")) return std::nullopt;
  aggregate.text = format_aggregate(aggregate);
  refuse(check_aggregate(aggregate));
  Operand operand;
  operand.kind = kAggregate;
  operand.aggregate = std::move(aggregate);
  return operand;
}

std::optional<Operand> Parser::parse_group_by() {
  advance();
  if (!expect(TokenKind::LeftParen, "(")) return std::nullopt;
  GroupBy group;
  group.field = parse_field(0);
  if (!group.field || !expect(TokenKind::RightParen)) return std::nullopt;
  group.text = format_group_by(*group.field);
  refuse(check_group_by(group));
  return single_stage(std::move(group));
}

std::optional<Operand> Parser::parse_select() {
  advance();
  if (!expect(TokenKind::LeftParen, "(")) return std::nullopt;
  Select select;
  if (!parse_attribute_list(select.attributes)) return std::nullopt;
  return single_stage(std::move(select));
}

std::optional<Operand> Parser::parse_coalesce() {
  advance();
  if (!expect(TokenKind::LeftParen, "(")) return std::nullopt;
  if (!expect(TokenKind::RightParen, ")")) return std::nullopt;
  return single_stage(Coalesce{});
}

// `last` is the right operand's last token. Where only numbers can stand, Tempo's parser is done
// with a product as soon as it has read it and reports errors there; elsewhere it looks one token
// further.
std::optional<Operand> Parser::combine(Operand left, const Token& op, const Token& last,
                                       Operand right, const Accepted& accepted) {
  if (const auto spansets = spanset_op(op.kind);
      spansets && (left.kind & (kSpanset | kWrapped)) != 0) {
    return combine_spansets(std::move(left), *spansets, std::move(right));
  }
  const FieldOp operation = *field_op(op.kind);
  if (is_comparison(operation))
    return compare_scalars(std::move(left), operation, std::move(right));
  const bool has_metrics = left.kind == kMetrics || right.kind == kMetrics;
  const bool is_done =
      is_product(operation) && (left.kind == kMetrics || accepted.result == kNumber);
  const Token& position = is_done ? last : token_;
  if (has_metrics) {
    return combine_metrics(std::move(left), operation, std::move(right), position);
  }
  if (left.kind == kNumber && right.kind == kNumber) {
    return combine_numbers(left, operation, right, position);
  }
  Operand result;
  const bool has_pipe = left.kind == kScalarPipe || right.kind == kScalarPipe;
  result.kind = has_pipe ? kScalarPipe : kAggregate;
  return result;
}

std::optional<Operand> Parser::combine_spansets(Operand left, SpansetOp op, Operand right) {
  Operand result;
  result.kind = left.kind;
  result.height = std::max(left.height, right.height) + 1;
  if (!check_height(result.height)) return std::nullopt;
  result.spanset.node =
      SpansetBinary{.op = op, .left = take_spanset(left), .right = take_spanset(right)};
  return result;
}

std::optional<Operand> Parser::combine_numbers(const Operand& left, FieldOp op,
                                               const Operand& right, const Token& position) {
  if (left.number.type == StaticType::Duration || right.number.type == StaticType::Duration) {
    fail_at(position, "duration cannot be used in scalar arithmetic");
    return std::nullopt;
  }
  auto number = fold(op, left.number, right.number);
  if (!number) {
    const double divisor = right.number.type == StaticType::Float
                               ? right.number.number
                               : static_cast<double>(right.number.integer);
    const bool is_division = op == FieldOp::Divide && divisor == 0;
    fail_at(position, is_division ? "division by zero" : "result is out of range");
    return std::nullopt;
  }
  Operand result;
  result.kind = kNumber;
  result.number = *std::move(number);
  return result;
}

std::optional<Operand> Parser::combine_metrics(Operand left, FieldOp op, Operand right,
                                               const Token& position) {
  Operand result;
  result.kind = kMetrics;
  result.height = std::max(left.height, right.height) + 1;
  if (!check_height(result.height)) return std::nullopt;
  for (Operand* side : {&left, &right}) {
    if (side->kind != kNumber) continue;
    if (side->number.type == StaticType::Duration) {
      fail_at(position, "duration cannot be used as a scalar operand in metric arithmetic");
      return std::nullopt;
    }
    side->metrics.node = side->number.type == StaticType::Float
                             ? side->number.number
                             : static_cast<double>(side->number.integer);
  }
  result.metrics.node =
      MetricsBinary{.op = op,
                    .left = std::make_unique<const MetricsExpr>(std::move(left.metrics)),
                    .right = std::make_unique<const MetricsExpr>(std::move(right.metrics))};
  return result;
}

// aggregate cmp number; the other forms are known and refused.
std::optional<Operand> Parser::compare_scalars(Operand left, FieldOp op, Operand right) {
  if (left.kind == kNumber && right.kind == kNumber) return unexpected();
  if (!left.aggregate) {
    refuse(RefusalKind::Unsupported, "scalar filter lhs of type (%v) not yet supported");
  } else if (right.kind != kNumber) {
    refuse(RefusalKind::Unsupported, "scalar filter rhs of type (%v) not yet supported");
  }
  if (left.kind == kScalarPipe) return refused();
  ScalarFilter filter{.op = op, .right = std::move(right.number)};
  if (left.aggregate) filter.aggregate = *std::move(left.aggregate);
  return single_stage(std::move(filter));
}

}  // namespace gantry::traceql
