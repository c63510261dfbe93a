#pragma once

// Binary operators in the plain evaluator, one step at a time.

#include "promql/ast.h"
#include "promql/testing/plain_value.h"

namespace gantry::promql::promqltest {

[[nodiscard]] double scalar_operation(BinaryOp op, double left, double right);

/// `expr` is the operation itself: its operator, matching and position.
[[nodiscard]] Result<PlainVector> vector_operation(PlainContext& context, const Expr& expr,
                                                   const PlainVector& left,
                                                   const PlainVector& right);

enum class ScalarSide : std::uint8_t { Left, Right };

[[nodiscard]] PlainVector scalar_vector_operation(PlainContext& context, const Expr& expr,
                                                  const PlainVector& vector, double scalar,
                                                  ScalarSide side);

}  // namespace gantry::promql::promqltest
