#pragma once

// load_with_nhcb: classic histograms as native ones with custom buckets.

#include <vector>

#include "core/error.h"
#include "promql/testing/memory_source.h"
#include "telemetry/labels.h"

namespace gantry::promql::promqltest {

struct LoadedSeries {
  telemetry::Labels labels;
  std::vector<Sample> samples;
};

/// One series X of histograms for each group of X_bucket, X_count and X_sum in `series`. Errors:
/// InvalidArgument where counts are not cumulative or X_count disagrees with the +Inf bucket.
[[nodiscard]] Result<std::vector<LoadedSeries>> convert_classic_histograms(
    const std::vector<LoadedSeries>& series);

}  // namespace gantry::promql::promqltest
