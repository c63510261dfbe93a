#pragma once

// Aggregations. sum, avg, min, max, count, group, stddev and stdvar fold rows as they are produced:
// memory is groups × steps. The others see all rows of a step and work on a matrix.

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/matrix.h"
#include "promql/eval/row_producer.h"

namespace gantry::promql::eval {

/// Whether `op` folds.
[[nodiscard]] bool is_folding(AggregateOp op);

/// `producer` has no equal labels (Evaluator::vector merges them).
Result<Matrix> fold_groups(QueryContext& context, const Aggregate& aggregate, RowProducer& producer,
                           std::size_t steps, Position position);

struct RankRequest {
  const Aggregate& aggregate;
  Position position;       ///< Of the whole aggregation.
  Position expr_position;  ///< Of the aggregated expression.
  Position parameter_position;
  std::vector<double> parameter;  ///< Per step; empty for count_values.
  std::string label;              ///< Of count_values.
};

/// Checks the parameter of topk, bottomk, limitk and limit_ratio, which may fail a query that has
/// no data. True when nothing can result.
Result<bool> check_parameter(AggregateOp op, const std::vector<double>& parameter);

/// topk, bottomk, limitk, limit_ratio: a selection of `matrix`'s cells.
Result<Matrix> select_cells(QueryContext& context, const RankRequest& request, Matrix matrix);

/// quantile.
Result<Matrix> group_quantiles(QueryContext& context, const RankRequest& request,
                               const Matrix& matrix);

/// count_values.
Result<Matrix> count_values(QueryContext& context, const RankRequest& request,
                            const Matrix& matrix);

}  // namespace gantry::promql::eval
