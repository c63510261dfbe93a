#include "traceql/type_check.h"

#include <variant>

#include <fmt/format.h>
#include <re2/re2.h>

#include "traceql/format_internal.h"
#include "traceql/parser.h"

namespace gantry::traceql {

namespace {

StaticType intrinsic_type(Intrinsic intrinsic) {
  switch (intrinsic) {
    case Intrinsic::Duration:
    case Intrinsic::TraceDuration:
    case Intrinsic::EventTimeSinceStart:
      return StaticType::Duration;
    case Intrinsic::Status:
      return StaticType::Status;
    case Intrinsic::Kind:
      return StaticType::Kind;
    case Intrinsic::ChildCount:
    case Intrinsic::NestedSetLeft:
    case Intrinsic::NestedSetRight:
    case Intrinsic::NestedSetParent:
      return StaticType::Int;
    case Intrinsic::None:
    case Intrinsic::Name:
    case Intrinsic::StatusMessage:
    case Intrinsic::SpanId:
    case Intrinsic::ParentId:
    case Intrinsic::TraceId:
    case Intrinsic::RootName:
    case Intrinsic::RootServiceName:
    case Intrinsic::EventName:
    case Intrinsic::LinkTraceId:
    case Intrinsic::LinkSpanId:
    case Intrinsic::InstrumentationName:
    case Intrinsic::InstrumentationVersion:
      return StaticType::String;
  }
  return StaticType::String;
}

bool is_boolean_result(FieldOp op) {
  return is_comparison(op) || op == FieldOp::And || op == FieldOp::Or;
}

bool are_comparable(ImpliedType left, ImpliedType right) {
  if (!left || !right || *left == *right) return true;
  if (is_numeric(*left) && is_numeric(*right)) return true;
  return *left == StaticType::Nil || *right == StaticType::Nil;
}

bool accepts(FieldOp op, ImpliedType type) {
  if (!type) return true;
  const bool is_equality = op == FieldOp::Equal || op == FieldOp::NotEqual;
  const bool is_regex = op == FieldOp::Regex || op == FieldOp::NotRegex;
  switch (*type) {
    case StaticType::Bool:
      return is_equality || op == FieldOp::And || op == FieldOp::Or;
    case StaticType::Int:
    case StaticType::Float:
    case StaticType::Duration:
      return !is_regex && op != FieldOp::And && op != FieldOp::Or;
    case StaticType::String:
      return is_comparison(op);
    case StaticType::Nil:
    case StaticType::Status:
    case StaticType::Kind:
      return is_equality;
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray:
      return is_comparison(op);
  }
  return false;
}

// Intrinsics and the service's name are always there.
std::optional<std::string> check_nil(const BinaryField& operation) {
  const auto* right = std::get_if<Static>(&operation.right->node);
  const auto* left = std::get_if<Attribute>(&operation.left->node);
  if (right == nullptr || right->type != StaticType::Nil || left == nullptr) return std::nullopt;
  if (operation.op != FieldOp::Equal) return std::nullopt;
  if (left->intrinsic != Intrinsic::None) {
    return left->text + "=nil is not valid because intrinsics cannot be nil";
  }
  if (left->scope == AttributeScope::Resource && left->name == "service.name") {
    return "resource.service.name=nil is not valid because resource.service.name cannot be nil";
  }
  return std::nullopt;
}

std::optional<std::string> check_regex(const BinaryField& operation) {
  const auto* pattern = std::get_if<Static>(&operation.right->node);
  if (pattern == nullptr || pattern->type != StaticType::String) {
    return "invalid type for =~ or !~: " + format(*operation.right);
  }
  if (!RE2(pattern->text, RE2::Quiet).ok()) return "invalid regex: " + format_static(*pattern);
  return std::nullopt;
}

struct TypeOf {
  ImpliedType operator()(const Static& value) const { return value.type; }

  ImpliedType operator()(const Attribute& attribute) const {
    if (attribute.intrinsic == Intrinsic::None) return std::nullopt;
    return intrinsic_type(attribute.intrinsic);
  }

  ImpliedType operator()(const UnaryField& operation) const {
    if (operation.op == UnaryField::Op::Not) return StaticType::Bool;
    return implied_type(*operation.operand);
  }

  ImpliedType operator()(const BinaryField& operation) const {
    if (is_boolean_result(operation.op)) return StaticType::Bool;
    if (const ImpliedType left = implied_type(*operation.left)) return left;
    return implied_type(*operation.right);
  }
};

struct ReferencesSpan {
  bool operator()(const Static&) const { return false; }

  bool operator()(const Attribute&) const { return true; }

  bool operator()(const UnaryField& operation) const { return references_span(*operation.operand); }

  bool operator()(const BinaryField& operation) const {
    return references_span(*operation.left) || references_span(*operation.right);
  }
};

}  // namespace

ImpliedType implied_type(const FieldExpr& field) {
  return std::visit(TypeOf{}, field.node);
}

bool is_numeric(StaticType type) {
  return type == StaticType::Int || type == StaticType::Float || type == StaticType::Duration;
}

bool references_span(const FieldExpr& field) {
  return std::visit(ReferencesSpan{}, field.node);
}

std::optional<std::string> check_binary(const BinaryField& operation) {
  const ImpliedType left = implied_type(*operation.left);
  const ImpliedType right = implied_type(*operation.right);
  if (!are_comparable(left, right)) {
    return "binary operations must operate on the same type: " + format_operation(operation);
  }
  if (!accepts(operation.op, left) || !accepts(operation.op, right)) {
    return "illegal operation for the given types: " + format_operation(operation);
  }
  if (operation.op == FieldOp::Regex || operation.op == FieldOp::NotRegex) {
    return check_regex(operation);
  }
  return check_nil(operation);
}

std::optional<std::string> check_unary(const UnaryField& operation) {
  const ImpliedType type = implied_type(*operation.operand);
  const bool is_valid = !type || (operation.op == UnaryField::Op::Not ? *type == StaticType::Bool
                                                                      : is_numeric(*type));
  if (is_valid) return std::nullopt;
  return "illegal operation for the given type: " + format_operation(operation);
}

std::optional<std::string> check_filter(const FieldExpr& field) {
  const ImpliedType type = implied_type(field);
  if (!type || *type == StaticType::Bool) return std::nullopt;
  return fmt::format("span filter field expressions must resolve to a boolean: {{ {} }}",
                     format(field));
}

std::optional<std::string> check_aggregate(const Aggregate& aggregate) {
  if (!aggregate.field) return std::nullopt;
  const ImpliedType type = implied_type(*aggregate.field);
  if (type && !is_numeric(*type)) {
    return "aggregate field expressions must resolve to a number type: " + aggregate.text;
  }
  if (!references_span(*aggregate.field)) {
    return "aggregate field expressions must reference the span: " + aggregate.text;
  }
  return std::nullopt;
}

std::optional<std::string> check_group_by(const GroupBy& group) {
  if (references_span(*group.field)) return std::nullopt;
  return "grouping field expressions must reference the span: " + group.text;
}

}  // namespace gantry::traceql
