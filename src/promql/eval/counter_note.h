#pragma once

// The info that rate and increase give about series that do not look like counters.

#include <cstddef>
#include <cstdint>
#include <span>

#include "promql/ast.h"
#include "promql/eval/annotations.h"
#include "promql/eval/context.h"
#include "promql/eval/series_input.h"

namespace gantry::promql::eval {

/// Adds the info to `annotations` if the series has a name, a float result at some step (`bits`),
/// and no sign of a counter: the ending of its name or, where types are labels, `__type__`.
void note_doubtful_counter(const QueryContext& context, const SeriesInput& input,
                           std::size_t series, std::span<const std::uint64_t> bits,
                           Position position, AnnotationSet& annotations);

}  // namespace gantry::promql::eval
