#include "promql/eval/transitions.h"

#include <cmath>
#include <cstddef>
#include <span>

#include "promql/histogram/arithmetic.h"
#include "promql/kernels/range_functions.h"
#include "promql/kernels/start_times.h"

namespace gantry::promql::eval {
namespace {

/// Says of neighbours of one kind whether the transition lies between them.
class Detector {
 public:
  Detector(const SampleColumns& columns, Transition transition, StartTimes starts)
      : columns_(columns), transition_(transition), starts_(starts) {}

  /// Between floats index - 1 and index.
  [[nodiscard]] bool of_floats(std::size_t index) const {
    const double previous = columns_.values[index - 1];
    const double current = columns_.values[index];
    if (transition_ == Transition::Change) {
      return previous != current && !(std::isnan(previous) && std::isnan(current));
    }
    const std::span<const std::int64_t> starts = starts_ == StartTimes::Used
                                                     ? std::span(columns_.start_timestamps_ms)
                                                     : std::span<const std::int64_t>();
    return kernels::is_counter_reset(columns_.timestamps_ms, columns_.values, starts, index);
  }

  [[nodiscard]] bool of_histograms(std::size_t index) const {
    const SampleColumns::HistogramPoint& previous = columns_.histograms[index - 1];
    const SampleColumns::HistogramPoint& current = columns_.histograms[index];
    if (transition_ == Transition::Change) {
      return !histogram::equals(*current.histogram, *previous.histogram);
    }
    const bool is_started_anew =
        starts_ == StartTimes::Used &&
        kernels::is_start_time_reset(
            {.start_ms = previous.start_timestamp_ms, .time_ms = previous.timestamp_ms},
            {.start_ms = current.start_timestamp_ms, .time_ms = current.timestamp_ms});
    return is_started_anew || histogram::is_counter_reset(*current.histogram, *previous.histogram);
  }

 private:
  const SampleColumns& columns_;
  Transition transition_;
  StartTimes starts_;
};

}  // namespace

Transitions::Transitions(const SampleColumns& columns, Transition transition, StartTimes starts) {
  enum class Kind : std::uint8_t { None, Float, Histogram };
  const Detector detector(columns, transition, starts);
  const std::size_t float_count = columns.values.size();
  const std::size_t histogram_count = columns.histograms.size();
  up_to_.reserve(float_count + histogram_count);
  std::size_t f = 0;
  std::size_t h = 0;
  std::uint32_t count = 0;
  Kind previous = Kind::None;
  while (f < float_count || h < histogram_count) {
    const bool is_float =
        h == histogram_count ||
        (f < float_count && columns.timestamps_ms[f] < columns.histograms[h].timestamp_ms);
    const Kind current = is_float ? Kind::Float : Kind::Histogram;
    if (previous == current) {
      count +=
          static_cast<std::uint32_t>(is_float ? detector.of_floats(f) : detector.of_histograms(h));
    } else if (previous != Kind::None) {
      ++count;
    }
    up_to_.push_back(count);
    previous = current;
    is_float ? ++f : ++h;
  }
}

double Transitions::count(kernels::Window floats, kernels::Window histograms) const {
  const std::size_t size = std::size_t{floats.size()} + histograms.size();
  if (size == 0) return 0;
  const std::size_t first = std::size_t{floats.begin} + histograms.begin;
  return static_cast<double>(up_to_[first + size - 1] - up_to_[first]);
}

}  // namespace gantry::promql::eval
