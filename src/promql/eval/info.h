#pragma once

// info(): labels of info series, such as target_info, added to the elements that they describe.

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/matrix.h"

namespace gantry::promql::eval {

/// The call's value; `elements` is what its first argument evaluated to over `grid`.
///
/// An info series describes the elements with its `instance` and `job`. Of several of one name the
/// one with the newest sample counts, at each step anew: where that changes, or where there is
/// none, an element goes on as another row. Elements that are info series themselves stay as they
/// are. Info series are looked up at the time that the first selector of the argument looks at.
///
/// Errors: FailedPrecondition (two info series of one name with samples of the same time, two that
/// disagree about a label, an info series of histograms, two elements that become equal); those of
/// the source.
Result<Matrix> join_info_series(QueryContext& context, const Call& call, const Grid& grid,
                                Matrix elements);

}  // namespace gantry::promql::eval
