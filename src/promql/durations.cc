#include "promql/durations.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace gantry::promql {

namespace {

enum class Sign : std::uint8_t { Positive, Any };

class Evaluator {
 public:
  explicit Evaluator(const QueryTimes& times) : times_(times) {}

  Result<void> resolve(const std::unique_ptr<DurationExpr>& expr, Sign sign,
                       std::int64_t& value_ms) const {
    if (!expr) return {};
    GANTRY_TRY(const double seconds, evaluate(*expr));
    if (!std::isfinite(seconds)) return fail_at(*expr, "duration is NaN or infinite");
    // Less than a millisecond is nothing: time stamps are not finer.
    if (sign == Sign::Positive && seconds * 1000 < 1) {
      return fail_at(*expr, "duration must be greater than 0");
    }
    if (seconds >= kDurationSecondsMax || seconds <= -kDurationSecondsMax) {
      return fail_at(*expr, "duration is out of range");
    }
    value_ms = static_cast<std::int64_t>(seconds * 1000);
    return {};
  }

 private:
  [[nodiscard]] static std::unexpected<Error> fail_at(const DurationExpr& expr,
                                                      std::string_view message) {
    return fail(Code::InvalidArgument,
                fmt::format("{}:{}: {}", expr.position.start, expr.position.end, message));
  }

  Result<double> evaluate(const DurationExpr& expr) const {
    double left = 0;
    double right = 0;
    if (expr.left) {
      GANTRY_TRY(left, evaluate(*expr.left));
    }
    if (expr.right) {
      GANTRY_TRY(right, evaluate(*expr.right));
    }
    switch (expr.op) {
      case DurationOp::Literal:
        return expr.literal_seconds;
      case DurationOp::Add:
        return left + right;
      case DurationOp::Subtract:
        return left - right;
      case DurationOp::Multiply:
        return left * right;
      case DurationOp::Divide:
        if (right == 0) return fail_at(expr, "division by zero");
        return left / right;
      case DurationOp::Modulo:
        if (right == 0) return fail_at(expr, "modulo by zero");
        return std::fmod(left, right);
      case DurationOp::Power:
        return std::pow(left, right);
      case DurationOp::Negate:
        return -right;
      case DurationOp::Plus:
        return right;
      case DurationOp::Step:
        return static_cast<double>(times_.step_ms) / 1000;
      case DurationOp::Range:
        return static_cast<double>(times_.end_ms - times_.start_ms) / 1000;
      case DurationOp::MinOf:
        return is_either_nan(left, right) ? std::nan("") : std::min(left, right);
      case DurationOp::MaxOf:
        return is_either_nan(left, right) ? std::nan("") : std::max(left, right);
    }
    return 0;
  }

  static bool is_either_nan(double left, double right) {
    return std::isnan(left) || std::isnan(right);
  }

  QueryTimes times_;
};

Result<void> resolve_node(Expr& expr, const Evaluator& evaluator) {
  if (auto* selector = std::get_if<VectorSelector>(&expr.node)) {
    return evaluator.resolve(selector->time.offset_expr, Sign::Any, selector->time.offset_ms);
  }
  if (auto* matrix = std::get_if<MatrixSelector>(&expr.node)) {
    GANTRY_CHECK(evaluator.resolve(matrix->range_expr, Sign::Positive, matrix->range_ms));
    TimeModifiers& time = matrix->selector.time;
    return evaluator.resolve(time.offset_expr, Sign::Any, time.offset_ms);
  }
  if (auto* subquery = std::get_if<Subquery>(&expr.node)) {
    TimeModifiers& time = subquery->time;
    GANTRY_CHECK(evaluator.resolve(time.offset_expr, Sign::Any, time.offset_ms));
    GANTRY_CHECK(evaluator.resolve(subquery->step_expr, Sign::Positive, subquery->step_ms));
    GANTRY_CHECK(evaluator.resolve(subquery->range_expr, Sign::Positive, subquery->range_ms));
  }
  return {};
}

Result<void> resolve_tree(Expr& expr, const Evaluator& evaluator) {
  GANTRY_CHECK(resolve_node(expr, evaluator));
  // The tree is the caller's to change; children() only has the read-only view.
  for (const Expr* child : children(expr)) {
    GANTRY_CHECK(resolve_tree(const_cast<Expr&>(*child), evaluator));
  }
  return {};
}

}  // namespace

Result<void> resolve_durations(Expr& expr, const QueryTimes& times) {
  return resolve_tree(expr, Evaluator(times));
}

Result<void> resolve_durations(Expr& expr, std::int64_t start_ms, std::int64_t end_ms,
                               std::int64_t step_ms) {
  return resolve_durations(expr, {.start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms});
}

std::int64_t literal_duration_ms(double seconds) {
  constexpr double kNanosecondsPerSecond = 1e9;
  constexpr double kNanosecondsLimit = 9223372036854775808.0;  // 2^63
  constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const double nanoseconds = std::round(seconds * kNanosecondsPerSecond);
  if (nanoseconds >= kNanosecondsLimit) return kMax / kNanosecondsPerMillisecond;
  if (nanoseconds <= -kNanosecondsLimit) return -kMax / kNanosecondsPerMillisecond;
  return static_cast<std::int64_t>(nanoseconds) / kNanosecondsPerMillisecond;
}

}  // namespace gantry::promql
