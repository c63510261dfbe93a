#pragma once

// Counters and classic histograms that are derived from other telemetry, by label set, bounded, and
// handed on as samples.
//
//   MetricTable table({.families = {{"calls_total", "Calls.", MetricType::Counter}}}, registry,
//   "calls"); table.observe(labels, {{.family = 0, .value = 1}}, trace_id, clock.now());
//   CollectedSeries collected;  // with the batch, until the next round
//   table.collect(clock.now(), collected, batch);

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"
#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

struct MetricFamily {
  std::string name;  ///< Without _bucket, _sum and _count.
  std::string help;
  telemetry::MetricType type = telemetry::MetricType::Counter;  ///< Or Gauge, or Histogram.
};

struct MetricTableOptions {
  std::vector<MetricFamily> families;
  std::vector<double> bounds;  ///< Of all histograms: ascending, without +Inf.
  /// Active series; an observation that would add more is refused. A label set counts with every
  /// series that it can have.
  std::uint64_t series_max = 50'000;
  DurationMs stale_after{15 * 60'000};  ///< A label set without observations ends then.
  DurationMs interval{15'000};          ///< Between collections.
  std::string exemplar_label = "traceID";
};

class MetricEntry;

/// What a round of collections refers to: the batch's resolver, and what its views point into. Must
/// outlive the use of the batch. One thread.
class CollectedSeries final : public telemetry::SeriesResolver {
 public:
  CollectedSeries();
  ~CollectedSeries() override;

  /// Forgets the last round and clears `batch` for the next one.
  void begin(telemetry::MetricBatch& batch);

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<telemetry::LabelView>& labels) const override;

 private:
  friend class MetricTable;

  struct Ref {
    const MetricEntry* entry = nullptr;
    std::string_view name;
    std::string_view le;  ///< Empty: not a bucket.
  };

  std::vector<Ref> refs_;
  std::vector<std::unique_ptr<MetricEntry>> ended_;  ///< Referred to once more, by stale markers.
  std::unique_ptr<core::Arena> arena_;
};

/// Thread-safe, but for `collect`, which one thread calls (while others observe).
class MetricTable {
 public:
  /// `registry` must outlive it; refusals are counted there as
  /// gantry_pipeline_refused_total{processor="…", reason="series_limit"}.
  MetricTable(MetricTableOptions options, core::MetricRegistry& registry,
              std::string_view processor);
  ~MetricTable();
  MetricTable(const MetricTable&) = delete;
  MetricTable& operator=(const MetricTable&) = delete;

  struct Change {
    std::size_t family = 0;  ///< Index into the options' families.
    double value = 0;        ///< Added to a counter, set in a gauge, observed by a histogram.
  };

  /// `labels` without a metric name, always in the same order; empty values are left out of the
  /// series. The trace becomes the exemplar of the histogram buckets that the changes fall in.
  void observe(std::span<const telemetry::LabelView> labels, std::span<const Change> changes,
               const telemetry::TraceId& trace_id, TimestampMs now);

  /// Appends a sample at `now` for each series that was ever observed, its exemplar if it has a new
  /// one, and its family's metadata. A series' first sample comes with a 0 before it, so that
  /// rate() sees what the first one counted. Label sets without observations for `stale_after` get
  /// a stale marker and are forgotten. `now` must grow from call to call.
  void collect(TimestampMs now, CollectedSeries& collected, telemetry::MetricBatch& batch);

  [[nodiscard]] std::uint64_t active_series() const {
    return active_series_.load(std::memory_order_relaxed);
  }

 private:
  struct Shard;
  struct Round;
  static constexpr std::size_t kShardCount = 16;

  [[nodiscard]] std::uint64_t series_per_entry() const;
  [[nodiscard]] std::unique_ptr<MetricEntry> make_entry(
      std::span<const telemetry::LabelView> labels) const;
  void apply(MetricEntry& entry, std::span<const Change> changes,
             const telemetry::TraceId& trace_id, TimestampMs now) const;
  void write(Round& round, MetricEntry& entry) const;
  void write_histogram(Round& round, MetricEntry& entry, std::size_t family) const;

  MetricTableOptions options_;
  core::Counter& refused_;
  std::vector<std::array<std::string, 4>> names_;  ///< By family: plain, _bucket, _sum, _count.
  std::vector<std::string> le_texts_;              ///< By bucket, "+Inf" last.
  std::array<std::unique_ptr<Shard>, kShardCount> shards_;
  std::atomic<std::uint64_t> active_series_{0};
  TimestampMs collected_at_{0};  ///< 0: never.
};

}  // namespace gantry::pipeline
