#pragma once

// The store's own metrics.

#include <array>

#include "core/gauge_share.h"
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
  core::GaugeShare live_spans;
  core::GaugeShare live_traces;
  core::GaugeShare live_bytes;
  core::GaugeShare log_bytes;
  core::GaugeShare block_count;
  core::GaugeShare block_bytes;
  core::GaugeShare cache_bytes;
};

}  // namespace gantry::traces
