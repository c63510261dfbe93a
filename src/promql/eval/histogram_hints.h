#pragma once

// Histograms of which only count and sum are asked for: their buckets serve to find counter resets
// and then go.

#include <cstddef>

#include "promql/kernels/window.h"
#include "promql/series_source.h"

namespace gantry::promql::eval {

/// Leaves of each histogram its count, sum, schema and hint, and replaces an unknown hint by
/// whether the counter started anew since the histogram that was seen before it. Those that no
/// window sees are passed over; where a window lies wholly behind what was seen last, it begins
/// without anything seen. The first one seen, and stale markers, keep their hints.
///
/// As Prometheus's HistogramStatsIterator does below its buffered iterators, so that sums of
/// histograms conflict where they do there.
void reduce_to_statistics(const kernels::WindowGrid& windows, std::size_t steps,
                          SampleColumns& columns);

}  // namespace gantry::promql::eval
