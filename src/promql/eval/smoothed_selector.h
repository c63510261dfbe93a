#pragma once

// A smoothed instant selector over all steps: the sample at the step, else a value on the line
// between the samples around it, else the last value within the lookback.

#include <string_view>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/row_producer.h"

namespace gantry::promql::eval {

/// `position`: of the selector, for annotations. `within`: the enclosing function or aggregation.
Result<RowProducerPtr> make_smoothed_selector(QueryContext& context, const VectorSelector& selector,
                                              const Grid& grid, Position position,
                                              std::string_view within);

}  // namespace gantry::promql::eval
