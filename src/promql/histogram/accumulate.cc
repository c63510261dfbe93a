#include "promql/histogram/accumulate.h"

#include <algorithm>
#include <cmath>

namespace gantry::promql::histogram {
namespace {

using telemetry::FloatHistogram;

/// Of everything that an addition may add up. NaN and infinities stay what they are.
double magnitude_of(const FloatHistogram& histogram) {
  double magnitude =
      std::abs(histogram.count) + std::abs(histogram.sum) + std::abs(histogram.zero_count);
  for (const double count : histogram.positive_counts) magnitude += std::abs(count);
  for (const double count : histogram.negative_counts) magnitude += std::abs(count);
  return magnitude;
}

}  // namespace

void Accumulation::note(const Combination& addition) {
  notes_.is_possible = notes_.is_possible && addition.is_possible;
  notes_.has_reconciled_bounds = notes_.has_reconciled_bounds || addition.has_reconciled_bounds;
  notes_.has_hint_conflict = hints_.has_reset && hints_.has_not_reset;
}

void Total::add(const FloatHistogram& histogram) {
  hints_.see(histogram.hint);
  Combination done;
  if (count_ == 0) {
    sum_ = CompensatedHistogram(histogram);
  } else if (notes_.is_possible) {
    done = sum_.add(histogram);
  }
  ++count_;
  note(done);
}

void Total::merge(const Total& other) {
  if (other.is_empty()) return;
  if (is_empty()) {
    *this = other;
    return;
  }
  hints_.see(other.hints_);
  Combination done;
  if (notes_.is_possible && other.notes_.is_possible) done = sum_.add(other.sum_);
  count_ += other.count_;
  note(done);
  note(other.notes_);
}

FloatHistogram Total::result() const {
  return sum_.result();
}

template <class Addend>
bool Mean::add_directly(const Addend& addend, double magnitude) {
  // Far enough from overflow that rounding does not matter: no need to try it out on a copy.
  constexpr double kSafe = 1e300;
  if (magnitude_ + magnitude < kSafe) {
    magnitude_ += magnitude;
    note(sum_.add(addend));
    return true;
  }
  CompensatedHistogram attempt = sum_;
  note(attempt.add(addend));
  if (notes_.is_possible && attempt.has_overflow()) return false;
  magnitude_ += magnitude;
  sum_ = std::move(attempt);
  return true;
}

void Mean::make_incremental() {
  if (is_incremental_) return;
  is_incremental_ = true;
  sum_.divide(static_cast<double>(count_));
}

void Mean::add(const FloatHistogram& histogram) {
  const double magnitude = magnitude_of(histogram);
  if (!is_empty() && notes_.is_possible && !is_incremental_) {
    hints_.see(histogram.hint);
    if (add_directly(histogram, magnitude)) {
      ++count_;
      return;
    }
  }
  Mean one;
  one.sum_ = CompensatedHistogram(histogram);
  one.magnitude_ = magnitude;
  one.count_ = 1;
  one.hints_.see(histogram.hint);
  merge(one);
}

void Mean::merge(const Mean& other) {
  if (other.is_empty()) return;
  if (is_empty()) {
    *this = other;
    return;
  }
  hints_.see(other.hints_);
  note(other.notes_);
  const bool is_direct = !is_incremental_ && !other.is_incremental_;
  if (notes_.is_possible && !(is_direct && add_directly(other.sum_, other.magnitude_))) {
    make_incremental();
    Mean theirs = other;
    theirs.make_incremental();
    const auto mine = static_cast<double>(count_);
    const auto count = static_cast<double>(count_ + other.count_);
    sum_.multiply(mine / count);
    if (other.count_ == 1) {
      theirs.sum_.divide(count);
    } else {
      theirs.sum_.multiply(static_cast<double>(other.count_) / count);
    }
    note(sum_.add(theirs.sum_));
  }
  count_ += other.count_;
}

FloatHistogram Mean::result() const {
  CompensatedHistogram mean = sum_;
  if (!is_incremental_) mean.divide(static_cast<double>(count_));
  return mean.result();
}

}  // namespace gantry::promql::histogram
