#pragma once

// Range selectors with `anchored` or `smoothed`: the functions look beyond the ends of the range,
// as far as the lookback, for the value there, instead of extrapolating from the samples inside.
// anchored: the last sample before the range is where it starts. smoothed: the values at both ends
// lie on the line between the samples around them.

#include <string_view>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/row_producer.h"
#include "promql/eval/series_input.h"
#include "promql/function_table.h"
#include "promql/kernels/window.h"

namespace gantry::promql::eval {

/// The selector of `range` if it is anchored or smoothed, else null.
[[nodiscard]] const MatrixSelector* find_extended_selector(const Expr& range);

/// rate, increase, delta, and where anchored changes and resets, of `selector`, whose position
/// annotations carry. Errors: as select_series; FailedPrecondition for other functions.
Result<RowProducerPtr> make_extended_call(QueryContext& context, const FunctionSignature& function,
                                          const MatrixSelector& selector, Position position,
                                          const Grid& grid);

/// That `function` cannot be called on a selector with `mode` (not Plain).
[[nodiscard]] std::unexpected<Error> refuse_mode(RangeMode mode, std::string_view function);

/// The series of an extended selector with what lies around its ranges; the windows are those of
/// the ranges.
Result<RangeVector> select_extended(QueryContext& context, const MatrixSelector& selector,
                                    const Grid& grid, std::string_view within);

/// Replaces the samples around the range (start_ms, end_ms], free of stale markers, by those inside
/// and one at each end. No samples after the start: none. Errors: FailedPrecondition where there
/// are histograms.
Result<void> extend_samples(RangeMode mode, std::int64_t start_ms, std::int64_t end_ms,
                            SampleColumns& columns);

}  // namespace gantry::promql::eval
