#include "traceql/fold.h"

#include <cmath>

#include "traceql/eval/static_operations.h"

namespace gantry::traceql {

std::optional<Static> fold(FieldOp op, const Static& left, const Static& right) {
  if (left.type == StaticType::Nil || right.type == StaticType::Nil) {
    const bool is_one_present = left.type != right.type;
    return Static::of_bool(op == FieldOp::NotEqual && is_one_present);
  }
  std::optional<TextPattern> pattern;
  if (op == FieldOp::Regex || op == FieldOp::NotRegex) pattern.emplace(right.text);
  auto result = apply(op, left, right, pattern ? &*pattern : nullptr);
  const bool has_text =
      result && (result->type != StaticType::Float || std::isfinite(result->number));
  return has_text ? result : std::nullopt;
}

std::optional<Static> fold(UnaryField::Op op, const Static& operand) {
  if (op == UnaryField::Op::Negate) return negate(operand);
  if (operand.type != StaticType::Bool) return std::nullopt;
  return Static::of_bool(!operand.boolean);
}

}  // namespace gantry::traceql
