#include "promql/kernels/classic_histogram.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace gantry::promql::kernels {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Differences of float rates that cancel leave noise of this relative size.
constexpr double kNoise = 1e-12;

bool is_almost_equal(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  constexpr double kSmallestNormal = std::numeric_limits<double>::min();
  const double difference = std::abs(a - b);
  const double magnitude = std::abs(a) + std::abs(b);
  if (a == 0 || b == 0 || magnitude < kSmallestNormal) return difference < kNoise * kSmallestNormal;
  return difference / std::min(magnitude, std::numeric_limits<double>::max()) < kNoise;
}

/// Sorts and adds up buckets with one bound ("1" and "1.0"). Empty without a +Inf bucket.
std::span<ClassicBucket> sort_and_merge(std::span<ClassicBucket> buckets) {
  std::ranges::sort(buckets, {}, &ClassicBucket::upper_bound);
  if (buckets.empty() || buckets.back().upper_bound != kInfinity) return {};
  std::size_t last = 0;
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper_bound == buckets[last].upper_bound) {
      buckets[last].count += buckets[i].count;
    } else {
      buckets[++last] = buckets[i];
    }
  }
  return buckets.first(last + 1);
}

MonotonicityFix make_monotonic(std::span<ClassicBucket> buckets) {
  MonotonicityFix fix;
  double previous = buckets.front().count;
  for (ClassicBucket& bucket : buckets.subspan(1)) {
    if (bucket.count == previous) continue;
    if (is_almost_equal(previous, bucket.count)) {
      bucket.count = previous;
      continue;
    }
    if (bucket.count < previous) {
      if (!fix.is_fixed) fix.first_bucket = bucket.upper_bound;
      fix.is_fixed = true;
      fix.last_bucket = bucket.upper_bound;
      fix.difference_max = std::max(fix.difference_max, previous - bucket.count);
      bucket.count = previous;
      continue;
    }
    previous = bucket.count;
  }
  return fix;
}

double interpolate_quantile(double phi, std::span<const ClassicBucket> buckets) {
  const double total = buckets.back().count;
  if (total == 0) return kNan;
  const double rank = phi * total;
  const auto finite = buckets.first(buckets.size() - 1);
  const auto found = std::ranges::partition_point(
      finite, [rank](const ClassicBucket& bucket) { return !(bucket.count >= rank); });
  if (found == finite.end()) return finite.back().upper_bound;
  if (found == finite.begin()) {
    if (found->upper_bound <= 0) return found->upper_bound;
    return found->upper_bound * (rank / found->count);
  }
  const ClassicBucket& below = *(found - 1);
  return below.upper_bound + ((found->upper_bound - below.upper_bound) *
                              ((rank - below.count) / (found->count - below.count)));
}

}  // namespace

ClassicQuantile classic_histogram_quantile(double phi, std::span<ClassicBucket> buckets) {
  if (std::isnan(phi)) return {.value = kNan, .fix = {}};
  if (phi < 0) return {.value = -kInfinity, .fix = {}};
  if (phi > 1) return {.value = kInfinity, .fix = {}};
  const auto merged = sort_and_merge(buckets);
  if (merged.size() < 2) return {.value = kNan, .fix = {}};
  const MonotonicityFix fix = make_monotonic(merged);
  return {.value = interpolate_quantile(phi, merged), .fix = fix};
}

double classic_histogram_fraction(double lower, double upper, std::span<ClassicBucket> buckets) {
  const auto merged = sort_and_merge(buckets);
  if (merged.empty() || std::isnan(lower) || std::isnan(upper)) return kNan;
  const double total = merged.back().count;
  if (total == 0 || std::isnan(total)) return kNan;
  if (lower >= upper) return 0;

  // The cumulative count at a value. Buckets of infinite width cannot be interpolated: everything
  // in a bucket that reaches to -Inf lies below any value inside it, and nothing in one that
  // reaches to +Inf does.
  const auto rank_at = [merged](double value) {
    double edge = merged.front().upper_bound > 0 ? 0 : -kInfinity;
    double below = 0;
    for (const ClassicBucket& bucket : merged) {
      if (value <= edge) return below;
      if (value < bucket.upper_bound) {
        if (edge == -kInfinity) return bucket.count;
        if (bucket.upper_bound == kInfinity) return below;
        return below + ((bucket.count - below) * (value - edge) / (bucket.upper_bound - edge));
      }
      below = bucket.count;
      edge = bucket.upper_bound;
    }
    return below;
  };
  const double low = std::min(rank_at(lower), total);
  const double high = std::min(rank_at(upper), total);
  return (high - low) / total;
}

}  // namespace gantry::promql::kernels
