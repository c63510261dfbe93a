#include "traceql/testing/plain_field.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include <re2/re2.h>

namespace gantry::traceql::testing {

namespace {

using Value = std::optional<Static>;  // Nothing: it cannot be computed.

/// Where attributes are looked up. Without `is_first`, events and links are those two or none.
struct Place {
  const PlainTrace& trace;
  const PlainSpan& span;
  const PlainEvent* event = nullptr;
  const PlainLink* link = nullptr;
  bool is_first = false;
};

Static find(const PlainAttributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? Static::nil() : found->second;
}

/// `read` of the place's event, or of the first for which it gives something.
template <class Read>
Static of_event(const Place& place, Read read) {
  if (!place.is_first) return place.event == nullptr ? Static::nil() : read(*place.event);
  for (const PlainEvent& event : place.span.events) {
    if (Static value = read(event); value.type != StaticType::Nil) return value;
  }
  return Static::nil();
}

template <class Read>
Static of_link(const Place& place, Read read) {
  if (!place.is_first) return place.link == nullptr ? Static::nil() : read(*place.link);
  for (const PlainLink& link : place.span.links) {
    if (Static value = read(link); value.type != StaticType::Nil) return value;
  }
  return Static::nil();
}

Static look_up_scope(AttributeScope scope, const std::string& name, const Place& place) {
  switch (scope) {
    case AttributeScope::Span:
      return find(place.span.attributes, name);
    case AttributeScope::Resource:
      return find(place.span.resource, name);
    case AttributeScope::Event:
      return of_event(place, [&](const PlainEvent& event) { return find(event.attributes, name); });
    case AttributeScope::Link:
      return of_link(place, [&](const PlainLink& link) { return find(link.attributes, name); });
    case AttributeScope::Instrumentation:
      return find(place.span.scope, name);
    case AttributeScope::None:
      break;
  }
  for (const AttributeScope inner :
       {AttributeScope::Span, AttributeScope::Resource, AttributeScope::Event, AttributeScope::Link,
        AttributeScope::Instrumentation}) {
    if (Static value = look_up_scope(inner, name, place); value.type != StaticType::Nil) {
      return value;
    }
  }
  return Static::nil();
}

Static look_up_trace(Intrinsic intrinsic, const PlainTrace& trace) {
  if (intrinsic == Intrinsic::TraceId) return Static::of_string(plain_trace_id(trace.id));
  if (intrinsic == Intrinsic::TraceDuration) {
    return Static::of_duration(trace.end_ns - trace.start_ns);
  }
  if (!trace.root) return Static::of_string("");
  const PlainSpan& root = trace.spans[*trace.root];
  if (intrinsic == Intrinsic::RootName) return Static::of_string(root.name);
  return find(root.resource, "service.name");
}

Static look_up(const Attribute& attribute, const Place& place) {
  const PlainSpan& span = place.span;
  switch (attribute.intrinsic) {
    case Intrinsic::None:
      return look_up_scope(attribute.scope, attribute.name, place);
    case Intrinsic::Name:
      return Static::of_string(span.name);
    case Intrinsic::Duration:
      return Static::of_duration(span.duration_ns);
    case Intrinsic::Status:
      return Static::of_status(static_cast<std::uint8_t>(span.status));
    case Intrinsic::StatusMessage:
      return Static::of_string(span.status_message);
    case Intrinsic::Kind:
      return Static::of_kind(static_cast<std::uint8_t>(span.kind));
    case Intrinsic::ChildCount:
      return Static::of_int(span.children);
    case Intrinsic::SpanId:
      return Static::of_string(plain_span_id(span.id));
    case Intrinsic::ParentId:
      return Static::of_string(plain_span_id(span.parent_id));
    case Intrinsic::TraceId:
    case Intrinsic::TraceDuration:
    case Intrinsic::RootName:
    case Intrinsic::RootServiceName:
      return look_up_trace(attribute.intrinsic, place.trace);
    case Intrinsic::EventName:
      return of_event(place, [](const PlainEvent& event) { return Static::of_string(event.name); });
    case Intrinsic::EventTimeSinceStart:
      return of_event(
          place, [](const PlainEvent& event) { return Static::of_duration(event.since_start_ns); });
    case Intrinsic::LinkTraceId:
      return of_link(place, [](const PlainLink& link) { return Static::of_string(link.trace_id); });
    case Intrinsic::LinkSpanId:
      return of_link(place, [](const PlainLink& link) { return Static::of_string(link.span_id); });
    case Intrinsic::InstrumentationName:
      return Static::of_string(span.scope_name);
    case Intrinsic::InstrumentationVersion:
      return Static::of_string(span.scope_version);
    case Intrinsic::NestedSetLeft:
      return Static::of_int(span.left);
    case Intrinsic::NestedSetRight:
      return Static::of_int(span.right);
    case Intrinsic::NestedSetParent:
      return Static::of_int(span.parent_left);
  }
  return Static::nil();
}

std::uint64_t power(std::uint64_t base, std::uint64_t exponent) {
  if (exponent == 0) return 1;
  const std::uint64_t half = power(base, exponent / 2);
  return half * half * (exponent % 2 == 0 ? 1 : base);
}

Value int_operation(FieldOp op, std::int64_t left, std::int64_t right) {
  const auto a = static_cast<std::uint64_t>(left);
  const auto b = static_cast<std::uint64_t>(right);
  const auto of = [](std::uint64_t value) {
    return Static::of_int(static_cast<std::int64_t>(value));
  };
  switch (op) {
    case FieldOp::Add:
      return of(a + b);
    case FieldOp::Subtract:
      return of(a - b);
    case FieldOp::Multiply:
      return of(a * b);
    case FieldOp::Divide:
      if (right == 0) return std::nullopt;
      return right == -1 ? of(0 - a) : Static::of_int(left / right);
    case FieldOp::Modulo:
      if (right == 0) return std::nullopt;
      return right == -1 ? of(0) : Static::of_int(left % right);
    case FieldOp::Power:
      if (right >= 0) return of(power(a, b));
      if (left == 0) return std::nullopt;
      return left == 1 || left == -1 ? of(power(a, b % 2)) : of(0);
    default:
      return Static::of_bool(compare_values(op, Static::of_int(left), Static::of_int(right)));
  }
}

Value float_operation(FieldOp op, double left, double right) {
  switch (op) {
    case FieldOp::Add:
      return Static::of_float(left + right);
    case FieldOp::Subtract:
      return Static::of_float(left - right);
    case FieldOp::Multiply:
      return Static::of_float(left * right);
    case FieldOp::Divide:
      return Static::of_float(left / right);
    case FieldOp::Modulo:
      return Static::of_float(std::fmod(left, right));
    case FieldOp::Power:
      return Static::of_float(std::pow(left, right));
    default:
      return Static::of_bool(compare_values(op, Static::of_float(left), Static::of_float(right)));
  }
}

bool is_array(const Static& value) {
  return value.type >= StaticType::IntArray;
}

bool is_negated(FieldOp op) {
  return op == FieldOp::NotEqual || op == FieldOp::NotRegex;
}

FieldOp turned_around(FieldOp op) {
  if (op == FieldOp::Less) return FieldOp::Greater;
  if (op == FieldOp::LessOrEqual) return FieldOp::GreaterOrEqual;
  if (op == FieldOp::Greater) return FieldOp::Less;
  if (op == FieldOp::GreaterOrEqual) return FieldOp::LessOrEqual;
  return op;
}

bool match_types(const Static& left, const Static& right) {
  return left.type == right.type || (number_of(left) && number_of(right));
}

bool matches(const std::string& text, const std::string& pattern) {
  return RE2::FullMatch(text, RE2("(?s:" + pattern + ")"));
}

Value array_operation(FieldOp op, const Static& array, const Static& scalar) {
  if (!is_comparison(op)) return std::nullopt;
  std::size_t held = 0;
  for (const Static& element : array.elements) {
    if (!match_types(element, scalar)) return Static::of_bool(false);
    if (compare_values(op, element, scalar)) ++held;
  }
  // "None of them equals" against "one of them does".
  return Static::of_bool(is_negated(op) ? held == array.elements.size() : held > 0);
}

Value operation(FieldOp op, const Static& left, const Static& right) {
  if (left.type == StaticType::Nil || right.type == StaticType::Nil) return Static::of_bool(false);
  if (is_array(left) && is_array(right)) return std::nullopt;
  if (is_array(left)) return array_operation(op, left, right);
  if (is_array(right)) return array_operation(turned_around(op), right, left);
  if (left.type == StaticType::Int && right.type == StaticType::Int) {
    return int_operation(op, left.integer, right.integer);
  }
  if (number_of(left) && number_of(right)) {
    return float_operation(op, *number_of(left), *number_of(right));
  }
  return Static::of_bool(compare_values(op, left, right));
}

Value compute(const FieldExpr& field, const Place& place);

bool is_true(const Value& value) {
  return value && value->type == StaticType::Bool && value->boolean;
}

Value compute_unary(const UnaryField& unary, const Place& place) {
  const Value operand = compute(*unary.operand, place);
  if (!operand) return std::nullopt;
  if (unary.op == UnaryField::Op::Not) {
    if (operand->type != StaticType::Bool) return std::nullopt;
    return Static::of_bool(!operand->boolean);
  }
  const auto negative = static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(operand->integer));
  if (operand->type == StaticType::Int) return Static::of_int(negative);
  if (operand->type == StaticType::Duration) return Static::of_duration(negative);
  if (operand->type == StaticType::Float) return Static::of_float(-operand->number);
  return std::nullopt;
}

bool is_trace_id(const FieldExpr& field) {
  const auto* attribute = std::get_if<Attribute>(&field.node);
  return attribute != nullptr && (attribute->intrinsic == Intrinsic::TraceId ||
                                  attribute->intrinsic == Intrinsic::LinkTraceId);
}

// Trace ids are written with or without leading zeros.
Value literal_of(const FieldExpr& field, const FieldExpr& other, FieldOp op) {
  const auto* literal = std::get_if<Static>(&field.node);
  if (literal == nullptr || literal->type != StaticType::String || !is_trace_id(other)) {
    return std::nullopt;
  }
  if (op != FieldOp::Equal && op != FieldOp::NotEqual) return std::nullopt;
  const std::size_t zeros = std::min(literal->text.find_first_not_of('0'), literal->text.size());
  return Static::of_string(literal->text.substr(zeros));
}

Value compute_binary(const BinaryField& binary, const Place& place) {
  const Value left = compute(*binary.left, place);
  const Value right = compute(*binary.right, place);
  if (binary.op == FieldOp::And) return Static::of_bool(is_true(left) && is_true(right));
  if (binary.op == FieldOp::Or) return Static::of_bool(is_true(left) || is_true(right));
  const auto* literal = std::get_if<Static>(&binary.right->node);
  if (literal != nullptr && literal->type == StaticType::Nil) {
    const bool is_missing = !left || left->type == StaticType::Nil;
    return Static::of_bool(is_missing == (binary.op == FieldOp::Equal));
  }
  if (!left || !right) return std::nullopt;
  if (const Value id = literal_of(*binary.right, *binary.left, binary.op)) {
    return operation(binary.op, *left, *id);
  }
  if (const Value id = literal_of(*binary.left, *binary.right, binary.op)) {
    return operation(binary.op, *id, *right);
  }
  return operation(binary.op, *left, *right);
}

Value compute(const FieldExpr& field, const Place& place) {
  if (const auto* literal = std::get_if<Static>(&field.node)) return *literal;
  if (const auto* attribute = std::get_if<Attribute>(&field.node))
    return look_up(*attribute, place);
  if (const auto* unary = std::get_if<UnaryField>(&field.node)) return compute_unary(*unary, place);
  return compute_binary(std::get<BinaryField>(field.node), place);
}

template <class T>
std::vector<const T*> each_or_none(const std::vector<T>& parts) {
  std::vector<const T*> result;
  for (const T& part : parts) result.push_back(&part);
  if (result.empty()) result.push_back(nullptr);
  return result;
}

}  // namespace

