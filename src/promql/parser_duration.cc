#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/duration.h"
#include "core/number_format.h"
#include "promql/durations.h"
#include "promql/parser_internal.h"
#include "telemetry/labels.h"

namespace gantry::promql {

namespace {

constexpr int kPrecedencePower = 3;

struct DurationRule {
  TokenKind token;
  DurationOp op;
  int precedence;
};

constexpr auto kDurationOperators = std::to_array<DurationRule>({
    {TokenKind::Add, DurationOp::Add, 1},
    {TokenKind::Subtract, DurationOp::Subtract, 1},
    {TokenKind::Multiply, DurationOp::Multiply, 2},
    {TokenKind::Divide, DurationOp::Divide, 2},
    {TokenKind::Modulo, DurationOp::Modulo, 2},
    {TokenKind::Power, DurationOp::Power, kPrecedencePower},
});

const DurationRule* find_duration_operator(TokenKind token) {
  const auto* found = std::ranges::find(kDurationOperators, token, &DurationRule::token);
  return found == kDurationOperators.end() ? nullptr : found;
}

bool is_literal(const DurationExpr& expr) {
  return expr.op == DurationOp::Literal && !expr.is_wrapped;
}

std::string strip_underscores(std::string_view text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != '_'; });
  return digits;
}

// An integer as Go reads it with automatic base: 0x1F, 0755 (octal), 42. None if it is not one.
std::optional<std::int64_t> parse_integer(std::string_view digits) {
  int base = 10;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    base = 16;
    digits.remove_prefix(2);
  } else if (digits.size() > 1 && digits.front() == '0') {
    base = 8;
    digits.remove_prefix(1);
  }
  std::int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

double Parser::take_number() {
  const Token token = token_;
  const double value =
      token.kind == TokenKind::Duration ? read_duration(token) : read_number(token);
  advance();
  return value;
}

double Parser::read_number(const Token& token) {
  const std::string digits = strip_underscores(token.text);
  if (const auto integer = parse_integer(digits)) return static_cast<double>(*integer);
  const bool is_hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
  if (!is_hexadecimal) {
    if (const auto value = core::parse_float(digits)) return *value;
  }
  std::string message = "error parsing number: strconv.ParseFloat: parsing ";
  telemetry::append_go_quoted(message, token.text);
  message += is_hexadecimal ? ": invalid syntax" : ": value out of range";
  add_error(token.position(), std::move(message));
  return 0;
}

double Parser::read_duration(const Token& token) {
  const auto duration = core::parse_duration(token.text);
  if (duration) return static_cast<double>(duration->count) / 1000;
  add_error(token.position(), duration.error().message);
  return 0;
}

void Parser::check_duration_arithmetic(Position position) {
  if (!options_.duration_expressions) {
    add_error(position, "experimental duration expression is not enabled");
  }
}

void Parser::check_positive(DurationExpr& duration) {
  // Less than a millisecond is nothing: time stamps are not finer.
  if (!is_literal(duration) || literal_duration_ms(duration.literal_seconds) > 0) return;
  add_error(duration.position, "duration must be greater than 0");
}

DurationExprPtr Parser::parse_duration(int precedence_min) {
  // Nested text costs a level, as expressions do.
  if (++nesting_ > kNestingMax && !has_failed_) {
    add_error(token_.position(),
              fmt::format("expression is nested deeper than {} levels", kNestingMax));
    has_failed_ = true;
  }
  DurationExprPtr left = has_failed_ ? nullptr : parse_duration_unary();
  while (left) {
    const DurationRule* rule = find_duration_operator(token_.kind);
    if (rule == nullptr || rule->precedence < precedence_min) break;
    const Token op = token_;
    advance();
    const std::uint32_t left_height = height_;
    const bool is_right_associative = rule->op == DurationOp::Power;
    DurationExprPtr right = parse_duration(rule->precedence + (is_right_associative ? 0 : 1));
    if (!right || !set_height(left_height, height_)) {
      left = nullptr;
      break;
    }
    left = make_duration_binary(rule->op, op.position(), std::move(left), std::move(right));
  }
  --nesting_;
  return left;
}

