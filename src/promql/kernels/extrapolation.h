#pragma once

// By how much rate, increase and delta stretch what the samples of a window show, so that it stands
// for the whole range. Of floats and of native histograms alike. The order of the floating point
// operations is Prometheus's.

#include <cstdint>

#include "promql/kernels/range_internal.h"

namespace gantry::promql::kernels {

/// Where the samples of a window lie in the range. In a series of regular scrapes it is the same
/// at most steps, so that what follows from it is kept from step to step.
struct Spread {
  std::int64_t to_start_ms = 0;  ///< From the range's start to the first sample.
  std::int64_t to_end_ms = 0;
  std::int64_t sampled_ms = 0;
  std::uint32_t gaps = 0;  ///< Samples less one; not 0 unless a start timestamp is used.

  friend bool operator==(const Spread&, const Spread&) = default;
};

struct Extrapolation {
  double to_start = 0;  ///< Seconds to extrapolate by, unless a counter reaches zero before.
  double to_end = 0;
  double sampled = 0;
  double factor = 0;  ///< By what the growth is multiplied.
};

// A gap of this many average distances between samples says that the series begins or ends there.
inline constexpr double kExtrapolationThreshold = 1.1;

/// How much longer the extrapolated time is than the sampled one, by `divisor`: the range's
/// seconds for rate, 1 for the others.
[[nodiscard]] inline double stretch(double sampled, double to_start, double to_end,
                                    double divisor) {
  const double factor = sampled == 0 ? 1 : (sampled + to_start + to_end) / sampled;
  return factor / divisor;
}

[[nodiscard]] inline Extrapolation extrapolation_of(const Spread& spread, double divisor) {
  Extrapolation result{.to_start = to_seconds(spread.to_start_ms),
                       .to_end = to_seconds(spread.to_end_ms),
                       .sampled = to_seconds(spread.sampled_ms)};
  const double average = result.sampled / spread.gaps;
  const double threshold = average * kExtrapolationThreshold;
  if (result.to_start >= threshold) result.to_start = average / 2;
  if (result.to_end >= threshold) result.to_end = average / 2;
  result.factor = stretch(result.sampled, result.to_start, result.to_end, divisor);
  return result;
}

/// The factor for a counter, which was not below zero: it grew from `first` by `growth`. Of a
/// histogram, its count.
[[nodiscard]] inline double counter_factor(const Extrapolation& extrapolation, double first,
                                           double growth, double divisor) {
  if (!(growth > 0 && first >= 0)) return extrapolation.factor;
  // Far from zero, as most counters are, the division below need not be made: the margin is wider
  // than any rounding, and the floor keeps subnormal products out.
  constexpr double kMargin = 1 + 1e-9;
  constexpr double kFloor = 1e-280;
  const double reach = first * extrapolation.sampled;
  if (reach > extrapolation.to_start * growth * kMargin && reach > kFloor) {
    return extrapolation.factor;
  }
  const double zero_seconds = extrapolation.sampled * (first / growth);
  if (!(zero_seconds < extrapolation.to_start)) return extrapolation.factor;
  return stretch(extrapolation.sampled, zero_seconds, extrapolation.to_end, divisor);
}

/// Where a start timestamp says that the counter was zero `lead_ms` before the first sample: that
/// is one more sample, so nothing is extrapolated to the left, and one sample alone gives no
/// distance to extrapolate by to the right.
[[nodiscard]] inline double factor_from_start(const Spread& spread, std::int64_t lead_ms) {
  if (spread.gaps == 0) return 1;
  const double sampled = to_seconds(spread.sampled_ms + lead_ms);
  double to_end = to_seconds(spread.to_end_ms);
  const double average = to_seconds(spread.sampled_ms) / spread.gaps;
  if (to_end >= average * kExtrapolationThreshold) to_end = average / 2;
  return (sampled + to_end) / sampled;
}

}  // namespace gantry::promql::kernels
