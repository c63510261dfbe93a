#include <cmath>

#include "promql/histogram/interpolation_internal.h"

namespace gantry::promql::histogram {

double fraction_below(Bounds bucket, double value, Spread spread) {
  if (spread == Spread::Linear) return (value - bucket.lower) / (bucket.upper - bucket.lower);
  const double lower = std::log2(std::abs(bucket.lower));
  const double upper = std::log2(std::abs(bucket.upper));
  const double at = std::log2(std::abs(value));
  if (value > 0) return (at - lower) / (upper - lower);
  return 1 - ((at - upper) / (lower - upper));
}

}  // namespace gantry::promql::histogram