std::optional<double> number_of(const Static& value) {
  if (value.type == StaticType::Float) return value.number;
  if (value.type == StaticType::Int || value.type == StaticType::Duration) {
    return static_cast<double>(value.integer);
  }
  return std::nullopt;
}

bool compare_values(FieldOp op, const Static& left, const Static& right) {
  if (!match_types(left, right)) return false;
  bool is_equal = false;
  bool is_less = false;
  bool is_ordered = true;
  if (left.type == StaticType::String) {
    if (op == FieldOp::Regex || op == FieldOp::NotRegex) {
      return matches(left.text, right.text) == (op == FieldOp::Regex);
    }
    is_equal = left.text == right.text;
    is_less = left.text < right.text;
  } else if (left.type == StaticType::Int && right.type == StaticType::Int) {
    is_equal = left.integer == right.integer;
    is_less = left.integer < right.integer;
  } else if (number_of(left)) {
    const double a = *number_of(left);
    const double b = *number_of(right);
    if (std::isnan(a) || std::isnan(b)) return op == FieldOp::NotEqual;
    is_equal = a == b;
    is_less = a < b;
  } else {
    is_ordered = false;
    is_equal = left == right;
  }
  if (op == FieldOp::Equal) return is_equal;
  if (op == FieldOp::NotEqual) return !is_equal;
  if (!is_ordered) return false;
  if (op == FieldOp::Less) return is_less;
  if (op == FieldOp::LessOrEqual) return is_less || is_equal;
  if (op == FieldOp::Greater) return !is_less && !is_equal;
  return op == FieldOp::GreaterOrEqual && !is_less;
}

bool holds(const FieldExpr& field, const PlainTrace& trace, const PlainSpan& span) {
  for (const PlainEvent* event : each_or_none(span.events)) {
    for (const PlainLink* link : each_or_none(span.links)) {
      if (is_true(compute(field, {.trace = trace, .span = span, .event = event, .link = link}))) {
        return true;
      }
    }
  }
  return false;
}

Static value_of(const FieldExpr& field, const PlainTrace& trace, const PlainSpan& span) {
  return compute(field, {.trace = trace, .span = span, .is_first = true}).value_or(Static::nil());
}

Static value_of(const Attribute& attribute, const PlainTrace& trace, const PlainSpan& span) {
  return look_up(attribute, {.trace = trace, .span = span, .is_first = true});
}

}  // namespace gantry::traceql::testing
