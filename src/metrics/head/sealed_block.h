#pragma once

// Encoding of what is open in a head series.

#include <cstdint>
#include <span>

#include "metrics/head/head_series.h"

namespace gantry::metrics {

struct SealSource {
  std::span<const std::int64_t> times;
  std::span<const double> values;  ///< Or histograms.
  std::span<const telemetry::NativeHistogram> histograms;
  std::span<const std::int64_t> starts;  ///< Empty if none is known.
  std::uint32_t generation = 0;
  bool is_late = false;
};

/// Puts an encoded block in front of the record's list.
void seal(SeriesRecord& record, HeadContext& context, const SealSource& source);

void free_block(SealedBlock* block, HeadContext& context);

}  // namespace gantry::metrics
