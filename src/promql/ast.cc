#include "promql/ast.h"

#include <type_traits>

#include "promql/function_table.h"

namespace gantry::promql {

namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

std::unique_ptr<DurationExpr> clone_duration(const std::unique_ptr<DurationExpr>& source) {
  if (!source) return nullptr;
  auto copy = std::make_unique<DurationExpr>();
  copy->position = source->position;
  copy->op = source->op;
  copy->literal_seconds = source->literal_seconds;
  copy->is_duration_literal = source->is_duration_literal;
  copy->is_wrapped = source->is_wrapped;
  copy->left = clone_duration(source->left);
  copy->right = clone_duration(source->right);
  return copy;
}

ExprPtr clone_optional(const ExprPtr& source) {
  return source ? clone(*source) : nullptr;
}

TimeModifiers clone_time(const TimeModifiers& source) {
  return {.offset_ms = source.offset_ms,
          .offset_expr = clone_duration(source.offset_expr),
          .at = source.at,
          .at_ms = source.at_ms};
}

VectorSelector clone_node(const VectorSelector& source) {
  return {.name = source.name,
          .matchers = source.matchers,
          .time = clone_time(source.time),
          .mode = source.mode};
}

MatrixSelector clone_node(const MatrixSelector& source) {
  return {.selector = clone_node(source.selector),
          .selector_position = source.selector_position,
          .range_ms = source.range_ms,
          .range_expr = clone_duration(source.range_expr)};
}

Subquery clone_node(const Subquery& source) {
  return {.expr = clone_optional(source.expr),
          .range_ms = source.range_ms,
          .range_expr = clone_duration(source.range_expr),
          .step_ms = source.step_ms,
          .step_expr = clone_duration(source.step_expr),
          .time = clone_time(source.time)};
}

NumberLiteral clone_node(const NumberLiteral& source) {
  return source;
}

StringLiteral clone_node(const StringLiteral& source) {
  return source;
}

Paren clone_node(const Paren& source) {
  return {.expr = clone_optional(source.expr)};
}

Unary clone_node(const Unary& source) {
  return {.op = source.op, .expr = clone_optional(source.expr)};
}

Binary clone_node(const Binary& source) {
  return {.op = source.op,
          .left = clone_optional(source.left),
          .right = clone_optional(source.right),
          .matching = source.matching,
          .returns_bool = source.returns_bool};
}

Aggregate clone_node(const Aggregate& source) {
  return {.op = source.op,
          .expr = clone_optional(source.expr),
          .parameter = clone_optional(source.parameter),
          .grouping = source.grouping,
          .is_without = source.is_without};
}

Call clone_node(const Call& source) {
  Call copy{.function = source.function, .arguments = {}};
  copy.arguments.reserve(source.arguments.size());
  for (const ExprPtr& argument : source.arguments) copy.arguments.push_back(clone(*argument));
  return copy;
}

}  // namespace

std::string_view value_type_text(ValueType type) {
  switch (type) {
    case ValueType::None:
      return "none";
    case ValueType::Scalar:
      return "scalar";
    case ValueType::Vector:
      return "instant vector";
    case ValueType::Matrix:
      return "range vector";
    case ValueType::String:
      return "string";
  }
  return "none";
}

std::string_view binary_op_text(BinaryOp op) {
  switch (op) {
    case BinaryOp::Add:
      return "+";
    case BinaryOp::Subtract:
      return "-";
    case BinaryOp::Multiply:
      return "*";
    case BinaryOp::Divide:
      return "/";
    case BinaryOp::Modulo:
      return "%";
    case BinaryOp::Power:
      return "^";
    case BinaryOp::Atan2:
      return "atan2";
    case BinaryOp::Equal:
      return "==";
    case BinaryOp::NotEqual:
      return "!=";
    case BinaryOp::Less:
      return "<";
    case BinaryOp::LessOrEqual:
      return "<=";
    case BinaryOp::Greater:
      return ">";
    case BinaryOp::GreaterOrEqual:
      return ">=";
    case BinaryOp::TrimUpper:
      return "</";
    case BinaryOp::TrimLower:
      return ">/";
    case BinaryOp::And:
      return "and";
    case BinaryOp::Or:
      return "or";
    case BinaryOp::Unless:
      return "unless";
  }
  return "";
}

bool is_comparison(BinaryOp op) {
  switch (op) {
    case BinaryOp::Equal:
    case BinaryOp::NotEqual:
    case BinaryOp::Less:
    case BinaryOp::LessOrEqual:
    case BinaryOp::Greater:
    case BinaryOp::GreaterOrEqual:
      return true;
    case BinaryOp::Add:
    case BinaryOp::Subtract:
    case BinaryOp::Multiply:
    case BinaryOp::Divide:
    case BinaryOp::Modulo:
    case BinaryOp::Power:
    case BinaryOp::Atan2:
    case BinaryOp::TrimUpper:
    case BinaryOp::TrimLower:
    case BinaryOp::And:
    case BinaryOp::Or:
    case BinaryOp::Unless:
      return false;
  }
  return false;
}

