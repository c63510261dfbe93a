#pragma once

// histogram_quantile(s) and histogram_fraction over classic buckets, and the accessors of native
// histograms.

#include <string>
#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/matrix.h"
#include "promql/eval/row_producer.h"
#include "promql/function_table.h"

namespace gantry::promql::eval {

struct HistogramCall {
  Grid grid;
  Position scalar_position;  ///< Of the quantile.
  Position vector_position;
};

/// `phi`: per step.
Result<Matrix> histogram_quantile(QueryContext& context, const HistogramCall& call,
                                  const std::vector<double>& phi, const Matrix& buckets);

/// Several quantiles, told apart by `label`; each has one value per step.
Result<Matrix> histogram_quantiles(QueryContext& context, const HistogramCall& call,
                                   const std::string& label,
                                   const std::vector<std::vector<double>>& phis,
                                   const Matrix& buckets);

Result<Matrix> histogram_fraction(QueryContext& context, const HistogramCall& call,
                                  const std::vector<double>& lower,
                                  const std::vector<double>& upper, const Matrix& buckets);

/// histogram_count, histogram_sum, histogram_avg: floats fall away.
[[nodiscard]] RowsMap make_histogram_accessor(FunctionId function);

}  // namespace gantry::promql::eval
