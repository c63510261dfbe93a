#include "promql/testing/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

using PlacedCount = std::pair<std::int64_t, double>;

std::vector<PlacedCount> non_empty(std::span<const telemetry::BucketSpan> spans,
                                   std::span<const double> counts) {
  std::vector<PlacedCount> result;
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const auto& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++position) {
      if (counts[position] != 0) result.emplace_back(index, counts[position]);
    }
  }
  return result;
}

bool are_buckets_equal(const std::vector<PlacedCount>& a, const std::vector<PlacedCount>& b) {
  return std::ranges::equal(a, b, [](const PlacedCount& x, const PlacedCount& y) {
    return x.first == y.first && is_almost_equal(x.second, y.second);
  });
}

}  // namespace

bool is_almost_equal(double a, double b) {
  if (telemetry::is_stale_nan(a) || telemetry::is_stale_nan(b)) {
    return telemetry::is_stale_nan(a) && telemetry::is_stale_nan(b);
  }
  if (std::isnan(a) && std::isnan(b)) return true;
  if (a == b) return true;
  constexpr double kEpsilon = 1e-6;
  constexpr double kSmallestNormal = std::numeric_limits<double>::min();
  const double difference = std::abs(a - b);
  const double magnitude = std::abs(a) + std::abs(b);
  if (a == 0 || b == 0 || magnitude < kSmallestNormal) {
    return difference < kEpsilon * kSmallestNormal;
  }
  return difference / std::min(magnitude, std::numeric_limits<double>::max()) < kEpsilon;
}

bool is_almost_equal(const telemetry::FloatHistogram& expected,
                     const telemetry::FloatHistogram& actual, HintRule hint_rule) {
  return expected.schema == actual.schema && expected.custom_values == actual.custom_values &&
         expected.zero_threshold == actual.zero_threshold &&
         is_almost_equal(expected.count, actual.count) &&
         is_almost_equal(expected.sum, actual.sum) &&
         is_almost_equal(expected.zero_count, actual.zero_count) &&
         are_buckets_equal(non_empty(expected.positive_spans, expected.positive_counts),
                           non_empty(actual.positive_spans, actual.positive_counts)) &&
         are_buckets_equal(non_empty(expected.negative_spans, expected.negative_counts),
                           non_empty(actual.negative_spans, actual.negative_counts)) &&
         (hint_rule == HintRule::Ignore || expected.hint == actual.hint);
}

}  // namespace gantry::promql::promqltest
