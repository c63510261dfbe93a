#pragma once

// A batch of metrics without some of its series.

#include <cstdint>
#include <memory>
#include <vector>

#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::pipeline {

/// Shares views with the batch that it was made of, which must outlive it, and uses its resolver.
class PartialBatch {
 public:
  /// `leaves_out`: by series of `in`; "" leaves out none.
  PartialBatch(const telemetry::MetricBatch& in, const std::vector<bool>& leaves_out);
  ~PartialBatch();
  PartialBatch(PartialBatch&&) noexcept;
  PartialBatch& operator=(PartialBatch&&) noexcept;
  PartialBatch(const PartialBatch&) = delete;
  PartialBatch& operator=(const PartialBatch&) = delete;

  /// The batch itself when nothing was left out. Its metadata stays whole.
  [[nodiscard]] const telemetry::MetricBatch& batch() const;

  /// Float samples and histograms of series that are left out.
  [[nodiscard]] std::uint64_t dropped_count() const;

  /// The verdict on `batch()` as one on the batch that it was made of: what was left out counts as
  /// written, positions are those that the sender knows.
  [[nodiscard]] telemetry::AppendResult of_input(telemetry::AppendResult result) const;

 private:
  struct Rest;

  const telemetry::MetricBatch* in_;
  std::unique_ptr<Rest> rest_;  ///< Null: nothing was left out.
};

}  // namespace gantry::pipeline
