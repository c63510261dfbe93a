#pragma once

// Parts of canonical text. Private to this folder.

#include <string>

#include "traceql/ast.h"

namespace gantry::traceql {

[[nodiscard]] std::string format_operation(const BinaryField& operation);
[[nodiscard]] std::string format_operation(const UnaryField& operation);

/// `avg(duration)`, `count()`
[[nodiscard]] std::string format_aggregate(const Aggregate& aggregate);

/// `by(name)`
[[nodiscard]] std::string format_group_by(const FieldExpr& field);

}  // namespace gantry::traceql
