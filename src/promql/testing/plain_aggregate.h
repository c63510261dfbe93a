#pragma once

// Aggregations in the plain evaluator.

#include <vector>

#include "promql/ast.h"
#include "promql/testing/plain_value.h"

namespace gantry::promql::promqltest {

/// `parameters` has a value for each step, or is empty where the operator takes no number.
[[nodiscard]] Result<PlainSteps> aggregate_steps(PlainContext& context, const Expr& expr,
                                                 const PlainSteps& steps,
                                                 const std::vector<double>& parameters);

}  // namespace gantry::promql::promqltest
