#include "traceql/fold.h"

#include <cmath>
#include <compare>
#include <limits>

#include <re2/re2.h>

#include "traceql/type_check.h"

namespace gantry::traceql {

namespace {

// Overflow wraps around, as in Go; signed arithmetic may not, in C++.
std::int64_t wrap(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::uint64_t unwrap(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

std::optional<std::int64_t> integer_arithmetic(FieldOp op, std::int64_t left, std::int64_t right) {
  switch (op) {
    case FieldOp::Add:
      return wrap(unwrap(left) + unwrap(right));
    case FieldOp::Subtract:
      return wrap(unwrap(left) - unwrap(right));
    case FieldOp::Multiply:
      return wrap(unwrap(left) * unwrap(right));
    case FieldOp::Divide:
      if (right == 0) return std::nullopt;
      return right == -1 ? wrap(0 - unwrap(left)) : left / right;
    case FieldOp::Modulo:
      if (right == 0) return std::nullopt;
      return right == -1 ? 0 : left % right;
    default:
      return integer_power(left, right);
  }
}

std::optional<double> float_arithmetic(FieldOp op, double left, double right) {
  double result = 0;
  switch (op) {
    case FieldOp::Add:
      result = left + right;
      break;
    case FieldOp::Subtract:
      result = left - right;
      break;
    case FieldOp::Multiply:
      result = left * right;
      break;
    case FieldOp::Divide:
      result = left / right;
      break;
    case FieldOp::Modulo:
      result = std::fmod(left, right);
      break;
    default:
      result = std::pow(left, right);
  }
  if (!std::isfinite(result)) return std::nullopt;
  return result;
}

std::optional<Static> compare(FieldOp op, std::partial_ordering order) {
  switch (op) {
    case FieldOp::Equal:
      return Static::of_bool(order == 0);
    case FieldOp::NotEqual:
      return Static::of_bool(order != 0);
    case FieldOp::Less:
      return Static::of_bool(order < 0);
    case FieldOp::LessOrEqual:
      return Static::of_bool(order <= 0);
    case FieldOp::Greater:
      return Static::of_bool(order > 0);
    case FieldOp::GreaterOrEqual:
      return Static::of_bool(order >= 0);
    default:
      return std::nullopt;
  }
}

std::optional<Static> fold_numbers(FieldOp op, const Static& left, const Static& right) {
  if (left.type == StaticType::Int && right.type == StaticType::Int) {
    if (is_comparison(op)) return compare(op, left.integer <=> right.integer);
    const auto result = integer_arithmetic(op, left.integer, right.integer);
    return result ? std::optional(Static::of_int(*result)) : std::nullopt;
  }
  const double a = left.type == StaticType::Float ? left.number : static_cast<double>(left.integer);
  const double b =
      right.type == StaticType::Float ? right.number : static_cast<double>(right.integer);
  if (is_comparison(op)) return compare(op, a <=> b);
  const auto result = float_arithmetic(op, a, b);
  return result ? std::optional(Static::of_float(*result)) : std::nullopt;
}

std::optional<Static> fold_strings(FieldOp op, const Static& left, const Static& right) {
  if (op != FieldOp::Regex && op != FieldOp::NotRegex) {
    return compare(op, left.text <=> right.text);
  }
  RE2::Options options(RE2::Quiet);
  options.set_dot_nl(true);
  const bool is_match = RE2::FullMatch(left.text, RE2(right.text, options));
  return Static::of_bool(is_match == (op == FieldOp::Regex));
}

std::optional<Static> fold_booleans(FieldOp op, bool left, bool right) {
  switch (op) {
    case FieldOp::And:
      return Static::of_bool(left && right);
    case FieldOp::Or:
      return Static::of_bool(left || right);
    case FieldOp::Equal:
      return Static::of_bool(left == right);
    case FieldOp::NotEqual:
      return Static::of_bool(left != right);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<std::int64_t> integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return std::nullopt;
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  std::uint64_t result = 1;
  std::uint64_t factor = unwrap(base);
  for (std::uint64_t left = unwrap(exponent); left != 0; left >>= 1) {
    if ((left & 1) != 0) result *= factor;
    factor *= factor;
  }
  return wrap(result);
}

std::optional<Static> fold(FieldOp op, const Static& left, const Static& right) {
  if (left.type == StaticType::Nil || right.type == StaticType::Nil) {
    const bool is_one_present = left.type != right.type;
    return Static::of_bool(op == FieldOp::NotEqual && is_one_present);
  }
  if (is_numeric(left.type) && is_numeric(right.type)) return fold_numbers(op, left, right);
  if (left.type != right.type) return std::nullopt;
  switch (left.type) {
    case StaticType::String:
      return fold_strings(op, left, right);
    case StaticType::Bool:
      return fold_booleans(op, left.boolean, right.boolean);
    case StaticType::Status:
    case StaticType::Kind:
      return compare(op, left.integer <=> right.integer);
    default:
      return std::nullopt;
  }
}

std::optional<Static> fold(UnaryField::Op op, const Static& operand) {
  if (op == UnaryField::Op::Not) {
    if (operand.type != StaticType::Bool) return std::nullopt;
    return Static::of_bool(!operand.boolean);
  }
  switch (operand.type) {
    case StaticType::Int:
      return Static::of_int(wrap(0 - unwrap(operand.integer)));
    case StaticType::Duration:
      return Static::of_duration(wrap(0 - unwrap(operand.integer)));
    case StaticType::Float:
      return Static::of_float(-operand.number);
    default:
      return std::nullopt;
  }
}

}  // namespace gantry::traceql
