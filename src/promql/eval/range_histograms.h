#pragma once

// What functions of a range vector make of a series that has native histograms in it.

#include <string_view>

#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/matrix.h"
#include "promql/function_table.h"
#include "promql/kernels/range_functions.h"
#include "promql/kernels/window.h"

namespace gantry::promql::eval {

struct MixedSeries {
  FunctionId function = FunctionId::Rate;
  kernels::WindowGrid grid;
  Position position;
  std::string_view metric_name;
  bool uses_start_timestamps = false;  ///< The switch is on and the function looks at them.
};

/// Corrects the kernel's result over the floats (`in`, the one row of `out`) for the histograms in
/// `scratch.columns`, with the annotations of mixed ranges.
void combine_with_histograms(const MixedSeries& series, const kernels::RangeInput& in,
                             const RowsView& out, BatchScratch& scratch);

}  // namespace gantry::promql::eval
