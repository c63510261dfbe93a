#pragma once

// What add, subtract and the compensated sums share.

#include <cstddef>
#include <span>
#include <vector>

#include "promql/histogram/arithmetic.h"
#include "promql/histogram/buckets_internal.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

/// `into` += `sign` * `other`. With a compensation, which must be of the layout of `into` and stays
/// so, each addition is compensated (Neumaier).
[[nodiscard]] Combination combine(telemetry::FloatHistogram& into, Compensation* compensation,
                                  const telemetry::FloatHistogram& other, double sign);

/// How many of the buckets nearest to zero lie within the zero bucket.
[[nodiscard]] std::size_t count_covered(const telemetry::FloatHistogram& histogram,
                                        BucketsView buckets, double zero_threshold);

/// A zero bucket that was widened; `error` is the compensation of its count.
struct ZeroBucket {
  double threshold = 0;
  double count = 0;
  double error = 0;
};

/// The zero bucket of `histogram` if it reached to `threshold`, which is not below its own, or to
/// the outer end of the populated buckets that `threshold` falls into.
[[nodiscard]] ZeroBucket widened_zero_bucket(const telemetry::FloatHistogram& histogram,
                                             const Compensation* compensation, double threshold);

/// The bounds that both have.
[[nodiscard]] std::vector<double> common_bounds(const std::vector<double>& a,
                                                const std::vector<double>& b);

/// Custom buckets folded into those of some of their bounds, +Inf being the last.
class FoldedBuckets {
 public:
  explicit FoldedBuckets(const std::vector<double>& bounds)
      : bounds_(bounds), counts_(bounds.size() + 1), errors_(bounds.size() + 1) {}

  /// `bounds_` must be among the bounds of `histogram`. `errors` may be empty.
  void add(const telemetry::FloatHistogram& histogram, std::span<const double> errors, double sign);

  [[nodiscard]] const std::vector<double>& counts() const { return counts_; }

  /// Replaces `into` by the buckets that hold something.
  void write(MutableBuckets into) const;

 private:
  const std::vector<double>& bounds_;
  std::vector<double> counts_;
  std::vector<double> errors_;
};

}  // namespace gantry::promql::histogram
