#pragma once

// Operators on values that are known: what makes `1s * 2` a literal. Private to the parser.

#include <optional>

#include "traceql/ast.h"

namespace gantry::traceql {

/// The result of an operation whose types have been checked. Nothing when it has none (a division
/// by zero), or none that can be written (infinity): then the operation stays in the tree.
[[nodiscard]] std::optional<Static> fold(FieldOp op, const Static& left, const Static& right);
[[nodiscard]] std::optional<Static> fold(UnaryField::Op op, const Static& operand);

}  // namespace gantry::traceql
