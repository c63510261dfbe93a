#pragma once

// What a query may not mean although it reads. Each check sees an expression whose operands have
// passed. Private to the parser. Texts are Tempo's.

#include <optional>
#include <string>

#include "traceql/ast.h"

namespace gantry::traceql {

/// Nothing: the type is an attribute's, known when it is read.
using ImpliedType = std::optional<StaticType>;

[[nodiscard]] ImpliedType implied_type(const FieldExpr& field);

/// Int, Float, Duration.
[[nodiscard]] bool is_numeric(StaticType type);

/// Has an attribute or intrinsic in it.
[[nodiscard]] bool references_span(const FieldExpr& field);

// What is wrong, or nothing.

[[nodiscard]] std::optional<std::string> check_binary(const BinaryField& operation);
[[nodiscard]] std::optional<std::string> check_unary(const UnaryField& operation);
[[nodiscard]] std::optional<std::string> check_filter(const FieldExpr& field);
[[nodiscard]] std::optional<std::string> check_aggregate(const Aggregate& aggregate);
[[nodiscard]] std::optional<std::string> check_group_by(const GroupBy& group);

}  // namespace gantry::traceql
