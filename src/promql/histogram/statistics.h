#pragma once

// What the histogram_* functions read from one native histogram (promql/quantile.go of Prometheus).
// Pure functions.

#include <cstdint>

#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

/// What observations of NaN, which count but fall into no bucket, did to a quantile.
enum class NanEffect : std::uint8_t {
  None,
  ResultIsNan,
  SkewedHigher,
};

struct Quantile {
  double value = 0;
  NanEffect nan_effect = NanEffect::None;
};

/// The φ-quantile: -Inf for φ < 0, +Inf for φ > 1, NaN for a NaN φ or no observations. Within a
/// bucket logarithmic for exponential buckets, linear for custom ones and the zero bucket.
[[nodiscard]] Quantile quantile(double phi, const telemetry::FloatHistogram& histogram);

struct Fraction {
  double value = 0;
  bool excludes_nan = false;  ///< There were observations of NaN: they belong to no fraction.
};

/// The share of the observations in [lower, upper]. 0 when lower >= upper, NaN for NaN bounds or no
/// observations.
[[nodiscard]] Fraction fraction(double lower, double upper,
                                const telemetry::FloatHistogram& histogram);

/// The population variance, each observation taken at the middle of its bucket: geometric for
/// exponential buckets, arithmetic for custom ones, 0 in the zero bucket.
[[nodiscard]] double variance(const telemetry::FloatHistogram& histogram);

}  // namespace gantry::promql::histogram
