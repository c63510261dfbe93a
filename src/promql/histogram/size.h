#pragma once

// How large a native histogram is, for limits.

#include <cstdint>

#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

/// Bytes, as Prometheus's FloatHistogram.Size counts them: 168 for the struct and the pointer to
/// it, and the arrays.
[[nodiscard]] inline std::uint64_t size_bytes(const telemetry::FloatHistogram& histogram) {
  constexpr std::uint64_t kStructBytes = 168;
  return kStructBytes + (8 * (histogram.positive_spans.size() + histogram.negative_spans.size() +
                              histogram.positive_counts.size() + histogram.negative_counts.size() +
                              histogram.custom_values.size()));
}

/// The samples that it counts as where samples are limited: one for each 16 bytes, its timestamp
/// included.
[[nodiscard]] inline std::uint64_t count_samples(const telemetry::FloatHistogram& histogram) {
  return (size_bytes(histogram) + 8) / 16;
}

}  // namespace gantry::promql::histogram