DurationExprPtr Parser::make_duration_binary(DurationOp op, Position op_position,
                                             DurationExprPtr left, DurationExprPtr right) {
  check_duration_arithmetic(left->position);
  auto result = std::make_unique<DurationExpr>();
  const bool divides = op == DurationOp::Divide || op == DurationOp::Modulo;
  if (divides && is_literal(*right) && right->literal_seconds == 0) {
    add_error(op_position, op == DurationOp::Divide ? "division by zero" : "modulo by zero");
    return result;
  }
  result->position = {.start = left->position.start, .end = right->position.end};
  result->op = op;
  result->left = std::move(left);
  result->right = std::move(right);
  return result;
}

DurationExprPtr Parser::negate_duration(const Token& sign, DurationExprPtr operand) {
  const bool is_minus = sign.kind == TokenKind::Subtract;
  if (is_literal(*operand)) {
    if (is_minus) operand->literal_seconds = -operand->literal_seconds;
    operand->position.start = sign.start;
    return operand;
  }
  if (!is_minus) return operand;
  check_duration_arithmetic(operand->position);
  auto result = std::make_unique<DurationExpr>();
  result->position = {.start = sign.start, .end = operand->position.end};
  result->op = DurationOp::Negate;
  result->right = std::move(operand);
  return result;
}

DurationExprPtr Parser::parse_duration_unary() {
  if (!is(TokenKind::Add) && !is(TokenKind::Subtract)) return parse_duration_primary();
  const Token sign = token_;
  advance();
  DurationExprPtr operand = parse_duration(kPrecedencePower);
  if (!operand || !set_height(height_, 0)) return nullptr;
  return negate_duration(sign, std::move(operand));
}

DurationExprPtr Parser::parse_duration_primary() {
  const Token token = token_;
  height_ = 1;
  if (token.kind == TokenKind::Number || token.kind == TokenKind::Duration) {
    auto literal = std::make_unique<DurationExpr>();
    literal->position = token.position();
    literal->is_duration_literal = token.kind == TokenKind::Duration;
    literal->literal_seconds = take_number();
    if (!(literal->literal_seconds < kDurationSecondsMax)) {
      add_error(token.position(), "duration out of range");
      return std::make_unique<DurationExpr>();
    }
    return literal;
  }
  if (accept(TokenKind::LeftParen)) {
    DurationExprPtr inner = parse_duration(0);
    if (!inner || !accept(TokenKind::RightParen)) return nullptr;
    check_duration_arithmetic(inner->position);
    inner->is_wrapped = true;
    return inner;
  }
  return parse_duration_call();
}

DurationExprPtr Parser::parse_duration_call() {
  const Token name = token_;
  auto call = std::make_unique<DurationExpr>();
  switch (name.kind) {
    case TokenKind::Step:
      call->op = DurationOp::Step;
      break;
    case TokenKind::Range:
      call->op = DurationOp::Range;
      break;
    case TokenKind::MinOf:
      call->op = DurationOp::MinOf;
      break;
    case TokenKind::MaxOf:
      call->op = DurationOp::MaxOf;
      break;
    default:
      return nullptr;
  }
  advance();
  if (!accept(TokenKind::LeftParen)) return nullptr;
  std::uint32_t height = 0;
  if (call->op == DurationOp::MinOf || call->op == DurationOp::MaxOf) {
    call->left = parse_duration(0);
    height = height_;
    if (!call->left || !accept(TokenKind::Comma)) return nullptr;
    call->right = parse_duration(0);
    if (!call->right) return nullptr;
  }
  if (!accept(TokenKind::RightParen) || !set_height(height, height_)) return nullptr;
  check_duration_arithmetic(name.position());
  call->position = {.start = name.start, .end = previous_end_};
  return call;
}

// Arithmetic in an offset stands in parentheses: `foo offset 5s - 8` subtracts 8 from the series.
DurationExprPtr Parser::parse_offset_duration() {
  const Token sign = token_;
  const bool is_signed = is(TokenKind::Add) || is(TokenKind::Subtract);
  if (is_signed) advance();
  DurationExprPtr operand = parse_duration_primary();
  if (!operand || !is_signed) return operand;
  return negate_duration(sign, std::move(operand));
}

}  // namespace gantry::promql
