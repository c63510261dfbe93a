#pragma once

// The store's own metrics.

#include <array>

#include "core/metrics.h"
#include "telemetry/append_result.h"

namespace gantry::metrics {

/// References into the registry, made once.
struct StoreMetrics {
  explicit StoreMetrics(core::MetricRegistry& registry);

  core::Counter& samples_appended;
  core::Counter& histograms_appended;
  core::Counter& exemplars_appended;
  core::Counter& series_created;
  core::Counter& series_collected;
  core::Counter& append_failures;
  std::array<core::Counter*, telemetry::kRejectReasonCount> rejected;
  core::Histogram& append_seconds;
  core::Histogram& flush_seconds;
  core::Histogram& merge_seconds;
  core::Counter& flush_failures;
  core::Counter& merge_failures;
  core::Counter& merged_bytes;
  core::Counter& refused_bytes;
  core::Counter& quarantined_parts;
  core::Counter& dropped_partitions;
  core::Gauge& active_series;
  core::Gauge& known_series;
  core::Gauge& log_bytes;
  core::Gauge& part_count;
  core::Gauge& part_bytes;
  core::Gauge& tombstones;
  core::Gauge& exemplars;
  core::Gauge& day_bytes;

  /// One per part of the head's memory.
  struct HeadBytes {
    core::Gauge& records;
    core::Gauge& labels;
    core::Gauge& symbols;
    core::Gauge& postings;
    core::Gauge& label_sets;
    core::Gauge& series_cache;
    core::Gauge& open;
    core::Gauge& sealed;
    core::Gauge& extra;
    core::Gauge& late_changes;
    core::Gauge& exemplars;
    core::Gauge& metadata;
    core::Gauge& part_indexes;
  } head_bytes;
};

}  // namespace gantry::metrics
