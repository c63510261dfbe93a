#pragma once

// The store's own metrics.

#include <array>

#include "core/gauge_share.h"
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
  core::GaugeShare active_series;
  core::GaugeShare known_series;
  core::GaugeShare log_bytes;
  core::GaugeShare part_count;
  core::GaugeShare part_bytes;
  core::GaugeShare tombstones;
  core::GaugeShare exemplars;
  core::GaugeShare day_bytes;

  /// One per part of the head's memory.
  struct HeadBytes {
    core::GaugeShare records;
    core::GaugeShare labels;
    core::GaugeShare symbols;
    core::GaugeShare postings;
    core::GaugeShare label_sets;
    core::GaugeShare series_cache;
    core::GaugeShare open;
    core::GaugeShare sealed;
    core::GaugeShare extra;
    core::GaugeShare late_changes;
    core::GaugeShare exemplars;
    core::GaugeShare metadata;
    core::GaugeShare part_indexes;
  } head_bytes;
};

}  // namespace gantry::metrics
