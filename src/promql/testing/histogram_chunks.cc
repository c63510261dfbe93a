#include "promql/testing/histogram_chunks.h"

#include "promql/histogram/arithmetic.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

constexpr int kSamplesPerChunkMax = 120;

/// A store looks for itself unless it is told of a reset: that there was none it does not believe.
bool is_reset(const FloatHistogram& previous, FloatHistogram current) {
  if (current.hint == CounterResetHint::NotReset) current.hint = CounterResetHint::Unknown;
  return histogram::is_counter_reset(current, previous);
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
