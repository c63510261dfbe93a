#pragma once

#include <cstdint>

#include "promql/ast.h"

namespace gantry::promql::promqltest {

/// Whether the tree calls a function whose value changes with the evaluation time though its
/// selectors are pinned.
[[nodiscard]] bool depends_on_evaluation_time(const Expr& expr);

/// Gives `@ time` to every selector and sub-query that has no `@` with a number, but not inside a
/// sub-query that has one, or gets one here.
void pin_to_time(Expr& expr, std::int64_t time_ms);

}  // namespace gantry::promql::promqltest
