#pragma once

// What is known of an expression before it is evaluated.

#include <unordered_map>

#include "promql/ast.h"

namespace gantry::promql::eval {

/// For each node whether its value is the same at every step: everything below is pinned by `@` or
/// constant, and no function looks at the evaluation time.
[[nodiscard]] std::unordered_map<const Expr*, bool> find_invariants(const Expr& root);

}  // namespace gantry::promql::eval
