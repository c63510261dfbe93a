#include "promql/histogram/arithmetic.h"

#include <algorithm>
#include <bit>

#include "core/error.h"
#include "promql/histogram/buckets_internal.h"
#include "promql/histogram/combine_internal.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

/// The same buckets, however they are cut into spans, with the same counts.
bool same_buckets(BucketsView a, BucketsView b) {
  if (!std::ranges::equal(a.counts, b.counts, same_bits)) return false;
  if (std::ranges::equal(a.spans, b.spans)) return true;
  BucketCursor left(a);
  BucketCursor right(b);
  while (left.next()) {
    if (!right.next() || left.index() != right.index()) return false;
  }
  return !right.next();
}

template <class Operation>
void for_each_number(FloatHistogram& histogram, Operation operation) {
  operation(histogram.count);
  operation(histogram.sum);
  operation(histogram.zero_count);
  std::ranges::for_each(histogram.positive_counts, operation);
  std::ranges::for_each(histogram.negative_counts, operation);
}

}  // namespace

Combination add(FloatHistogram& into, const FloatHistogram& other) {
  return combine(into, nullptr, other, 1);
}

Combination subtract(FloatHistogram& from, const FloatHistogram& other) {
  return combine(from, nullptr, other, -1);
}

void multiply(FloatHistogram& histogram, double factor) {
  for_each_number(histogram, [factor](double& value) { value *= factor; });
  if (factor < 0) histogram.hint = CounterResetHint::Gauge;
}

void divide(FloatHistogram& histogram, double divisor) {
  for_each_number(histogram, [divisor](double& value) { value /= divisor; });
  if (divisor < 0) histogram.hint = CounterResetHint::Gauge;
  if (divisor != 0) return;
  histogram.positive_spans.clear();
  histogram.negative_spans.clear();
  histogram.positive_counts.clear();
  histogram.negative_counts.clear();
}

bool equals(const FloatHistogram& a, const FloatHistogram& b) {
  return a.schema == b.schema && same_bits(a.count, b.count) && same_bits(a.sum, b.sum) &&
         a.zero_threshold == b.zero_threshold && same_bits(a.zero_count, b.zero_count) &&
         (!a.uses_custom_buckets() || a.custom_values == b.custom_values) &&
         same_buckets(view(a, Side::Negative), view(b, Side::Negative)) &&
         same_buckets(view(a, Side::Positive), view(b, Side::Positive));
}

void compact(FloatHistogram& histogram) {
  compact(edit(histogram, nullptr, Side::Positive));
  compact(edit(histogram, nullptr, Side::Negative));
}

void reduce_resolution(FloatHistogram& histogram, std::int32_t schema) {
  GANTRY_DEBUG_ASSERT(!histogram.uses_custom_buckets() && schema <= histogram.schema,
                      "only exponential buckets merge, and they do not split");
  if (schema == histogram.schema) return;
  const std::int32_t levels = histogram.schema - schema;
  coarsen(edit(histogram, nullptr, Side::Positive), levels);
  coarsen(edit(histogram, nullptr, Side::Negative), levels);
  histogram.schema = schema;
}

}  // namespace gantry::promql::histogram
