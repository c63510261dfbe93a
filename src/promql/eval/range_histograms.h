#pragma once

// What functions of a range vector make of a series that has native histograms in it.

#include <string_view>

#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/matrix.h"
#include "promql/eval/transitions.h"
#include "promql/function_table.h"
#include "promql/kernels/range_functions.h"
#include "promql/kernels/window.h"

namespace gantry::promql::eval {

struct MixedSeries {
  FunctionId function = FunctionId::Rate;
  kernels::WindowGrid grid;
  Position position;        ///< Of the range vector.
  Position first_position;  ///< Of the call's first argument.
  std::string_view metric_name;
  StartTimes starts = StartTimes::Ignored;
};

/// Corrects the kernel's result over the floats (`in`, the one row of `out`) for the histograms in
/// `scratch.columns`, of which there are some, with the annotations that they call for. Leaves
/// their windows in `scratch.histogram_windows`.
void combine_with_histograms(const MixedSeries& series, const kernels::RangeInput& in,
                             const RowsView& out, BatchScratch& scratch);

}  // namespace gantry::promql::eval
