#include "promql/testing/histogram_chunks.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

constexpr int kSamplesPerChunkMax = 120;

std::map<std::int32_t, double> counts_by_index(std::span<const telemetry::BucketSpan> spans,
                                               std::span<const double> counts) {
  std::map<std::int32_t, double> result;
  std::int32_t index = 0;
  std::size_t position = 0;
  for (const auto& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i) result[index++] = counts[position++];
  }
  return result;
}

bool has_decrease(const std::map<std::int32_t, double>& previous,
                  const std::map<std::int32_t, double>& current) {
  for (const auto& [index, count] : previous) {
    const auto found = current.find(index);
    if (count > (found == current.end() ? 0 : found->second)) return true;
  }
  return false;
}

bool is_reset(const FloatHistogram& previous, const FloatHistogram& current) {
  return current.hint == CounterResetHint::Reset || current.count < previous.count ||
         current.zero_count < previous.zero_count ||
         has_decrease(counts_by_index(previous.positive_spans, previous.positive_counts),
                      counts_by_index(current.positive_spans, current.positive_counts)) ||
         has_decrease(counts_by_index(previous.negative_spans, previous.negative_counts),
                      counts_by_index(current.negative_spans, current.negative_counts));
}

bool continues(const FloatHistogram& previous, const FloatHistogram& current) {
  if (telemetry::is_stale_nan(current.sum)) return true;
  if (telemetry::is_stale_nan(previous.sum)) return false;
  const bool is_gauge = current.hint == CounterResetHint::Gauge;
  if (is_gauge != (previous.hint == CounterResetHint::Gauge)) return false;
  if (current.schema != previous.schema || current.zero_threshold != previous.zero_threshold ||
      current.custom_values != previous.custom_values) {
    return false;
  }
  return is_gauge || !is_reset(previous, current);
}

}  // namespace

CounterResetHint HistogramChunks::next(const FloatHistogram& histogram) {
  const bool is_first =
      !previous_ || count_ == kSamplesPerChunkMax || !continues(*previous_, histogram);
  count_ = is_first ? 1 : count_ + 1;
  previous_ = histogram;
  if (histogram.hint == CounterResetHint::Gauge) return CounterResetHint::Gauge;
  return is_first ? CounterResetHint::Unknown : CounterResetHint::NotReset;
}

}  // namespace gantry::promql::promqltest
