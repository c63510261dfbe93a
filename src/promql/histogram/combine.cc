#include <algorithm>
#include <iterator>
#include <utility>

#include "promql/histogram/combine_internal.h"
#include "promql/kernels/sum.h"
#include "telemetry/bucket_bound.h"

namespace gantry::promql::histogram {
namespace {

using kernels::neumaier_add;
using telemetry::CounterResetHint;
using telemetry::exponential_bound;
using telemetry::FloatHistogram;

/// Adds the buckets of one side that lie, at least in part, below the threshold. It moves to the
/// outer end of a populated bucket that it falls into.
void absorb(const FloatHistogram& histogram, const Compensation* compensation, Side side,
            ZeroBucket& zero) {
  for (BucketCursor cursor(view(histogram, side)); cursor.next();) {
    if (exponential_bound(histogram.schema, cursor.index() - 1) >= zero.threshold) return;
    neumaier_add(cursor.count(), zero.count, zero.error);
    if (compensation != nullptr) {
      const std::vector<double>& errors =
          side == Side::Negative ? compensation->negative_counts : compensation->positive_counts;
      neumaier_add(errors[cursor.position()], zero.count, zero.error);
    }
    const double outer = exponential_bound(histogram.schema, cursor.index());
    if (outer <= zero.threshold) continue;
    if (cursor.count() != 0) zero.threshold = outer;
    return;
  }
}

/// Empties the buckets that the zero bucket has absorbed.
void clear_covered(FloatHistogram& histogram, Compensation* compensation, Side side) {
  MutableBuckets buckets = edit(histogram, compensation, side);
  for (BucketCursor cursor(view(histogram, side)); cursor.next();) {
    if (exponential_bound(histogram.schema, cursor.index() - 1) >= histogram.zero_threshold) break;
    buckets.counts[cursor.position()] = 0;
    if (buckets.compensation != nullptr) (*buckets.compensation)[cursor.position()] = 0;
  }
  compact(buckets);
}

/// Widens the zero bucket of `into` until it is as wide as that of `other`, which is returned,
/// widened too.
ZeroBucket reconcile_zero_buckets(FloatHistogram& into, Compensation* compensation,
                                  const FloatHistogram& other) {
  ZeroBucket theirs{.threshold = other.zero_threshold, .count = other.zero_count, .error = 0};
  // Not "while they differ": a NaN from outside would differ for ever.
  while (into.zero_threshold < theirs.threshold || into.zero_threshold > theirs.threshold) {
    if (into.zero_threshold > theirs.threshold) {
      theirs = widened_zero_bucket(other, nullptr, into.zero_threshold);
    }
    if (theirs.threshold > into.zero_threshold) {
      const ZeroBucket ours = widened_zero_bucket(into, compensation, theirs.threshold);
      into.zero_threshold = ours.threshold;
      into.zero_count = ours.count;
      if (compensation != nullptr) compensation->zero_count = ours.error;
      clear_covered(into, compensation, Side::Positive);
      clear_covered(into, compensation, Side::Negative);
    }
  }
  return theirs;
}

/// True if one says `reset` and the other `not_reset`.
bool combine_hints(CounterResetHint& into, CounterResetHint other) {
  if (into == other) return false;
  if (into == CounterResetHint::Gauge || other == CounterResetHint::Gauge) {
    into = CounterResetHint::Gauge;
    return false;
  }
  const bool is_conflict = into != CounterResetHint::Unknown && other != CounterResetHint::Unknown;
  into = CounterResetHint::Unknown;
  return is_conflict;
}

void add_value(double value, double& sum, double* error) {
  if (error == nullptr) {
    sum += value;
  } else {
    neumaier_add(value, sum, *error);
  }
}

void combine_side(FloatHistogram& into, Compensation* compensation, const FloatHistogram& other,
                  Side side, double sign) {
  const BucketsView buckets = view(other, side);
  if (buckets.counts.empty()) return;
  const MutableBuckets target = edit(into, compensation, side);
  // Those within the zero bucket are in its count already. They are told at their own schema: a
  // coarser bucket may reach out of it.
  const std::size_t covered = count_covered(other, buckets, into.zero_threshold);
  if (other.schema <= into.schema) {
    add_buckets(target, {.buckets = buckets, .compensation = {}, .sign = sign}, covered);
    return;
  }
  std::vector<telemetry::BucketSpan> spans(buckets.spans.begin(), buckets.spans.end());
  std::vector<double> counts(buckets.counts.begin(), buckets.counts.end());
  std::fill_n(counts.begin(), static_cast<std::ptrdiff_t>(covered), 0.0);
  std::vector<double> errors(compensation == nullptr ? 0 : counts.size());
  coarsen({.spans = spans,
           .counts = counts,
           .compensation = compensation == nullptr ? nullptr : &errors},
          other.schema - into.schema);
  const BucketsView coarse{.spans = spans, .counts = counts};
  add_buckets(target, {.buckets = coarse, .compensation = errors, .sign = sign}, 0);
}

void combine_exponential(FloatHistogram& into, Compensation* compensation,
                         const FloatHistogram& other, double sign) {
  const ZeroBucket theirs = reconcile_zero_buckets(into, compensation, other);
  double* const error = compensation == nullptr ? nullptr : &compensation->zero_count;
  add_value(sign * theirs.count, into.zero_count, error);
  if (error != nullptr) add_value(sign * theirs.error, into.zero_count, error);
  if (other.schema < into.schema) {
    const std::int32_t levels = into.schema - other.schema;
    coarsen(edit(into, compensation, Side::Positive), levels);
    coarsen(edit(into, compensation, Side::Negative), levels);
    into.schema = other.schema;
  }
  combine_side(into, compensation, other, Side::Positive, sign);
  combine_side(into, compensation, other, Side::Negative, sign);
}

/// False if the bounds differed.
bool combine_custom(FloatHistogram& into, Compensation* compensation, const FloatHistogram& other,
                    double sign) {
  if (into.custom_values == other.custom_values) {
    add_buckets(edit(into, compensation, Side::Positive),
                {.buckets = view(other, Side::Positive), .compensation = {}, .sign = sign}, 0);
    return true;
  }
  std::vector<double> bounds = common_bounds(into.custom_values, other.custom_values);
  FoldedBuckets folded(bounds);
  std::span<const double> errors;
  if (compensation != nullptr) errors = compensation->positive_counts;
  folded.add(into, errors, 1);
  folded.add(other, {}, sign);

  folded.write(edit(into, compensation, Side::Positive));
  into.custom_values = std::move(bounds);
  return false;
}

}  // namespace

Combination combine(FloatHistogram& into, Compensation* compensation, const FloatHistogram& other,
                    double sign) {
  if (into.uses_custom_buckets() != other.uses_custom_buckets()) return {.is_possible = false};
  Combination done;
  done.has_hint_conflict = combine_hints(into.hint, other.hint);
  add_value(sign * other.count, into.count,
            compensation == nullptr ? nullptr : &compensation->count);
  add_value(sign * other.sum, into.sum, compensation == nullptr ? nullptr : &compensation->sum);
  if (into.uses_custom_buckets()) {
    done.has_reconciled_bounds = !combine_custom(into, compensation, other, sign);
  } else {
    combine_exponential(into, compensation, other, sign);
  }
  return done;
}

std::size_t count_covered(const FloatHistogram& histogram, BucketsView buckets,
                          double zero_threshold) {
  std::size_t covered = 0;
  for (BucketCursor cursor(buckets);
       cursor.next() && exponential_bound(histogram.schema, cursor.index()) <= zero_threshold;) {
    ++covered;
  }
  return covered;
}

ZeroBucket widened_zero_bucket(const FloatHistogram& histogram, const Compensation* compensation,
                               double threshold) {
  while (true) {
    ZeroBucket zero{.threshold = threshold,
                    .count = histogram.zero_count,
                    .error = compensation == nullptr ? 0 : compensation->zero_count};
    if (threshold == histogram.zero_threshold) return zero;
    absorb(histogram, compensation, Side::Positive, zero);
    const double behind_positive = zero.threshold;
    absorb(histogram, compensation, Side::Negative, zero);
    if (!(zero.threshold > behind_positive)) return zero;
    // A negative bucket moved the threshold: there may be more positive ones below it now.
    threshold = zero.threshold;
  }
}

std::vector<double> common_bounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> common;
  std::ranges::set_intersection(a, b, std::back_inserter(common));
  return common;
}

void FoldedBuckets::add(const FloatHistogram& histogram, std::span<const double> errors,
                        double sign) {
  std::size_t target = 0;
  for (BucketCursor cursor(view(histogram, Side::Positive)); cursor.next();) {
    const double upper = bounds_of(histogram, Side::Positive, cursor.index()).upper;
    while (target < bounds_.size() && bounds_[target] < upper) ++target;
    neumaier_add(sign * cursor.count(), counts_[target], errors_[target]);
    if (!errors.empty()) {
      neumaier_add(errors[cursor.position()], counts_[target], errors_[target]);
    }
  }
}

void FoldedBuckets::write(MutableBuckets into) const {
  into.spans.clear();
  into.counts.clear();
  if (into.compensation != nullptr) into.compensation->clear();
  std::int64_t last = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const bool has_error = into.compensation != nullptr && errors_[i] != 0;
    if (counts_[i] == 0 && !has_error) continue;
    const auto index = static_cast<std::int64_t>(i);
    append_bucket(into.spans, last, index);
    last = index;
    into.counts.push_back(counts_[i]);
    if (into.compensation != nullptr) into.compensation->push_back(errors_[i]);
  }
}

}  // namespace gantry::promql::histogram
