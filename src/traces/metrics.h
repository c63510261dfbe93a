#pragma once

// The store's own metrics.

#include <array>

#include "core/metrics.h"
#include "telemetry/span_append_result.h"

namespace gantry::traces {

/// References into the registry, made once.
struct StoreMetrics {
  explicit StoreMetrics(core::MetricRegistry& registry);

  core::Counter& spans_appended;
  core::Counter& spans_repeated;
  core::Counter& spans_adopted;
  core::Counter& append_failures;
  std::array<core::Counter*, telemetry::kSpanRejectReasonCount> rejected;
  core::Histogram& append_seconds;
  core::Histogram& seal_seconds;
  core::Histogram& merge_seconds;
  core::Counter& seal_failures;
  core::Counter& merge_failures;
  core::Counter& merged_bytes;
  core::Counter& quarantined_blocks;
  core::Counter& dropped_blocks;
  core::Gauge& live_spans;
  core::Gauge& live_traces;
  core::Gauge& live_bytes;
  core::Gauge& log_bytes;
  core::Gauge& block_count;
  core::Gauge& block_bytes;
  core::Gauge& cache_bytes;
};

}  // namespace gantry::traces
