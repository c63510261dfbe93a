#pragma once

// Comparing syntax trees in tests.

#include "traceql/ast.h"

namespace gantry::traceql::testing {

/// Same trees, literals by type and bits.
[[nodiscard]] bool are_equal(const Query& a, const Query& b);
[[nodiscard]] bool are_equal(const FieldExpr& a, const FieldExpr& b);

}  // namespace gantry::traceql::testing
