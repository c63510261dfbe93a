#include "traceql/metrics/log2_buckets.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace gantry::traceql::metrics {

std::optional<std::uint8_t> log2_exponent(double value) {
  if (!(value >= 2)) return std::nullopt;  // also NaN
  if (value >= 0x1p63) return static_cast<std::uint8_t>(kLog2ExponentMax);
  return static_cast<std::uint8_t>(std::bit_width(static_cast<std::uint64_t>(value) - 1));
}

double log2_bound(std::uint8_t exponent) {
  return std::ldexp(1.0, exponent);
}

double log2_quantile(double p, std::span<const Log2Bucket> buckets) {
  std::uint64_t total = 0;
  for (const Log2Bucket& bucket : buckets) total += bucket.count;
  if (total == 0) return 0;
  const double wanted = std::max(1.0, std::ceil(p * static_cast<double>(total)));
  std::uint64_t consumed = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const Log2Bucket& bucket = buckets[i];
    const auto reached = static_cast<double>(consumed + bucket.count);
    if (reached < wanted) {
      consumed += bucket.count;
      continue;
    }
    if (reached == wanted) return log2_bound(bucket.exponent);
    const double upper = bucket.exponent;
    const double lower = i == 0 ? upper - 1 : buckets[i - 1].exponent;
    const double share =
        (wanted - static_cast<double>(consumed)) / static_cast<double>(bucket.count);
    return std::exp2(lower + ((upper - lower) * share));
  }
  return log2_bound(buckets.back().exponent);
}

}  // namespace gantry::traceql::metrics
