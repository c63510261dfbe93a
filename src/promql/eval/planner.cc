#include "promql/eval/planner.h"

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

}  // namespace

std::unordered_map<const Expr*, bool> find_invariants(const Expr& root) {
  std::unordered_map<const Expr*, bool> found;
  InvariantFinder(found).visit(root);
  return found;
}

}  // namespace gantry::promql::eval