bool is_set_operator(BinaryOp op) {
  return op == BinaryOp::And || op == BinaryOp::Or || op == BinaryOp::Unless;
}

std::string_view aggregate_op_text(AggregateOp op) {
  switch (op) {
    case AggregateOp::Sum:
      return "sum";
    case AggregateOp::Avg:
      return "avg";
    case AggregateOp::Count:
      return "count";
    case AggregateOp::Min:
      return "min";
    case AggregateOp::Max:
      return "max";
    case AggregateOp::Group:
      return "group";
    case AggregateOp::Stddev:
      return "stddev";
    case AggregateOp::Stdvar:
      return "stdvar";
    case AggregateOp::TopK:
      return "topk";
    case AggregateOp::BottomK:
      return "bottomk";
    case AggregateOp::CountValues:
      return "count_values";
    case AggregateOp::Quantile:
      return "quantile";
    case AggregateOp::LimitK:
      return "limitk";
    case AggregateOp::LimitRatio:
      return "limit_ratio";
  }
  return "";
}

ValueType Expr::type() const {
  return std::visit(Overloaded{
                        [](const NumberLiteral&) { return ValueType::Scalar; },
                        [](const StringLiteral&) { return ValueType::String; },
                        [](const VectorSelector&) { return ValueType::Vector; },
                        [](const MatrixSelector&) { return ValueType::Matrix; },
                        [](const Subquery&) { return ValueType::Matrix; },
                        [](const Paren& paren) { return paren.expr->type(); },
                        [](const Unary& unary) { return unary.expr->type(); },
                        [](const Binary& binary) {
                          const bool is_scalar = binary.left->type() == ValueType::Scalar &&
                                                 binary.right->type() == ValueType::Scalar;
                          return is_scalar ? ValueType::Scalar : ValueType::Vector;
                        },
                        [](const Aggregate&) { return ValueType::Vector; },
                        [](const Call& call) {
                          return call.function != nullptr ? call.function->return_type
                                                          : ValueType::None;
                        },
                    },
                    node);
}

ExprPtr clone(const Expr& expr) {
  auto copy = std::make_unique<Expr>();
  copy->position = expr.position;
  std::visit([&copy](const auto& node) { copy->node = clone_node(node); }, expr.node);
  return copy;
}

const Expr& strip_parens(const Expr& expr) {
  const Expr* current = &expr;
  while (const auto* paren = std::get_if<Paren>(&current->node)) current = paren->expr.get();
  return *current;
}

std::string_view node_kind_text(const Expr& expr) {
  return std::visit(Overloaded{
                        [](const NumberLiteral&) { return std::string_view("NumberLiteral"); },
                        [](const StringLiteral&) { return std::string_view("StringLiteral"); },
                        [](const VectorSelector&) { return std::string_view("VectorSelector"); },
                        [](const MatrixSelector&) { return std::string_view("MatrixSelector"); },
                        [](const Subquery&) { return std::string_view("SubqueryExpr"); },
                        [](const Paren&) { return std::string_view("ParenExpr"); },
                        [](const Unary&) { return std::string_view("UnaryExpr"); },
                        [](const Binary&) { return std::string_view("BinaryExpr"); },
                        [](const Aggregate&) { return std::string_view("AggregateExpr"); },
                        [](const Call&) { return std::string_view("Call"); },
                    },
                    expr.node);
}

std::vector<const Expr*> children(const Expr& expr) {
  std::vector<const Expr*> result;
  std::visit(Overloaded{
                 [](const NumberLiteral&) {},
                 [](const StringLiteral&) {},
                 [](const VectorSelector&) {},
                 [](const MatrixSelector&) {},
                 [&](const Subquery& subquery) { result.push_back(subquery.expr.get()); },
                 [&](const Paren& paren) { result.push_back(paren.expr.get()); },
                 [&](const Unary& unary) { result.push_back(unary.expr.get()); },
                 [&](const Binary& binary) {
                   result.push_back(binary.left.get());
                   result.push_back(binary.right.get());
                 },
                 [&](const Aggregate& aggregate) {
                   if (aggregate.parameter) result.push_back(aggregate.parameter.get());
                   result.push_back(aggregate.expr.get());
                 },
                 [&](const Call& call) {
                   for (const ExprPtr& argument : call.arguments) result.push_back(argument.get());
                 },
             },
             expr.node);
  return result;
}

}  // namespace gantry::promql
