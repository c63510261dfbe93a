#pragma once

// How observations are taken to lie within a bucket.

#include <cstdint>

#include "promql/histogram/buckets_internal.h"

namespace gantry::promql::histogram {

enum class Spread : std::uint8_t {
  Linear,       ///< Evenly: custom buckets and the zero bucket.
  Logarithmic,  ///< Evenly on a logarithmic scale: exponential buckets.
};

/// The share of a bucket's width at or below `value`, which is strictly between its finite bounds.
[[nodiscard]] double fraction_below(Bounds bucket, double value, Spread spread);

}  // namespace gantry::promql::histogram
