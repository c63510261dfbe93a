#include "traceql/eval/static_operations.h"

#include <cmath>
#include <cstdint>

#include <re2/re2.h>

namespace gantry::traceql {

namespace {

constexpr std::int64_t kPatternBytesMax = 8 << 20;

RE2::Options pattern_options() {
  RE2::Options options(RE2::Quiet);
  options.set_dot_nl(true);
  options.set_max_mem(kPatternBytesMax);
  return options;
}

/// As Go computes on int: overflow wraps.
std::int64_t wrap(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::uint64_t bits(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

std::optional<std::int64_t> power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return std::nullopt;
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  std::uint64_t result = 1;
  std::uint64_t factor = bits(base);
  for (std::uint64_t rest = bits(exponent); rest != 0; rest >>= 1) {
    if ((rest & 1) != 0) result *= factor;
    factor *= factor;
  }
  return wrap(result);
}

std::optional<Static> apply_ints(FieldOp op, std::int64_t a, std::int64_t b) {
  switch (op) {
    case FieldOp::Add:
      return Static::of_int(wrap(bits(a) + bits(b)));
    case FieldOp::Subtract:
      return Static::of_int(wrap(bits(a) - bits(b)));
    case FieldOp::Multiply:
      return Static::of_int(wrap(bits(a) * bits(b)));
    case FieldOp::Divide:
      if (b == 0) return std::nullopt;
      return Static::of_int(b == -1 ? wrap(-bits(a)) : a / b);
    case FieldOp::Modulo:
      if (b == 0) return std::nullopt;
      return Static::of_int(b == -1 ? 0 : a % b);
    case FieldOp::Power: {
      const std::optional<std::int64_t> result = power(a, b);
      if (!result) return std::nullopt;
      return Static::of_int(*result);
    }
    default:
      return Static::of_bool(compare(op, a, b));
  }
}

Static apply_doubles(FieldOp op, double a, double b) {
  switch (op) {
    case FieldOp::Add:
      return Static::of_float(a + b);
    case FieldOp::Subtract:
      return Static::of_float(a - b);
    case FieldOp::Multiply:
      return Static::of_float(a * b);
    case FieldOp::Divide:
      return Static::of_float(a / b);
    case FieldOp::Modulo:
      return Static::of_float(std::fmod(a, b));
    case FieldOp::Power:
      return Static::of_float(std::pow(a, b));
    default:
      return Static::of_bool(compare(op, a, b));
  }
}

bool apply_texts(FieldOp op, std::string_view a, std::string_view b, const TextPattern* pattern) {
  if (op == FieldOp::Regex) return pattern != nullptr && pattern->matches(a);
  if (op == FieldOp::NotRegex) return pattern != nullptr && !pattern->matches(a);
  return compare(op, a, b);
}

bool is_equality(FieldOp op) {
  return op == FieldOp::Equal || op == FieldOp::NotEqual;
}

StaticType element_type(StaticType array) {
  switch (array) {
    case StaticType::IntArray:
      return StaticType::Int;
    case StaticType::FloatArray:
      return StaticType::Float;
    case StaticType::StringArray:
      return StaticType::String;
    case StaticType::BoolArray:
      return StaticType::Bool;
    default:
      return StaticType::Nil;
  }
}

std::optional<Static> apply_array(FieldOp op, const Static& array, const Static& scalar,
                                  const TextPattern* pattern) {
  if (!is_comparison(op)) return std::nullopt;
  const bool wants_all = op == FieldOp::NotEqual || op == FieldOp::NotRegex;
  // An empty array has no element type that could be wrong.
  if (array.elements.empty()) return Static::of_bool(wants_all);
  const StaticType element = element_type(array.type);
  if (element != scalar.type && !(is_number(element) && is_number(scalar.type))) {
    return Static::of_bool(false);
  }
  for (const Static& value : array.elements) {
    const std::optional<Static> outcome = apply(op, value, scalar, pattern);
    if (!outcome) return std::nullopt;
    if (outcome->boolean != wants_all) return Static::of_bool(!wants_all);
  }
  return Static::of_bool(wants_all);
}

}  // namespace

struct TextPattern::Impl {
  explicit Impl(std::string_view pattern)
      : regex(re2::StringPiece(pattern.data(), pattern.size()), pattern_options()) {}

  RE2 regex;
};

TextPattern::TextPattern(std::string_view pattern) : impl_(std::make_unique<Impl>(pattern)) {}

TextPattern::~TextPattern() = default;

bool TextPattern::matches(std::string_view text) const {
  return impl_->regex.ok() &&
         RE2::FullMatch(re2::StringPiece(text.data(), text.size()), impl_->regex);
}

bool is_number(StaticType type) {
  return type == StaticType::Int || type == StaticType::Float || type == StaticType::Duration;
}

bool is_array(StaticType type) {
  return type >= StaticType::IntArray;
}

double to_double(const Static& number) {
  return number.type == StaticType::Float ? number.number : static_cast<double>(number.integer);
}

FieldOp flip(FieldOp op) {
  switch (op) {
    case FieldOp::Less:
      return FieldOp::Greater;
    case FieldOp::LessOrEqual:
      return FieldOp::GreaterOrEqual;
    case FieldOp::Greater:
      return FieldOp::Less;
    case FieldOp::GreaterOrEqual:
      return FieldOp::LessOrEqual;
    default:
      return op;
  }
}

std::optional<Static> negate(const Static& operand) {
  switch (operand.type) {
    case StaticType::Int:
      return Static::of_int(wrap(-bits(operand.integer)));
    case StaticType::Duration:
      return Static::of_duration(wrap(-bits(operand.integer)));
    case StaticType::Float:
      return Static::of_float(-operand.number);
    default:
      return std::nullopt;
  }
}

std::optional<Static> apply(FieldOp op, const Static& left, const Static& right,
                            const TextPattern* pattern) {
  if (left.type == StaticType::Nil || right.type == StaticType::Nil) return Static::of_bool(false);
  if (is_array(left.type) || is_array(right.type)) {
    if (is_array(left.type) && is_array(right.type)) return std::nullopt;
    if (is_array(left.type)) return apply_array(op, left, right, pattern);
    return apply_array(flip(op), right, left, pattern);
  }
  if (left.type == StaticType::Int && right.type == StaticType::Int) {
    return apply_ints(op, left.integer, right.integer);
  }
  if (is_number(left.type) && is_number(right.type)) {
    return apply_doubles(op, to_double(left), to_double(right));
  }
  if (left.type != right.type) return Static::of_bool(false);
  switch (left.type) {
    case StaticType::String:
      return Static::of_bool(apply_texts(op, left.text, right.text, pattern));
    case StaticType::Bool:
      if (op == FieldOp::And) return Static::of_bool(left.boolean && right.boolean);
      if (op == FieldOp::Or) return Static::of_bool(left.boolean || right.boolean);
      return Static::of_bool(is_equality(op) && compare(op, left.boolean, right.boolean));
    default:  // Status and Kind
      return Static::of_bool(is_equality(op) && compare(op, left.integer, right.integer));
  }
}

}  // namespace gantry::traceql
