#pragma once

// What some span of a group must have for a query to find anything in it.

#include <vector>

#include "traceql/ast.h"
#include "traceql/span_source.h"

namespace gantry::traceql {

/// The conditions `attribute = "text"` that hold for some span of every trace the pipeline can
/// find: those joined by && only, on any side that a span set operator needs. Views into the tree.
[[nodiscard]] std::vector<RequiredText> required_texts(const Pipeline& pipeline);

/// The same for one filter.
[[nodiscard]] std::vector<RequiredText> required_texts(const FieldExpr& filter);

/// Nothing can pass: some stage filters by a constant that is not true.
[[nodiscard]] bool is_never(const Pipeline& pipeline);

}  // namespace gantry::traceql
