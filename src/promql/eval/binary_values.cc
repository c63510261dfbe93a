#include "promql/eval/binary_values.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "promql/histogram/arithmetic.h"

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

HistogramPtr share(telemetry::FloatHistogram histogram) {
  return std::make_shared<const telemetry::FloatHistogram>(std::move(histogram));
}

using Scale = void (*)(telemetry::FloatHistogram& histogram, double factor);

HistogramPtr scaled(const telemetry::FloatHistogram& histogram, double factor, Scale scale) {
  telemetry::FloatHistogram result = histogram;
  scale(result, factor);
  histogram::compact(result);
  return share(std::move(result));
}

HistogramPtr trimmed(const telemetry::FloatHistogram& histogram, double bound, BinaryOp op) {
  telemetry::FloatHistogram result = histogram;
  histogram::trim(
      result, bound,
      op == BinaryOp::TrimUpper ? histogram::TrimSide::KeepBelow : histogram::TrimSide::KeepAbove);
  return share(std::move(result));
}

HistogramPtr sum_or_difference(BinaryOp op, const telemetry::FloatHistogram& left,
                               const telemetry::FloatHistogram& right, PairNote& note) {
  telemetry::FloatHistogram result = left;
  histogram::Combination done;
  if (op == BinaryOp::Add) {
    done = histogram::add(result, right);
  } else {
    done = histogram::subtract(result, right);
    result.hint = telemetry::CounterResetHint::Gauge;
  }
  if (done.has_reconciled_bounds) note = PairNote::ReconciledBounds;
  histogram::compact(result);
  return share(std::move(result));
}

PairNote refuse_kinds(bool is_left_histogram, bool is_right_histogram) {
  if (is_left_histogram) {
    return is_right_histogram ? PairNote::HistogramHistogram : PairNote::HistogramFloat;
  }
  return is_right_histogram ? PairNote::FloatHistogram : PairNote::FloatFloat;
}

PairNote refuse_sum(const telemetry::FloatHistogram& left, const telemetry::FloatHistogram& right) {
  using enum telemetry::CounterResetHint;
  if (left.uses_custom_buckets() != right.uses_custom_buckets()) return PairNote::BucketLayouts;
  const bool is_conflict = (left.hint == Reset && right.hint == NotReset) ||
                           (left.hint == NotReset && right.hint == Reset);
  return is_conflict ? PairNote::HintConflict : PairNote::None;
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

PairNote find_refusal(BinaryOp op, const Element& left, const Element& right) {
  const bool is_left = left.histogram != nullptr;
  const bool is_right = right.histogram != nullptr;
  bool is_possible = false;
  switch (op) {
    case BinaryOp::Add:
    case BinaryOp::Subtract:
      if (is_left && is_right) return refuse_sum(*left.histogram, *right.histogram);
      is_possible = !is_left && !is_right;
      break;
    case BinaryOp::Multiply:
      is_possible = !is_left || !is_right;
      break;
    case BinaryOp::Divide:
      is_possible = !is_right;
      break;
    case BinaryOp::Equal:
    case BinaryOp::NotEqual:
      is_possible = is_left == is_right;
      break;
    case BinaryOp::TrimUpper:
    case BinaryOp::TrimLower:
      is_possible = is_left && !is_right;
      break;
    default:
      is_possible = !is_left && !is_right;
  }
  return is_possible ? PairNote::None : refuse_kinds(is_left, is_right);
}

std::optional<Element> combine_elements(BinaryOp op, bool returns_bool, const Element& left,
                                        const Element& right, PairNote& note) {
  const bool is_left = left.histogram != nullptr;
  const bool is_right = right.histogram != nullptr;
  if (is_comparison(op)) {
    const bool holds =
        is_left ? histogram::equals(*left.histogram, *right.histogram) == (op == BinaryOp::Equal)
                : apply_operator(op, left.value, right.value) != 0;
    if (returns_bool) return Element{.value = holds ? 1.0 : 0.0, .histogram = nullptr};
    return holds ? std::optional(left) : std::nullopt;
  }
  Element result;
  if (!is_left && !is_right) {
    result.value = apply_operator(op, left.value, right.value);
  } else if (is_left && is_right) {
    result.histogram = sum_or_difference(op, *left.histogram, *right.histogram, note);
  } else if (is_right) {
    result.histogram = scaled(*right.histogram, left.value, &histogram::multiply);
  } else if (is_trim(op)) {
    result.histogram = trimmed(*left.histogram, right.value, op);
  } else {
    result.histogram = scaled(*left.histogram, right.value,
                              op == BinaryOp::Multiply ? &histogram::multiply : &histogram::divide);
  }
  return result;
}

void annotate_pair(BinaryOp op, PairNote note, AnnotationSet& annotations, Position position) {
  const std::string text(binary_op_text(op));
  const std::string_view noun = op == BinaryOp::Subtract ? "subtraction" : "addition";
  const auto incompatible = [&](std::string_view left, std::string_view right) {
    annotations.info(fmt::format("incompatible sample types encountered for binary operator "
                                 "\"{0}\": {1} {0} {2}",
                                 text, left, right),
                     position);
  };
  switch (note) {
    case PairNote::None:
      return;
    case PairNote::FloatFloat:
      incompatible("float", "float");
      return;
    case PairNote::FloatHistogram:
      incompatible("float", "histogram");
      return;
    case PairNote::HistogramFloat:
      incompatible("histogram", "float");
      return;
    case PairNote::HistogramHistogram:
      incompatible("histogram", "histogram");
      return;
    case PairNote::BucketLayouts:
      annotations.warn("incompatible bucket layout encountered for binary operator " + text,
                       position);
      return;
    case PairNote::HintConflict:
      annotations.warn(fmt::format("conflicting counter resets during histogram {}", noun),
                       position);
      return;
    case PairNote::ReconciledBounds:
      annotations.info(fmt::format("mismatched custom buckets were reconciled during {}", noun),
                       position);
      return;
  }
}

void annotate_steps(BinaryOp op, std::span<const PairNote> notes, AnnotationSet& annotations,
                    Position position) {
  std::bitset<static_cast<std::size_t>(PairNote::ReconciledBounds) + 1> found;
  for (const PairNote note : notes) found.set(static_cast<std::size_t>(note));
  for (std::size_t note = 0; note < found.size(); ++note) {
    if (found.test(note)) annotate_pair(op, static_cast<PairNote>(note), annotations, position);
  }
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
