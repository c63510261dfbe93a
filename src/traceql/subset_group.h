#pragma once

// A group as if it never had some of its spans. Nothing of them is left in any column, count or
// dictionary: resources, scopes, events and links that only they had are gone, traces without spans
// too, and what is computed over spans (nested sets, traces' extents) is computed over the rest.

#include <memory>

#include "core/error.h"
#include "traceql/eval/row_set.h"
#include "traceql/span_source.h"

namespace gantry::traceql {

/// `rows`: the spans of `group` that stay. Errors: those of the group.
Result<std::unique_ptr<SpanGroup>> make_subset_group(std::unique_ptr<SpanGroup> group,
                                                     const RowSet& rows);

}  // namespace gantry::traceql
