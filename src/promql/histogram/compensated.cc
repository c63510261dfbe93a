#include "promql/histogram/compensated.h"

#include <algorithm>
#include <cmath>

#include "promql/histogram/buckets_internal.h"
#include "promql/histogram/combine_internal.h"
#include "promql/histogram/size.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::FloatHistogram;

/// Works on histograms and compensations.
template <class Numbers, class Operation>
void for_each_number(Numbers& numbers, Operation operation) {
  operation(numbers.count);
  operation(numbers.sum);
  operation(numbers.zero_count);
  std::ranges::for_each(numbers.positive_counts, operation);
  std::ranges::for_each(numbers.negative_counts, operation);
}

void add_errors(FloatHistogram& histogram, const std::vector<double>& errors, Side side) {
  const MutableBuckets buckets = edit(histogram, nullptr, side);
  const BucketsView view{.spans = buckets.spans, .counts = errors};
  const std::size_t covered = histogram.uses_custom_buckets()
                                  ? 0
                                  : count_covered(histogram, view, histogram.zero_threshold);
  add_buckets(buckets, {.buckets = view, .compensation = {}, .sign = 1}, covered);
}

}  // namespace

Combination CompensatedHistogram::add(const FloatHistogram& histogram) {
  if (sum_.uses_custom_buckets() != histogram.uses_custom_buckets()) return {.is_possible = false};
  if (!compensation_) {
    compensation_.emplace();
    compensation_->positive_counts.resize(sum_.positive_counts.size());
    compensation_->negative_counts.resize(sum_.negative_counts.size());
  }
  return combine(sum_, &*compensation_, histogram, 1);
}

Combination CompensatedHistogram::add(const CompensatedHistogram& other) {
  const Combination done = add(other.sum_);
  if (!done.is_possible || !other.compensation_) return done;
  FloatHistogram errors = other.sum_;
  errors.zero_count = other.compensation_->zero_count;
  errors.count = other.compensation_->count;
  errors.sum = other.compensation_->sum;
  errors.positive_counts = other.compensation_->positive_counts;
  errors.negative_counts = other.compensation_->negative_counts;
  static_cast<void>(add(errors));  // Possible and noted, as that of its sum.
  return done;
}

void CompensatedHistogram::multiply(double factor) {
  const auto scale = [factor](double& number) { number *= factor; };
  for_each_number(sum_, scale);
  if (compensation_) for_each_number(*compensation_, scale);
}

void CompensatedHistogram::divide(double divisor) {
  const auto scale = [divisor](double& number) { number /= divisor; };
  for_each_number(sum_, scale);
  if (compensation_) for_each_number(*compensation_, scale);
}

bool CompensatedHistogram::has_overflow() const {
  bool is_found = false;
  for_each_number(sum_, [&](double number) { is_found = is_found || std::isinf(number); });
  return is_found;
}

std::uint64_t CompensatedHistogram::size_bytes() const {
  const std::uint64_t sum = histogram::size_bytes(sum_);
  if (!compensation_) return sum;
  return sum + sizeof(Compensation) +
         (sum_.positive_counts.size() + sum_.negative_counts.size()) * sizeof(double);
}

FloatHistogram CompensatedHistogram::result() const {
  FloatHistogram result = sum_;
  if (compensation_) {
    result.count += compensation_->count;
    result.sum += compensation_->sum;
    result.zero_count += compensation_->zero_count;
    add_errors(result, compensation_->positive_counts, Side::Positive);
    add_errors(result, compensation_->negative_counts, Side::Negative);
  }
  compact(result);
  return result;
}

}  // namespace gantry::promql::histogram
