#pragma once

// From matrices to what the engine answers: the only place where label sets become strings.

#include <vector>

#include "core/error.h"
#include "promql/engine.h"
#include "promql/eval/context.h"
#include "promql/eval/matrix.h"

namespace gantry::promql::eval {

/// Drops the names of flagged rows; rows that become equal are merged, or the query fails.
Result<void> finish_names(QueryContext& context, Matrix& matrix);

/// One step, in evaluation order.
[[nodiscard]] std::vector<VectorElement> to_vector(QueryContext& context, const Matrix& matrix,
                                                   std::int64_t timestamp_ms);

/// Sorted by labels, rows without points left out.
Result<std::vector<ResultSeries>> to_series(QueryContext& context, const Matrix& matrix,
                                            const Grid& grid);

}  // namespace gantry::promql::eval
