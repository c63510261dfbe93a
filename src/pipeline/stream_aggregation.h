#pragma once

// Samples made fewer while they pass: by time, by labels, and by leaving only the top values of a
// label apart. The outputs have the names and the meaning of VictoriaMetrics' stream aggregation.
//
//   GANTRY_TRY(const auto aggregation, StreamAggregation::parse(json, options));
//   const PartialBatch rest = aggregation->observe(batch, clock.now());   // store rest.batch()
//   if (const auto finished = aggregation->collect(clock.now())) …        // store its batch(), too

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "pipeline/partial_batch.h"
#include "telemetry/metric_batch.h"

namespace gantry::pipeline {

inline constexpr std::size_t kStreamAggregationBytesMax = 64 << 10;  ///< Of the JSON text.
inline constexpr std::size_t kAggregationRulesMax = 32;
inline constexpr std::size_t kAggregationItemsMax = 64;         ///< Of each array in a rule.
inline constexpr std::size_t kAggregationTextBytesMax = 1'024;  ///< Of a selector, label or name.
inline constexpr std::size_t kAggregationTopMax = 1'000;

/// Whether `json` is a list of rules. Errors: as StreamAggregation::parse.
[[nodiscard]] Result<void> check_stream_aggregation(std::string_view json);

struct StreamAggregationOptions {
  core::MetricRegistry& registry;     ///< Outlives the aggregation.
  core::MetricLabels labels;          ///< Of its metrics: whose aggregation it is.
  TimestampMs started_at;             ///< Now.
  std::size_t series_max = 50'000;    ///< Groups of a rule; what would make more is refused.
  std::size_t inputs_max = 500'000;   ///< Series that are known; of others nothing is aggregated.
  std::size_t pending_max = 500'000;  ///< Samples of finished windows that nobody has collected.
};

/// Samples of windows that have ended, with their labels. Immutable.
class FinishedWindows final : public telemetry::SeriesResolver {
 public:
  struct Parts;

  explicit FinishedWindows(std::unique_ptr<Parts> parts);
  ~FinishedWindows() override;

  /// Views as long as this.
  [[nodiscard]] const telemetry::MetricBatch& batch() const { return batch_; }

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<telemetry::LabelView>& labels) const override;

 private:
  std::unique_ptr<Parts> parts_;
  telemetry::MetricBatch batch_;
};

/// Rules with what they have seen. Thread-safe.
///
/// Windows are those of the clock, multiples of the interval since the epoch; a sample belongs to
/// the one in which it arrives. Samples older than two intervals and five minutes are left out, as
/// are NaNs. A group without samples for two intervals ends with stale markers, and what comes for
/// it then is new.
class StreamAggregation {
 public:
  /// From an array of rules; `null` and `[]`: none. A rule has `match` (a selector in PromQL, or an
  /// array of which one is to match), `interval` (1s to 1d), `outputs`, and may have
  ///
  ///   by | without   labels that groups keep or lose; neither: groups are series
  ///   top            {"n","label","rank_by"}: only the n values of the label that rank highest by
  ///                  that output (if not given, the first) have groups of their own in a window,
  ///                  for each metric; the others are one under the value `other`
  ///   keep_input     true, if not given; false: series that match are not in what `observe` leaves
  ///   name           "<metric>:<interval>_<output>" if not given
  ///
  /// Outputs: total (a counter of all increases, over resets), increase (of the window),
  /// sum_samples, count_samples, count_series, avg, min, max, last. Under `other`, total, increase,
  /// the sums, counts and last add up. total, increase and sum_samples merge native histograms.
  /// The first sample of a series that began before the aggregation could see it counts for
  /// nothing in total and increase: it may come from far back. That is one in the first two
  /// intervals, or one whose start timestamp says so.
  ///
  /// Errors: InvalidArgument, which names the rule and the field ("stream_aggregation[0].match: …")
  /// and the limit if one is passed.
  static Result<std::unique_ptr<StreamAggregation>> parse(std::string_view json,
                                                          StreamAggregationOptions options);

  ~StreamAggregation();
  StreamAggregation(const StreamAggregation&) = delete;
  StreamAggregation& operator=(const StreamAggregation&) = delete;

  /// Whether there are no rules.
  [[nodiscard]] bool empty() const;

  /// Takes the samples in and says what is to go on beside the outputs. `batch` must outlive that.
  /// What a limit refuses is counted in
  /// gantry_pipeline_refused_total{processor="stream_aggregation",reason}: series_limit,
  /// input_limit (nothing of it is left out of the batch either), pending_limit, histogram (an
  /// output that histograms do not have), mixed_types (floats and histograms in one group).
  [[nodiscard]] PartialBatch observe(const telemetry::MetricBatch& batch, TimestampMs now);

  /// Samples of the windows that ended up to `now`, at the times of their ends. Null: none.
  [[nodiscard]] std::unique_ptr<const FinishedWindows> collect(TimestampMs now);

  /// Those, and at `now` those of the windows that have not ended: for the end of the process.
  [[nodiscard]] std::unique_ptr<const FinishedWindows> flush(TimestampMs now);

 private:
  struct Impl;
  explicit StreamAggregation(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::pipeline
