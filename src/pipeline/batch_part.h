#pragma once

// Some of the series of a batch of metrics, with their samples, and where in the batch each came
// from.
//
//   BatchPart part(in);
//   for (…) part.keep(series, in.series[series].key);
//   part.copy_samples();

#include <cstdint>
#include <vector>

#include "core/hash.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::pipeline {

/// Shares views with the batch that it is made of, which must outlive it. Its own batch has no
/// resolver until the owner sets one, which asks `origin`.
class BatchPart {
 public:
  /// Without series yet; the metadata stays whole.
  explicit BatchPart(const telemetry::MetricBatch& in);

  /// `series` of the input is the next of the part, under this key. Each once at most.
  void keep(std::uint32_t series, const core::Hash128& key);

  /// Samples, histograms and exemplars of what is kept. Once, after the last `keep`.
  void copy_samples();

  [[nodiscard]] const telemetry::MetricBatch& input() const { return *in_; }

  [[nodiscard]] const telemetry::MetricBatch& batch() const { return batch_; }

  void set_resolver(const telemetry::SeriesResolver& resolver) { batch_.resolver = &resolver; }

  /// The input's series of one of the part.
  [[nodiscard]] std::uint32_t origin(std::uint32_t series) const { return origins_[series]; }

  /// Float samples and histograms of series that are left out.
  [[nodiscard]] std::uint64_t dropped_count() const;

  /// The verdict on `batch()` as one on the input: what was left out counts as written, positions
  /// are those that the sender knows.
  [[nodiscard]] telemetry::AppendResult of_input(telemetry::AppendResult result) const;

 private:
  const telemetry::MetricBatch* in_;
  telemetry::MetricBatch batch_;
  std::vector<std::uint32_t> places_;      ///< By series of the input.
  std::vector<std::uint32_t> origins_;     ///< By series of the part.
  std::vector<std::uint32_t> samples_;     ///< Positions in the input, by those in the part.
  std::vector<std::uint32_t> histograms_;  ///< Likewise.
};

}  // namespace gantry::pipeline
