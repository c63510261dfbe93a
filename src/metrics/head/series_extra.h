#pragma once

// What few series have in the head: start timestamps, late samples, native histograms.

#include <cstdint>
#include <vector>

#include "metrics/head/head_series.h"
#include "metrics/part/block.h"

namespace gantry::metrics {

struct SeriesExtra {
  std::vector<std::int64_t> open_starts;  ///< Empty, or one per sample of the open buffer.
  std::vector<FloatPoint> late;           ///< Ascending.
  HistogramColumns open_histograms;       ///< Ascending, after every sealed block that is not late.
  HistogramColumns late_histograms;       ///< Ascending.
  std::size_t counted_bytes = 0;          ///< What HeadContext::extra_bytes has for this.

  [[nodiscard]] bool is_empty() const {
    return open_starts.empty() && late.empty() && open_histograms.timestamps_ms.empty() &&
           late_histograms.timestamps_ms.empty();
  }
};

}  // namespace gantry::metrics
