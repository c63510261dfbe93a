#include "promql/histogram/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "promql/histogram/interpolation_internal.h"
#include "promql/histogram/ordered_cursor_internal.h"
#include "promql/kernels/sum.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::FloatHistogram;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// The bucket that a quantile falls into.
struct Hit {
  Bounds bucket;
  double count = 0;  ///< Of the bucket.
  double total = 0;  ///< Of this bucket and those that were walked before it.
};

/// The first populated bucket at which the total reaches `rank`, else the last bucket.
Hit find_bucket(OrderedCursor& cursor, double rank) {
  Hit hit;
  while (cursor.next()) {
    hit.count = cursor.count();
    hit.bucket = cursor.bounds();
    if (hit.count == 0) continue;
    hit.total += hit.count;
    if (hit.total >= rank) break;
  }
  return hit;
}

/// The zero bucket of a histogram without negative buckets starts at 0, without positive ones it
/// ends there.
Bounds natural_zero_bucket(const FloatHistogram& histogram, Bounds bucket) {
  const bool has_negative = !histogram.negative_counts.empty();
  const bool has_positive = !histogram.positive_counts.empty();
  if (!has_negative && has_positive) bucket.lower = 0;
  if (!has_positive && has_negative) bucket.upper = 0;
  return bucket;
}

double value_at(const FloatHistogram& histogram, Bounds bucket, double fraction) {
  if (histogram.uses_custom_buckets() || (bucket.lower <= 0 && bucket.upper >= 0)) {
    return bucket.lower + (bucket.upper - bucket.lower) * fraction;
  }
  const double lower = std::log2(std::abs(bucket.lower));
  const double upper = std::log2(std::abs(bucket.upper));
  if (bucket.lower > 0) return std::exp2(lower + (upper - lower) * fraction);
  return -std::exp2(upper + (lower - upper) * (1 - fraction));
}

/// How many observations are below a value.
class RankFinder {
 public:
  explicit RankFinder(double value) : value_(value) {}

  [[nodiscard]] bool is_found() const { return is_found_; }

  /// Buckets in ascending order. `below`: what those before this one hold.
  void visit(Bounds bucket, double count, double below, Spread spread) {
    if (is_found_) return;
    if (bucket.lower >= value_) {
      rank_ = below;
      is_found_ = true;
    } else if (bucket.upper > value_) {
      rank_ = rank_within(bucket, count, below, spread);
      is_found_ = true;
    }
  }

  /// Not more than the total, which is also the rank of what no bucket reaches.
  [[nodiscard]] double rank(double total) const {
    return !is_found_ || rank_ > total ? total : rank_;
  }

 private:
  [[nodiscard]] double rank_within(Bounds bucket, double count, double below, Spread spread) const {
    // Nothing is known of where observations lie in a bucket without a lower end.
    if (spread == Spread::Linear && bucket.lower == -kInfinity) return count;
    return below + count * fraction_below(bucket, value_, spread);
  }

  double value_;
  double rank_ = 0;
  bool is_found_ = false;
};

}  // namespace

Quantile quantile(double phi, const FloatHistogram& histogram) {
  if (phi < 0) return {.value = -kInfinity};
  if (phi > 1) return {.value = kInfinity};
  if (histogram.count == 0 || std::isnan(phi)) return {.value = kNan};
  // From the nearer end, for precision. But observations of NaN are in no bucket, so that only
  // ranks from below can be trusted where there may be some.
  const bool may_have_nan = std::isnan(histogram.sum);
  const bool is_ascending = may_have_nan || phi < 0.5;
  OrderedCursor cursor(histogram, is_ascending ? Order::Ascending : Order::Descending);
  const double rank = (is_ascending ? phi : 1 - phi) * histogram.count;
  Hit hit = find_bucket(cursor, rank);
  if (histogram.uses_custom_buckets()) {
    if (hit.bucket.lower == -kInfinity) {
      if (hit.bucket.upper <= 0) return {.value = hit.bucket.upper};
      hit.bucket.lower = 0;
    } else if (hit.bucket.upper == kInfinity) {
      return {.value = hit.bucket.lower};
    }
  } else if (hit.bucket.lower < 0 && hit.bucket.upper > 0) {
    hit.bucket = natural_zero_bucket(histogram, hit.bucket);
  }
  // Rounding may make the buckets hold more than the count.
  hit.total = std::min(hit.total, histogram.count);
  if (hit.total < rank) {
    if (may_have_nan) return {.value = kNan, .nan_effect = NanEffect::ResultIsNan};
    return {.value = hit.bucket.upper};
  }
  Quantile result;
  if (may_have_nan) {
    double total = hit.total;
    while (cursor.next()) total += cursor.count();
    // Else the sum is NaN because there were both infinities.
    if (total < histogram.count) result.nan_effect = NanEffect::SkewedHigher;
  }
  const double rank_in_bucket = is_ascending ? rank - (hit.total - hit.count) : hit.total - rank;
  result.value = value_at(histogram, hit.bucket, rank_in_bucket / hit.count);
  return result;
}

Fraction fraction(double lower, double upper, const FloatHistogram& histogram) {
  if (histogram.count == 0 || std::isnan(lower) || std::isnan(upper)) return {.value = kNan};
  if (lower >= upper) return {};
  RankFinder from(lower);
  RankFinder to(upper);
  double below = 0;
  OrderedCursor cursor(histogram, Order::Ascending);
  while (cursor.next()) {
    Bounds bucket = cursor.bounds();
    Spread spread = histogram.uses_custom_buckets() ? Spread::Linear : Spread::Logarithmic;
    if (bucket.lower <= 0 && bucket.upper >= 0) {
      bucket = natural_zero_bucket(histogram, bucket);
      spread = Spread::Linear;
    }
    from.visit(bucket, cursor.count(), below, spread);
    to.visit(bucket, cursor.count(), below, spread);
    below += cursor.count();
    if (from.is_found() && to.is_found()) break;
  }
  Fraction result;
  double total = histogram.count;
  if (std::isnan(histogram.sum)) {
    total = below;
    while (cursor.next()) total += cursor.count();
    result.excludes_nan = total < histogram.count;
  }
  result.value = (to.rank(total) - from.rank(total)) / histogram.count;
  return result;
}

double variance(const FloatHistogram& histogram) {
  const double mean = histogram.sum / histogram.count;
  kernels::NeumaierSum squares;
  for (OrderedCursor cursor(histogram, Order::Ascending); cursor.next();) {
    if (cursor.count() == 0) continue;
    const Bounds bucket = cursor.bounds();
    double value = 0;
    if (histogram.uses_custom_buckets()) {
      value = (bucket.upper + bucket.lower) / 2;
    } else if (bucket.lower > 0 || bucket.upper < 0) {
      value = std::sqrt(bucket.upper * bucket.lower);
      if (bucket.upper < 0) value = -value;
    }
    const double deviation = value - mean;
    squares.add(cursor.count() * deviation * deviation);
  }
  return squares.result() / histogram.count;
}

}  // namespace gantry::promql::histogram
