#include <cmath>

#include "promql/histogram/arithmetic.h"
#include "promql/histogram/buckets_internal.h"
#include "promql/histogram/interpolation_internal.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::FloatHistogram;

/// What is left of a bucket, and the value its observations are taken to have.
struct Kept {
  double count = 0;
  double midpoint = 0;
};

class Trimmer {
 public:
  Trimmer(FloatHistogram& histogram, double bound, TrimSide side)
      : histogram_(histogram),
        bound_(bound),
        side_(side),
        spread_(histogram.uses_custom_buckets() ? Spread::Linear : Spread::Logarithmic) {}

  void run() {
    const bool has_positive = trim_buckets(Side::Positive);
    const bool has_negative = trim_buckets(Side::Negative);
    if (histogram_.zero_count > 0) trim_zero_bucket(has_positive, has_negative);
    if (!is_changed_) return;
    histogram_.count = count_;
    histogram_.sum = sum_;
    compact(histogram_);
  }

 private:
  /// True if any of the buckets was populated.
  bool trim_buckets(Side side) {
    std::vector<double>& counts = edit(histogram_, nullptr, side).counts;
    bool is_populated = false;
    for (BucketCursor cursor(view(histogram_, side)); cursor.next();) {
      if (cursor.count() == 0) continue;
      is_populated = true;
      const Bounds bucket = bounds_of(histogram_, side, cursor.index());
      take(keep(bucket, cursor.count(), side), counts[cursor.position()]);
    }
    return is_populated;
  }

  void take(const Kept& kept, double& count) {
    count_ += kept.count;
    sum_ += kept.midpoint * kept.count;
    if (count == kept.count) return;
    count = kept.count;
    is_changed_ = true;
  }

  [[nodiscard]] Kept keep(Bounds bucket, double count, Side side) const {
    const bool keeps_below = side_ == TrimSide::KeepBelow;
    if (keeps_below ? bucket.upper <= bound_ : bucket.lower >= bound_) {
      return {.count = count, .midpoint = midpoint(bucket, side)};
    }
    const bool is_split = keeps_below ? bucket.lower < bound_ : bucket.upper > bound_;
    if (!is_split) return {};
    if (std::isinf(bucket.lower) || std::isinf(bucket.upper)) {
      return split_infinite(bucket, count);
    }
    const double below = count * fraction_below(bucket, bound_, spread_);
    if (keeps_below) {
      return {.count = below, .midpoint = midpoint({.lower = bucket.lower, .upper = bound_}, side)};
    }
    return {.count = count - below,
            .midpoint = midpoint({.lower = bound_, .upper = bucket.upper}, side)};
  }

  /// How observations lie in an infinite bucket is unknown, so it is kept or dropped as a whole;
  /// but the lowest custom bucket starts at 0 if it ends above.
  [[nodiscard]] Kept split_infinite(Bounds bucket, double count) const {
    if (!std::isinf(bucket.lower)) {
      if (side_ == TrimSide::KeepBelow) return {};
      return {.count = count, .midpoint = bound_};
    }
    const bool starts_at_zero = bucket.upper > 0 && !std::isinf(bucket.upper);
    if (side_ == TrimSide::KeepBelow) {
      if (bound_ > 0 && starts_at_zero) {
        return {.count = count * bound_ / bucket.upper, .midpoint = bound_ / 2};
      }
      if (bucket.upper <= 0) return {.count = count, .midpoint = bound_};
      return {};
    }
    if (bound_ >= 0 && starts_at_zero) {
      return {.count = count * (1 - bound_ / bucket.upper),
              .midpoint = (bound_ + bucket.upper) / 2};
    }
    return {};
  }

  /// Arithmetic or geometric. Of an infinite bucket its finite bound, or half of it where the
  /// bucket starts at 0.
  [[nodiscard]] double midpoint(Bounds bucket, Side side) const {
    if (std::isinf(bucket.lower)) {
      if (std::isinf(bucket.upper)) return 0;
      return bucket.upper > 0 ? bucket.upper / 2 : bucket.upper;
    }
    if (std::isinf(bucket.upper)) return bucket.lower;
    if (spread_ == Spread::Linear) return (bucket.lower + bucket.upper) / 2;
    const double mean = std::sqrt(std::abs(bucket.lower * bucket.upper));
    return side == Side::Positive ? mean : -mean;
  }

  void trim_zero_bucket(bool has_positive, bool has_negative) {
    // The side without observations has none in the zero bucket either.
    const double lower = has_positive && !has_negative ? 0 : -histogram_.zero_threshold;
    const double upper = has_negative && !has_positive ? 0 : histogram_.zero_threshold;
    const bool keeps_below = side_ == TrimSide::KeepBelow;
    const double count = histogram_.zero_count;
    Kept kept;
    if (bound_ <= lower) {
      if (!keeps_below) kept = {.count = count, .midpoint = (lower + upper) / 2};
    } else if (bound_ >= upper) {
      if (keeps_below) kept = {.count = count, .midpoint = (lower + upper) / 2};
    } else if (keeps_below) {
      kept = {.count = count * ((bound_ - lower) / (upper - lower)),
              .midpoint = (lower + bound_) / 2};
    } else {
      kept = {.count = count * ((upper - bound_) / (upper - lower)),
              .midpoint = (bound_ + upper) / 2};
    }
    take(kept, histogram_.zero_count);
  }

  FloatHistogram& histogram_;
  double bound_;
  TrimSide side_;
  Spread spread_;
  double count_ = 0;
  double sum_ = 0;
  bool is_changed_ = false;
};

}  // namespace

void trim(FloatHistogram& histogram, double bound, TrimSide side) {
  Trimmer(histogram, bound, side).run();
}

}  // namespace gantry::promql::histogram
