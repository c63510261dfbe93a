#include "promql/eval/transitions.h"

#include <cmath>

#include "promql/eval/histogram_values.h"
#include "promql/kernels/range_functions.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::eval {
namespace {

using HistogramPoint = SampleColumns::HistogramPoint;

bool is_changed(double previous, double current) {
  return previous != current && !(std::isnan(previous) && std::isnan(current));
}

/// A counter histogram that was declared or is seen to have started anew.
bool is_reset(const telemetry::FloatHistogram& previous, const telemetry::FloatHistogram& current) {
  if (current.hint == telemetry::CounterResetHint::Reset) return true;
  if (current.hint == telemetry::CounterResetHint::NotReset) return false;
  return current.count < previous.count;
}

bool shows(const MixedRun& run, Transition transition, const HistogramPoint& previous,
           const HistogramPoint& current) {
  if (transition == Transition::Change) {
    return !equal_histograms(*previous.histogram, *current.histogram);
  }
  const bool is_new_start =
      run.uses_start_timestamps &&
      kernels::is_start_time_reset(previous.start_timestamp_ms, previous.timestamp_ms,
                                   current.start_timestamp_ms, current.timestamp_ms);
  return is_new_start || is_reset(*previous.histogram, *current.histogram);
}

/// Of floats index - 1 and index.
bool shows(const MixedRun& run, Transition transition, std::uint32_t index) {
  const SampleColumns& columns = run.columns;
  if (transition == Transition::Change) {
    return is_changed(columns.values[index - 1], columns.values[index]);
  }
  const std::span<const std::int64_t> starts = run.uses_start_timestamps
                                                   ? std::span(columns.start_timestamps_ms)
                                                   : std::span<const std::int64_t>();
  return kernels::is_counter_reset(columns.timestamps_ms, columns.values, starts, index);
}

}  // namespace

double count_transitions(const MixedRun& run, Transition transition) {
  enum class Kind : std::uint8_t { None, Float, Histogram };
  const SampleColumns& columns = run.columns;
  std::uint32_t f = run.floats.begin;
  std::uint32_t h = run.histograms.begin;
  Kind previous = Kind::None;
  double count = 0;
  while (f < run.floats.end || h < run.histograms.end) {
    const bool is_float =
        h == run.histograms.end ||
        (f < run.floats.end && columns.timestamps_ms[f] < columns.histograms[h].timestamp_ms);
    const Kind current = is_float ? Kind::Float : Kind::Histogram;
    bool is_counted = false;
    if (previous != current) {
      is_counted = previous != Kind::None;
    } else if (is_float) {
      is_counted = shows(run, transition, f);
    } else {
      is_counted = shows(run, transition, columns.histograms[h - 1], columns.histograms[h]);
    }
    if (is_counted) ++count;
    previous = current;
    is_float ? ++f : ++h;
  }
  return count;
}

}  // namespace gantry::promql::eval
