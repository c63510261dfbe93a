#pragma once

// Functions of a range vector (rate, sum_over_time…) over all steps: each series is read once, its
// windows are found once (neighbours with the same timestamps share them), and a kernel runs.

#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/row_producer.h"
#include "promql/eval/series_input.h"
#include "promql/function_table.h"
#include "promql/kernels/range_functions.h"
#include "promql/kernels/window.h"

namespace gantry::promql::eval {

struct RangeCall {
  FunctionId function = FunctionId::Rate;
  Position range_position;           ///< Of the range vector, for annotations.
  Position scalar_position;          ///< Of the first scalar argument.
  Position first_position;           ///< Of the first argument.
  std::vector<double> argument;      ///< Per step; quantile_over_time, predict_linear, smoothing.
  std::vector<double> argument_two;  ///< Per step; the trend factor.
  kernels::WindowGrid windows;
  Grid grid;
};

/// Errors: FailedPrecondition for smoothing factors out of range.
Result<RowProducerPtr> make_range_call(QueryContext& context, RangeCall call, SeriesInputPtr input);

/// absent_over_time: the steps in whose window some series has a sample, as a bitmap.
Result<std::vector<std::uint64_t>> steps_with_samples(QueryContext& context,
                                                      const kernels::WindowGrid& windows,
                                                      std::size_t steps, const SeriesInput& input);

}  // namespace gantry::promql::eval
