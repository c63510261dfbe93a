#pragma once

// PromQL in the most obvious way: node by node, step by step, sample by sample, labels as maps. It
// shares with the engine the parser, the resolution of durations, the formatting of numbers, RE2
// and the operations on single histograms (histogram/), which have tests of their own.
//
// Not there, and answered with Unimplemented: anchored, smoothed, info(), and the hints that
// histogram_count, histogram_sum and histogram_avg make for what lies between them and a selector.

#include "promql/engine.h"
#include "promql/series_source.h"

namespace gantry::promql::promqltest {

/// As Engine::instant and Engine::range with these options, statistics apart. Vectors are sorted by
/// labels unless the query sorts.
[[nodiscard]] Result<Answer> plain_instant(const EngineOptions& options,
                                           const InstantRequest& request,
                                           const SeriesSource& source);
[[nodiscard]] Result<Answer> plain_range(const EngineOptions& options, const RangeRequest& request,
                                         const SeriesSource& source);

}  // namespace gantry::promql::promqltest
