#include "promql/testing/pin_time.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "promql/function_table.h"

namespace gantry::promql::promqltest {

namespace {

bool is_time_dependent(FunctionId id) {
  switch (id) {
    case FunctionId::DaysInMonth:
    case FunctionId::DayOfMonth:
    case FunctionId::DayOfWeek:
    case FunctionId::DayOfYear:
    case FunctionId::End:
    case FunctionId::Hour:
    case FunctionId::Minute:
    case FunctionId::Month:
    case FunctionId::PredictLinear:
    case FunctionId::Range:
    case FunctionId::Start:
    case FunctionId::Step:
    case FunctionId::Time:
    case FunctionId::Timestamp:
    case FunctionId::Year:
      return true;
    default:
      return false;
  }
}

void pin(TimeModifiers& time, std::int64_t time_ms) {
  if (time.at == AtKind::Timestamp) return;
  time.at = AtKind::Timestamp;
  time.at_ms = time_ms;
}

void pin_if_present(const ExprPtr& expr, std::int64_t time_ms) {
  if (expr) pin_to_time(*expr, time_ms);
}

}  // namespace

bool depends_on_evaluation_time(const Expr& expr) {
  const auto* call = std::get_if<Call>(&expr.node);
  if (call != nullptr && is_time_dependent(call->function->id)) return true;
  return std::ranges::any_of(children(expr),
                             [](const Expr* child) { return depends_on_evaluation_time(*child); });
}

void pin_to_time(Expr& expr, std::int64_t time_ms) {
  std::visit(
      [time_ms](auto& node) {
        using Node = std::remove_cvref_t<decltype(node)>;
        if constexpr (std::is_same_v<Node, VectorSelector> || std::is_same_v<Node, Subquery>) {
          pin(node.time, time_ms);
        } else if constexpr (std::is_same_v<Node, MatrixSelector>) {
          pin(node.selector.time, time_ms);
        } else if constexpr (std::is_same_v<Node, Paren> || std::is_same_v<Node, Unary>) {
          pin_to_time(*node.expr, time_ms);
        } else if constexpr (std::is_same_v<Node, Binary>) {
          pin_to_time(*node.left, time_ms);
          pin_to_time(*node.right, time_ms);
        } else if constexpr (std::is_same_v<Node, Aggregate>) {
          pin_to_time(*node.expr, time_ms);
          pin_if_present(node.parameter, time_ms);
        } else if constexpr (std::is_same_v<Node, Call>) {
          for (const ExprPtr& argument : node.arguments) pin_to_time(*argument, time_ms);
        }
      },
      expr.node);
}

}  // namespace gantry::promql::promqltest
