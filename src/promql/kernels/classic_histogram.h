#pragma once

// histogram_quantile and histogram_fraction over classic buckets: cumulative counts by upper bound.

#include <span>

namespace gantry::promql::kernels {

struct ClassicBucket {
  double upper_bound = 0;  ///< Of `le`.
  double count = 0;        ///< Cumulative.
};

/// What had to be repaired so that counts do not decrease, for the info annotation.
struct MonotonicityFix {
  bool is_fixed = false;    ///< False: the rest says nothing. Differences below 1e-12 do not count.
  double first_bucket = 0;  ///< Upper bounds of the first and the last bucket raised.
  double last_bucket = 0;
  double difference_max = 0;
};

struct ClassicQuantile {
  double value = 0;
  MonotonicityFix fix;
};

/// Buckets in any order, at least one; sorted, merged and repaired in place. NaN without a +Inf
/// bucket, with fewer than two buckets or without observations. φ < 0: -Inf, φ > 1: +Inf.
[[nodiscard]] ClassicQuantile classic_histogram_quantile(double phi,
                                                         std::span<ClassicBucket> buckets);

/// The estimated fraction of observations in (lower, upper]. Buckets as above, but never repaired.
[[nodiscard]] double classic_histogram_fraction(double lower, double upper,
                                                std::span<ClassicBucket> buckets);

}  // namespace gantry::promql::kernels
