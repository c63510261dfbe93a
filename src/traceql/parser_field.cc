// Field expressions: what stands in braces, and in the arguments of by() and aggregates.

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <variant>

#include "telemetry/span_batch.h"
#include "traceql/fold.h"
#include "traceql/parser_internal.h"
#include "traceql/type_check.h"

namespace gantry::traceql {

namespace {

// Prefix operators take what binds tighter than they do: -a * b is -(a * b), !a = 1 is (!a) = 1.
constexpr int kLogicalPrecedence = 1;
constexpr int kComparisonPrecedence = 2;
constexpr int kSumPrecedence = 3;
constexpr int kNotPrecedence = 4;
constexpr int kProductPrecedence = 5;
constexpr int kPowerPrecedence = 6;

int precedence_of(FieldOp op) {
  switch (op) {
    case FieldOp::And:
    case FieldOp::Or:
      return kLogicalPrecedence;
    case FieldOp::Equal:
    case FieldOp::NotEqual:
    case FieldOp::Less:
    case FieldOp::LessOrEqual:
    case FieldOp::Greater:
    case FieldOp::GreaterOrEqual:
    case FieldOp::Regex:
    case FieldOp::NotRegex:
      return kComparisonPrecedence;
    case FieldOp::Add:
    case FieldOp::Subtract:
      return kSumPrecedence;
    case FieldOp::Multiply:
    case FieldOp::Divide:
    case FieldOp::Modulo:
      return kProductPrecedence;
    case FieldOp::Power:
      return kPowerPrecedence;
  }
  return 0;
}

template <class Node>
FieldPtr make_field(Node node) {
  return std::make_unique<const FieldExpr>(FieldExpr{std::move(node)});
}

struct ScopedIntrinsic {
  TokenKind scope;
  TokenKind word;
  Intrinsic intrinsic;
};

constexpr auto kScopedIntrinsics = std::to_array<ScopedIntrinsic>({
    {TokenKind::SpanColon, TokenKind::Name, Intrinsic::Name},
    {TokenKind::SpanColon, TokenKind::DurationWord, Intrinsic::Duration},
    {TokenKind::SpanColon, TokenKind::Status, Intrinsic::Status},
    {TokenKind::SpanColon, TokenKind::StatusMessage, Intrinsic::StatusMessage},
    {TokenKind::SpanColon, TokenKind::Kind, Intrinsic::Kind},
    {TokenKind::SpanColon, TokenKind::ChildCount, Intrinsic::ChildCount},
    {TokenKind::SpanColon, TokenKind::Id, Intrinsic::SpanId},
    {TokenKind::SpanColon, TokenKind::ParentId, Intrinsic::ParentId},
    {TokenKind::TraceColon, TokenKind::DurationWord, Intrinsic::TraceDuration},
    {TokenKind::TraceColon, TokenKind::RootName, Intrinsic::RootName},
    {TokenKind::TraceColon, TokenKind::RootService, Intrinsic::RootServiceName},
    {TokenKind::TraceColon, TokenKind::Id, Intrinsic::TraceId},
    {TokenKind::EventColon, TokenKind::Name, Intrinsic::EventName},
    {TokenKind::EventColon, TokenKind::TimeSinceStart, Intrinsic::EventTimeSinceStart},
    {TokenKind::LinkColon, TokenKind::TraceId, Intrinsic::LinkTraceId},
    {TokenKind::LinkColon, TokenKind::SpanId, Intrinsic::LinkSpanId},
    {TokenKind::InstrumentationColon, TokenKind::Name, Intrinsic::InstrumentationName},
    {TokenKind::InstrumentationColon, TokenKind::Version, Intrinsic::InstrumentationVersion},
});

std::optional<Intrinsic> bare_intrinsic(TokenKind kind) {
  switch (kind) {
    case TokenKind::Name:
      return Intrinsic::Name;
    case TokenKind::DurationWord:
      return Intrinsic::Duration;
    case TokenKind::Status:
      return Intrinsic::Status;
    case TokenKind::StatusMessage:
      return Intrinsic::StatusMessage;
    case TokenKind::Kind:
      return Intrinsic::Kind;
    case TokenKind::TraceDuration:
      return Intrinsic::TraceDuration;
    case TokenKind::RootName:
      return Intrinsic::RootName;
    case TokenKind::RootServiceName:
      return Intrinsic::RootServiceName;
    case TokenKind::NestedSetLeft:
      return Intrinsic::NestedSetLeft;
    case TokenKind::NestedSetRight:
      return Intrinsic::NestedSetRight;
    case TokenKind::NestedSetParent:
      return Intrinsic::NestedSetParent;
    default:
      return std::nullopt;
  }
}

// Tempo's parser lists what it expects when that is little.
std::string_view expected_behind(TokenKind scope) {
  switch (scope) {
    case TokenKind::TraceColon:
      return "duration or rootName or rootService or id";
    case TokenKind::EventColon:
      return "name or timeSinceStart";
    case TokenKind::LinkColon:
      return "traceID or spanID";
    case TokenKind::InstrumentationColon:
      return "name or version";
    default:
      return "";
  }
}

AttributeScope attribute_scope(TokenKind kind) {
  switch (kind) {
    case TokenKind::SpanDot:
      return AttributeScope::Span;
    case TokenKind::ResourceDot:
      return AttributeScope::Resource;
    case TokenKind::EventDot:
      return AttributeScope::Event;
    case TokenKind::LinkDot:
      return AttributeScope::Link;
    case TokenKind::InstrumentationDot:
      return AttributeScope::Instrumentation;
    default:
      return AttributeScope::None;
  }
}

Static status(telemetry::SpanStatus value) {
  return Static::of_status(static_cast<std::uint8_t>(value));
}

}  // namespace

std::optional<FieldOp> field_op(TokenKind kind) {
  switch (kind) {
    case TokenKind::Add:
      return FieldOp::Add;
    case TokenKind::Subtract:
      return FieldOp::Subtract;
    case TokenKind::Multiply:
      return FieldOp::Multiply;
    case TokenKind::Divide:
      return FieldOp::Divide;
    case TokenKind::Modulo:
      return FieldOp::Modulo;
    case TokenKind::Power:
      return FieldOp::Power;
    case TokenKind::Equal:
      return FieldOp::Equal;
    case TokenKind::NotEqual:
      return FieldOp::NotEqual;
    case TokenKind::Less:
      return FieldOp::Less;
    case TokenKind::LessOrEqual:
      return FieldOp::LessOrEqual;
    case TokenKind::Greater:
      return FieldOp::Greater;
    case TokenKind::GreaterOrEqual:
      return FieldOp::GreaterOrEqual;
    case TokenKind::Regex:
      return FieldOp::Regex;
    case TokenKind::NotRegex:
      return FieldOp::NotRegex;
    case TokenKind::And:
      return FieldOp::And;
    case TokenKind::Or:
      return FieldOp::Or;
    default:
      return std::nullopt;
  }
}

FieldPtr Parser::parse_field(int precedence_min) {
  const Level level(*this);
  if (!level.is_allowed()) return nullptr;
  FieldPtr left = parse_field_unary();
  while (left) {
    const auto op = field_op(token_.kind);
    if (!op || precedence_of(*op) < precedence_min) break;
    const int precedence = precedence_of(*op);
    const std::uint32_t left_height = height_;
    advance();
    FieldPtr right;
    const bool is_equality = *op == FieldOp::Equal || *op == FieldOp::NotEqual;
    if (is_equality && accept(TokenKind::Nil)) {
      height_ = 1;
      right = make_field(Static::nil());
    } else {
      right = parse_field(*op == FieldOp::Power ? precedence : precedence + 1);
    }
    if (!right) return nullptr;
    height_ = std::max(left_height, height_) + 1;
    if (!check_height(height_)) return nullptr;
    left = make_binary(*op, std::move(left), std::move(right));
  }
  return left;
}

FieldPtr Parser::parse_field_unary() {
  if (is(TokenKind::Subtract)) return parse_negation();
  if (!accept(TokenKind::Not)) return parse_field_primary();
  FieldPtr operand = parse_field(kNotPrecedence + 1);
  if (!operand) return nullptr;
  return make_unary(UnaryField::Op::Not, std::move(operand));
}

FieldPtr Parser::parse_negation() {
  advance();
  FieldPtr operand;
  if (is(TokenKind::Integer) && token_.is_beyond_int) {
    // Only the whole literal is in range: nothing may bind to its digits first.
    height_ = 1;
    operand = make_field(Static::of_int(token_.integer));
    const Token digits = token_;
    advance();
    const auto op = field_op(token_.kind);
    if (op && precedence_of(*op) > kSumPrecedence) {
      fail_at(digits, integer_range_error(digits.text));
      return nullptr;
    }
    return operand;
  }
  operand = parse_field(kSumPrecedence + 1);
  if (!operand) return nullptr;
  return make_unary(UnaryField::Op::Negate, std::move(operand));
}

FieldPtr Parser::parse_field_primary() {
  height_ = 1;
  switch (token_.kind) {
    case TokenKind::LeftParen: {
      advance();
      FieldPtr field = parse_field(0);
      if (!field || !expect(TokenKind::RightParen)) return nullptr;
      return field;
    }
    case TokenKind::String:
      advance();
      return make_field(Static::of_string(std::move(previous_.value)));
    case TokenKind::Integer:
    case TokenKind::Float:
    case TokenKind::Duration:
      return parse_number_field();
    case TokenKind::Nil:
      return parse_nil_comparison();
    default:
      break;
  }
  if (auto literal = parse_word_literal()) {
    advance();
    return make_field(*std::move(literal));
  }
  auto attribute = parse_attribute();
  return attribute ? make_field(*std::move(attribute)) : nullptr;
}

FieldPtr Parser::parse_number_field() {
  if (is(TokenKind::Integer) && token_.is_beyond_int) {
    fail_at(token_, integer_range_error(token_.text));
    return nullptr;
  }
  advance();
  if (previous_.kind == TokenKind::Float) return make_field(Static::of_float(previous_.number));
  if (previous_.kind == TokenKind::Duration) {
    return make_field(Static::of_duration(previous_.integer));
  }
  return make_field(Static::of_int(previous_.integer));
}

// nil ( = | != ) field, turned around.
FieldPtr Parser::parse_nil_comparison() {
  advance();
  if (!is(TokenKind::Equal) && !is(TokenKind::NotEqual)) {
    unexpected("= or !=");
    return nullptr;
  }
  const FieldOp op = is(TokenKind::Equal) ? FieldOp::Equal : FieldOp::NotEqual;
  advance();
  FieldPtr field;
  if (accept(TokenKind::Nil)) {
    height_ = 1;
    field = make_field(Static::nil());
  } else {
    field = parse_field(kComparisonPrecedence + 1);
  }
  if (!field) return nullptr;
  ++height_;
  return make_binary(op, std::move(field), make_field(Static::nil()));
}

std::optional<Static> Parser::parse_word_literal() {
  using telemetry::SpanStatus;
  const TokenKind kind = token_.kind;
  switch (kind) {
    case TokenKind::True:
    case TokenKind::False:
      return Static::of_bool(kind == TokenKind::True);
    case TokenKind::MinInt:
      return Static::of_int(std::numeric_limits<std::int64_t>::min());
    case TokenKind::MaxInt:
      return Static::of_int(std::numeric_limits<std::int64_t>::max());
    case TokenKind::Ok:
      return status(SpanStatus::Ok);
    case TokenKind::ErrorStatus:
      return status(SpanStatus::Error);
    case TokenKind::Unset:
      return status(SpanStatus::Unset);
    case TokenKind::Unspecified:
    case TokenKind::Internal:
    case TokenKind::Server:
    case TokenKind::Client:
    case TokenKind::Producer:
    case TokenKind::Consumer:
      return Static::of_kind(static_cast<std::uint8_t>(static_cast<int>(kind) -
                                                       static_cast<int>(TokenKind::Unspecified)));
    default:
      return std::nullopt;
  }
}

FieldPtr Parser::make_binary(FieldOp op, FieldPtr left, FieldPtr right) {
  BinaryField operation{.op = op, .left = std::move(left), .right = std::move(right)};
  if (auto problem = check_binary(operation)) {
    refuse(std::move(problem));
    return make_field(std::move(operation));
  }
  const auto* left_value = std::get_if<Static>(&operation.left->node);
  const auto* right_value = std::get_if<Static>(&operation.right->node);
  if (left_value != nullptr && right_value != nullptr) {
    if (auto value = fold(op, *left_value, *right_value)) return make_field(*std::move(value));
  }
  return make_field(std::move(operation));
}

FieldPtr Parser::make_unary(UnaryField::Op op, FieldPtr operand) {
  ++height_;
  UnaryField operation{.op = op, .operand = std::move(operand)};
  if (auto problem = check_unary(operation)) {
    refuse(std::move(problem));
  } else if (const auto* value = std::get_if<Static>(&operation.operand->node)) {
    if (auto folded = fold(op, *value)) return make_field(*std::move(folded));
  }
  return make_field(std::move(operation));
}

std::optional<Attribute> Parser::parse_attribute() {
  switch (token_.kind) {
    case TokenKind::Dot:
    case TokenKind::SpanDot:
    case TokenKind::ResourceDot:
    case TokenKind::EventDot:
    case TokenKind::LinkDot:
    case TokenKind::InstrumentationDot:
    case TokenKind::ParentDot:
      return parse_named_attribute();
    case TokenKind::SpanColon:
    case TokenKind::TraceColon:
    case TokenKind::EventColon:
    case TokenKind::LinkColon:
    case TokenKind::InstrumentationColon:
      return parse_scoped_intrinsic();
    case TokenKind::Parent:
      refuse(RefusalKind::Unsupported, "intrinsic (parent) not yet supported");
      advance();
      return make_attribute(AttributeScope::None, "parent");
    case TokenKind::Identifier:
      fail_at(token_, "unknown identifier: " + token_.value);
      return std::nullopt;
    default:
      break;
  }
  const auto intrinsic = bare_intrinsic(token_.kind);
  if (!intrinsic) return unexpected();
  advance();
  return make_intrinsic(*intrinsic);
}

std::optional<Attribute> Parser::parse_named_attribute() {
  const TokenKind scope = token_.kind;
  advance();
  if (!is(TokenKind::AttributeName)) return unexpected("IDENTIFIER");
  advance();
  if (scope == TokenKind::ParentDot) {
    refuse(RefusalKind::Unsupported, "parent not yet supported");
  }
  return make_attribute(attribute_scope(scope), std::move(previous_.value));
}

std::optional<Attribute> Parser::parse_scoped_intrinsic() {
  const TokenKind scope = token_.kind;
  advance();
  for (const ScopedIntrinsic& entry : kScopedIntrinsics) {
    if (entry.scope != scope || !is(entry.word)) continue;
    advance();
    return make_intrinsic(entry.intrinsic);
  }
  return unexpected(expected_behind(scope));
}

// attr { "," attr } ")", behind the opening parenthesis.
bool Parser::parse_attribute_list(std::vector<Attribute>& attributes) {
  do {
    auto attribute = parse_attribute();
    if (!attribute) return false;
    attributes.push_back(*std::move(attribute));
  } while (accept(TokenKind::Comma));
  return expect(TokenKind::RightParen, ") or ,");
}

}  // namespace gantry::traceql
