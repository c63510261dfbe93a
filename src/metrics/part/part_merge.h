#pragma once

// Makes one part of several: series by series in label order, samples by time, the later input
// winning where two have the same timestamp. Memory does not grow with the inputs' size: one
// series' samples, the inputs' symbols, a few frames.

#include <cstdint>
#include <functional>
#include <span>

#include "core/cancel.h"
#include "core/error.h"
#include "metrics/part/part_reader.h"
#include "metrics/part/part_writer.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

/// Both ends inclusive.
struct TimeRange {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;

  friend bool operator==(const TimeRange&, const TimeRange&) = default;
};

/// Asked once per series: appends the ranges to leave out, in any order, overlapping or not.
using TombstoneFilter = std::function<void(std::span<const telemetry::LabelView> labels,
                                           std::vector<TimeRange>& deleted)>;

struct MergeOptions {
  TombstoneFilter tombstones;  ///< Null: nothing is deleted.
  CancelToken cancel;          ///< Looked at per block.
  /// Called with the bytes written so far after each block: may wait to keep a budget.
  std::function<void(std::uint64_t bytes_written)> progress;
};

/// Reads `inputs`, oldest first, and adds everything to `writer`, which the caller finishes. Equal
/// timestamps: the last input in the list wins. Errors: DataLoss (an input's is_damaged says
/// which), Cancelled, those of File.
Result<void> merge_parts(std::span<const PartReader* const> inputs, const MergeOptions& options,
                         PartWriter& writer);

}  // namespace gantry::metrics
