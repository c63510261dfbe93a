#include "promql/eval/histogram_values.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

namespace gantry::promql::eval {
namespace {

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

template <class Operation>
telemetry::FloatHistogram transformed(const telemetry::FloatHistogram& histogram,
                                      Operation operation) {
  telemetry::FloatHistogram result = histogram;
  result.count = operation(result.count);
  result.sum = operation(result.sum);
  result.zero_count = operation(result.zero_count);
  std::ranges::transform(result.positive_counts, result.positive_counts.begin(), operation);
  std::ranges::transform(result.negative_counts, result.negative_counts.begin(), operation);
  return result;
}

}  // namespace

bool equal_histograms(const telemetry::FloatHistogram& a, const telemetry::FloatHistogram& b) {
  return a.schema == b.schema && same_bits(a.zero_threshold, b.zero_threshold) &&
         same_bits(a.zero_count, b.zero_count) && same_bits(a.count, b.count) &&
         same_bits(a.sum, b.sum) && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans &&
         std::ranges::equal(a.positive_counts, b.positive_counts, same_bits) &&
         std::ranges::equal(a.negative_counts, b.negative_counts, same_bits) &&
         std::ranges::equal(a.custom_values, b.custom_values, same_bits);
}

HistogramPtr multiply_histogram(const telemetry::FloatHistogram& histogram, double factor) {
  telemetry::FloatHistogram result =
      transformed(histogram, [factor](double value) { return value * factor; });
  if (factor < 0) result.hint = telemetry::CounterResetHint::Gauge;
  return std::make_shared<const telemetry::FloatHistogram>(std::move(result));
}

HistogramPtr divide_histogram(const telemetry::FloatHistogram& histogram, double divisor) {
  telemetry::FloatHistogram result =
      transformed(histogram, [divisor](double value) { return value / divisor; });
  if (divisor == 0) {
    result.positive_spans.clear();
    result.negative_spans.clear();
    result.positive_counts.clear();
    result.negative_counts.clear();
  }
  if (divisor < 0) result.hint = telemetry::CounterResetHint::Gauge;
  return std::make_shared<const telemetry::FloatHistogram>(std::move(result));
}

}  // namespace gantry::promql::eval
