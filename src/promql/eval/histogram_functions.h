#pragma once

// histogram_quantile(s) and histogram_fraction, over classic buckets and native histograms alike,
// and the accessors of native histograms.

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
  Position vector_position;
};

struct QuantileArgument {
  std::vector<double> phi;  ///< Per step.
  Position position;
};

/// `buckets`: classic ones are told by their label `le`. Where a label set has both, classic
/// buckets and a native histogram at one step, it has no result there but a warning.
Result<Matrix> histogram_quantile(QueryContext& context, const HistogramCall& call,
                                  const QuantileArgument& argument, const Matrix& buckets);

/// Several quantiles, told apart by `label`.
Result<Matrix> histogram_quantiles(QueryContext& context, const HistogramCall& call,
                                   const std::string& label,
                                   const std::vector<QuantileArgument>& arguments,
                                   const Matrix& buckets);

Result<Matrix> histogram_fraction(QueryContext& context, const HistogramCall& call,
                                  const std::vector<double>& lower,
                                  const std::vector<double>& upper, const Matrix& buckets);

/// histogram_count, _sum, _avg, _stddev, _stdvar: floats fall away.
[[nodiscard]] RowsMap make_histogram_accessor(FunctionId function);

}  // namespace gantry::promql::eval
