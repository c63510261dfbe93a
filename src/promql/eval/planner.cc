#include "promql/eval/planner.h"

#include <algorithm>
#include <limits>
#include <variant>

#include "promql/function_table.h"

namespace gantry::promql::eval {
namespace {

bool depends_on_time(FunctionId function) {
  switch (function) {
    case FunctionId::Time:
    case FunctionId::Timestamp:
    case FunctionId::PredictLinear:
    case FunctionId::DaysInMonth:
    case FunctionId::DayOfMonth:
    case FunctionId::DayOfWeek:
    case FunctionId::DayOfYear:
    case FunctionId::Hour:
    case FunctionId::Minute:
    case FunctionId::Month:
    case FunctionId::Year:
      return true;
    default:
      return false;
  }
}

bool is_pinned(const TimeModifiers& time) {
  return time.at != AtKind::None;
}

class InvariantFinder {
 public:
  explicit InvariantFinder(std::unordered_map<const Expr*, bool>& found) : found_(found) {}

  bool visit(const Expr& expr) {
    bool are_children_invariant = true;
    for (const Expr* child : children(expr)) {
      are_children_invariant = visit(*child) && are_children_invariant;
    }
    const bool is_invariant = decide(expr, are_children_invariant);
    found_.emplace(&expr, is_invariant);
    return is_invariant;
  }

 private:
  static bool decide(const Expr& expr, bool are_children_invariant) {
    if (const auto* selector = std::get_if<VectorSelector>(&expr.node)) {
      return is_pinned(selector->time);
    }
    if (const auto* matrix = std::get_if<MatrixSelector>(&expr.node)) {
      return is_pinned(matrix->selector.time);
    }
    if (const auto* subquery = std::get_if<Subquery>(&expr.node)) return is_pinned(subquery->time);
    if (const auto* call = std::get_if<Call>(&expr.node)) {
      if (call->function->id == FunctionId::Timestamp && are_children_invariant) {
        // The sample's own time does not move when the selector is pinned.
        return std::holds_alternative<VectorSelector>(strip_parens(*call->arguments[0]).node);
      }
      return are_children_invariant && !depends_on_time(call->function->id);
    }
    return are_children_invariant;
  }

  std::unordered_map<const Expr*, bool>& found_;
};

class StatisticsFinder {
 public:
  explicit StatisticsFinder(std::unordered_set<const VectorSelector*>& found) : found_(found) {}

  /// `is_below`: below one of the functions that read count and sum only.
  void visit(const Expr& expr, bool is_below) {
    if (const auto* selector = std::get_if<VectorSelector>(&expr.node)) {
      if (is_below) found_.insert(selector);
      return;
    }
    if (const auto* matrix = std::get_if<MatrixSelector>(&expr.node)) {
      if (is_below) found_.insert(&matrix->selector);
      return;
    }
    if (needs_buckets(expr)) return;
    if (const auto* call = std::get_if<Call>(&expr.node)) {
      const FunctionId id = call->function->id;
      is_below = is_below || id == FunctionId::HistogramCount || id == FunctionId::HistogramSum ||
                 id == FunctionId::HistogramAvg;
    }
    for (const Expr* child : children(expr)) visit(*child, is_below);
  }

 private:
  static bool needs_buckets(const Expr& expr) {
    if (std::holds_alternative<Subquery>(expr.node)) return true;
    if (const auto* binary = std::get_if<Binary>(&expr.node)) {
      return binary->op == BinaryOp::TrimUpper || binary->op == BinaryOp::TrimLower;
    }
    const auto* call = std::get_if<Call>(&expr.node);
    if (call == nullptr) return false;
    const FunctionId id = call->function->id;
    return id == FunctionId::HistogramQuantile || id == FunctionId::HistogramQuantiles ||
           id == FunctionId::HistogramFraction;
  }

  std::unordered_set<const VectorSelector*>& found_;
};

std::int64_t own_range_ms(const Expr& expr) {
  if (const auto* matrix = std::get_if<MatrixSelector>(&expr.node)) return matrix->range_ms;
  if (const auto* subquery = std::get_if<Subquery>(&expr.node)) return subquery->range_ms;
  return 0;
}

}  // namespace

std::int64_t row_span_ms(const Expr& root, std::int64_t query_ms) {
  std::int64_t span = 0;
  if (__builtin_add_overflow(query_ms, own_range_ms(root), &span)) {
    return std::numeric_limits<std::int64_t>::max();
  }
  std::int64_t longest = span;
  for (const Expr* child : children(root)) longest = std::max(longest, row_span_ms(*child, span));
  return longest;
}

std::unordered_set<const VectorSelector*> find_statistics_only(const Expr& root) {
  std::unordered_set<const VectorSelector*> found;
  StatisticsFinder(found).visit(root, false);
  return found;
}

std::unordered_map<const Expr*, bool> find_invariants(const Expr& root) {
  std::unordered_map<const Expr*, bool> found;
  InvariantFinder(found).visit(root);
  return found;
}

}  // namespace gantry::promql::eval
