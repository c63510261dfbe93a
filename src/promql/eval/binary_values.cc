#include "promql/eval/binary_values.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>

#include "promql/eval/histogram_values.h"

namespace gantry::promql::eval {
namespace {

template <class Operation>
void for_columns(std::span<const double> left, std::span<const double> right, std::span<double> out,
                 Operation operation) {
  const std::size_t n = out.size();
  for (std::size_t i = 0; i < n; ++i) out[i] = operation(left[i], right[i]);
}

template <class Compare>
void compare_columns(std::span<const double> left, std::span<const double> right,
                     std::span<std::uint64_t> out, Compare compare) {
  std::ranges::fill(out, 0);
  for (std::size_t i = 0; i < left.size(); ++i) {
    out[i / 64] |= static_cast<std::uint64_t>(compare(left[i], right[i]) ? 1 : 0) << (i % 64);
  }
}

void report_incompatible(BinaryOp op, const Element& left, const Element& right,
                         AnnotationSet& annotations, Position position) {
  const auto kind = [](const Element& element) {
    return element.histogram == nullptr ? "float" : "histogram";
  };
  const std::string text(binary_op_text(op));
  annotations.info("incompatible sample types encountered for binary operator \"" + text +
                       "\": " + kind(left) + " " + text + " " + kind(right),
                   position);
}

}  // namespace

double apply_operator(BinaryOp op, double left, double right) {
  switch (op) {
    case BinaryOp::Add:
      return left + right;
    case BinaryOp::Subtract:
      return left - right;
    case BinaryOp::Multiply:
      return left * right;
    case BinaryOp::Divide:
      return left / right;
    case BinaryOp::Modulo:
      return std::fmod(left, right);
    case BinaryOp::Power:
      return std::pow(left, right);
    case BinaryOp::Atan2:
      return std::atan2(left, right);
    case BinaryOp::Equal:
      return left == right ? 1 : 0;
    case BinaryOp::NotEqual:
      return left != right ? 1 : 0;
    case BinaryOp::Less:
      return left < right ? 1 : 0;
    case BinaryOp::LessOrEqual:
      return left <= right ? 1 : 0;
    case BinaryOp::Greater:
      return left > right ? 1 : 0;
    case BinaryOp::GreaterOrEqual:
      return left >= right ? 1 : 0;
    case BinaryOp::TrimUpper:
    case BinaryOp::TrimLower:
    case BinaryOp::And:
    case BinaryOp::Or:
    case BinaryOp::Unless:
      break;
  }
  return std::nan("");
}

void apply_arithmetic(BinaryOp op, std::span<const double> left, std::span<const double> right,
                      std::span<double> out) {
  switch (op) {
    case BinaryOp::Add:
      for_columns(left, right, out, std::plus<>());
      return;
    case BinaryOp::Subtract:
      for_columns(left, right, out, std::minus<>());
      return;
    case BinaryOp::Multiply:
      for_columns(left, right, out, std::multiplies<>());
      return;
    case BinaryOp::Divide:
      for_columns(left, right, out, std::divides<>());
      return;
    default:
      for_columns(left, right, out, [op](double a, double b) { return apply_operator(op, a, b); });
  }
}

void apply_comparison(BinaryOp op, std::span<const double> left, std::span<const double> right,
                      std::span<std::uint64_t> out) {
  switch (op) {
    case BinaryOp::Equal:
      compare_columns(left, right, out, std::equal_to<>());
      return;
    case BinaryOp::NotEqual:
      compare_columns(left, right, out, std::not_equal_to<>());
      return;
    case BinaryOp::Less:
      compare_columns(left, right, out, std::less<>());
      return;
    case BinaryOp::LessOrEqual:
      compare_columns(left, right, out, std::less_equal<>());
      return;
    case BinaryOp::Greater:
      compare_columns(left, right, out, std::greater<>());
      return;
    case BinaryOp::GreaterOrEqual:
      compare_columns(left, right, out, std::greater_equal<>());
      return;
    default:
      std::ranges::fill(out, 0);
  }
}

std::optional<Element> combine_histograms(BinaryOp op, bool returns_bool, bool keeps_right,
                                          const Element& left, const Element& right,
                                          AnnotationSet& annotations, Position position) {
  const bool both = left.histogram != nullptr && right.histogram != nullptr;
  if (both && (op == BinaryOp::Equal || op == BinaryOp::NotEqual)) {
    const bool holds =
        equal_histograms(*left.histogram, *right.histogram) == (op == BinaryOp::Equal);
    if (returns_bool) return Element{.value = holds ? 1.0 : 0.0, .histogram = nullptr};
    if (!holds) return std::nullopt;
    return keeps_right ? right : left;
  }
  if (!both && op == BinaryOp::Multiply) {
    const bool is_left = left.histogram != nullptr;
    return Element{.value = 0,
                   .histogram = multiply_histogram(is_left ? *left.histogram : *right.histogram,
                                                   is_left ? right.value : left.value)};
  }
  if (!both && op == BinaryOp::Divide && left.histogram != nullptr) {
    return Element{.value = 0, .histogram = divide_histogram(*left.histogram, right.value)};
  }
  // Sums and differences of histograms, and trims, are valid pairs without a result here.
  const bool is_sum = both && (op == BinaryOp::Add || op == BinaryOp::Subtract);
  const bool is_trim = !both && left.histogram != nullptr &&
                       (op == BinaryOp::TrimUpper || op == BinaryOp::TrimLower);
  if (!is_sum && !is_trim) report_incompatible(op, left, right, annotations, position);
  return std::nullopt;
}

bool drops_metric_name(BinaryOp op, bool returns_bool) {
  switch (op) {
    case BinaryOp::Add:
    case BinaryOp::Subtract:
    case BinaryOp::Multiply:
    case BinaryOp::Divide:
    case BinaryOp::Modulo:
    case BinaryOp::Power:
    case BinaryOp::Atan2:
      return true;
    default:
      return returns_bool;
  }
}

}  // namespace gantry::promql::eval
