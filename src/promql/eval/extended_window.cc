#include "promql/eval/extended_window.h"

#include <algorithm>
#include <string>
#include <utility>

#include "promql/histogram/arithmetic.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using HistogramPoint = SampleColumns::HistogramPoint;
using HistogramPoints = std::span<const HistogramPoint>;

/// Turns what an operation had to do into annotations; false if it was impossible. Conflicting
/// hints are of no interest: resets are looked for one by one.
bool report(const histogram::Combination& combination, std::string_view operation,
            const HistogramNotes& notes) {
  if (!combination.is_possible) {
    warn_mixed_schemas(notes);
    return false;
  }
  if (combination.has_reconciled_bounds) {
    notes.annotations.info(
        "mismatched custom buckets were reconciled during " + std::string(operation),
        notes.position);
  }
  return true;
}

bool add(FloatHistogram& into, const FloatHistogram& other, const HistogramNotes& notes) {
  return report(histogram::add(into, other), "addition", notes);
}

bool subtract(FloatHistogram& from, const FloatHistogram& other, const HistogramNotes& notes) {
  return report(histogram::subtract(from, other), "subtraction", notes);
}

/// Whether the histograms of a window can be told apart by subtraction; says which are gauges.
bool check_window(HistogramPoints histograms, bool is_counter, const HistogramNotes& notes) {
  const bool uses_custom_buckets = histograms[0].histogram->uses_custom_buckets();
  for (const HistogramPoint& point : histograms) {
    if (point.histogram->uses_custom_buckets() != uses_custom_buckets) {
      warn_mixed_schemas(notes);
      return false;
    }
    if (is_counter && point.histogram->hint == CounterResetHint::Gauge) {
      notes.annotations.warn(
          with_quoted("this native histogram metric is not a counter:", notes.metric_name),
          notes.position);
    }
  }
  return true;
}

/// What a counter lost at resets inside the range.
struct Loss {
  bool is_known = true;                ///< False: there were histograms that cannot be added.
  std::optional<FloatHistogram> lost;  ///< Absent: there was no reset.
};

struct HistogramEnds {
  FloatHistogram left;
  FloatHistogram right;
};

Loss find_loss(HistogramPoints histograms, const ExtendedRange& range, ExtendedWindow window,
               const HistogramEnds& ends, const HistogramNotes& notes) {
  // `left` stands for the first sample and `right`, which has its hint, for the last.
  std::uint32_t begin = window.first + 1;
  const FloatHistogram* previous = &ends.left;
  if (range.is_smoothed() && histograms[window.first].timestamp_ms < range.start_ms &&
      histogram::is_counter_reset(*histograms[begin].histogram,
                                  *histograms[window.first].histogram)) {
    // The start of the range was interpolated across that reset, which is thereby accounted for.
    previous = histograms[begin].histogram.get();
    ++begin;
  }
  Loss loss;
  if (begin > window.last) return loss;
  const auto look_at = [&](const FloatHistogram& current) {
    if (!histogram::is_counter_reset(current, *previous)) return true;
    if (loss.lost) return add(*loss.lost, *previous, notes);
    loss.lost = *previous;
    return true;
  };
  for (std::uint32_t i = begin; i < window.last; ++i) {
    const FloatHistogram& current = *histograms[i].histogram;
    if (!look_at(current)) return {.is_known = false, .lost = {}};
    previous = &current;
  }
  if (!look_at(ends.right)) return {.is_known = false, .lost = {}};
  return loss;
}

}  // namespace

void warn_mixed_schemas(const HistogramNotes& notes) {
  notes.annotations.warn(with_quoted("vector contains a mix of histograms with exponential and "
                                     "custom buckets schemas for metric name",
                                     notes.metric_name),
                         notes.position);
}

std::optional<ExtendedWindow> find_extended_window(std::span<const std::int64_t> timestamps_ms,
                                                   const ExtendedRange& range, Window around,
                                                   Window inside) {
  if (around.size() == 0 || inside.begin >= around.end) return std::nullopt;
  ExtendedWindow window{
      .first = inside.begin > around.begin ? inside.begin - 1 : around.begin,
      .last = around.end - 1,
  };
  if (range.is_smoothed()) {
    const bool has_end = inside.end > around.begin && timestamps_ms[inside.end - 1] == range.end_ms;
    window.last = has_end ? inside.end - 1 : std::min(inside.end, around.end - 1);
  }
  return window;
}

double interpolate(FloatPoint from, FloatPoint to, std::int64_t time_ms, bool is_counter) {
  const double start = is_counter && to.value < from.value ? 0 : from.value;
  return start + ((to.value - start) * static_cast<double>(time_ms - from.timestamp_ms) /
                  static_cast<double>(to.timestamp_ms - from.timestamp_ms));
}

EndValues find_end_values(const FloatColumns& floats, const ExtendedRange& range,
                          ExtendedWindow window, bool is_counter) {
  EndValues ends{.left = floats.values[window.first], .right = floats.values[window.last]};
  if (!range.is_smoothed()) return ends;
  if (floats.timestamps_ms[window.first] < range.start_ms) {
    ends.left = interpolate(floats.at(window.first), floats.at(window.first + std::size_t{1}),
                            range.start_ms, is_counter);
  }
  if (window.last > window.first && floats.timestamps_ms[window.last] > range.end_ms) {
    ends.right = interpolate(floats.at(window.last - std::size_t{1}), floats.at(window.last),
                             range.end_ms, is_counter);
  }
  return ends;
}

double extended_growth(const FloatColumns& floats, const ExtendedRange& range,
                       ExtendedWindow window, bool is_counter) {
  const EndValues ends = find_end_values(floats, range, window, is_counter);
  double growth = ends.right - ends.left;
  if (!is_counter) return growth;
  // Resets between the samples around an end are in the end's value already.
  const std::uint32_t begin =
      window.first + (floats.timestamps_ms[window.first] <= range.start_ms ? 1 : 0);
  const std::uint32_t end =
      window.last + (floats.timestamps_ms[window.last] >= range.end_ms ? 0 : 1);
  double lost = 0;
  double previous = ends.left;
  for (std::uint32_t i = begin; i < end; ++i) {
    if (floats.values[i] < previous) lost += previous;
    previous = floats.values[i];
  }
  if (ends.right < previous) lost += previous;
  growth += lost;
  return growth;
}

std::optional<FloatHistogram> interpolate_histogram(const HistogramPoint& from,
                                                    const HistogramPoint& to, std::int64_t time_ms,
                                                    bool is_counter, const HistogramNotes& notes) {
  if (time_ms == from.timestamp_ms) return *from.histogram;
  if (time_ms == to.timestamp_ms) return *to.histogram;
  const double fraction = static_cast<double>(time_ms - from.timestamp_ms) /
                          static_cast<double>(to.timestamp_ms - from.timestamp_ms);
  FloatHistogram result = *to.histogram;
  if (is_counter && histogram::is_counter_reset(*to.histogram, *from.histogram)) {
    histogram::multiply(result, fraction);
    return result;
  }
  if (!subtract(result, *from.histogram, notes)) return std::nullopt;
  histogram::multiply(result, fraction);
  if (!add(result, *from.histogram, notes)) return std::nullopt;
  return result;
}

std::optional<FloatHistogram> extended_histogram_growth(HistogramPoints histograms,
                                                        const ExtendedRange& range,
                                                        ExtendedWindow window, bool is_counter,
                                                        const HistogramNotes& notes) {
  const std::size_t first = window.first;
  const std::size_t last = window.last;
  if (!check_window(histograms.subspan(first, last - first + 1), is_counter, notes)) {
    return std::nullopt;
  }
  HistogramEnds ends{.left = *histograms[first].histogram, .right = *histograms[last].histogram};
  if (range.is_smoothed() && histograms[first].timestamp_ms < range.start_ms) {
    auto left = interpolate_histogram(histograms[first], histograms[first + 1], range.start_ms,
                                      is_counter, notes);
    if (!left) return std::nullopt;
    ends.left = *std::move(left);
  }
  if (range.is_smoothed() && last > first && histograms[last].timestamp_ms > range.end_ms) {
    auto right = interpolate_histogram(histograms[last - 1], histograms[last], range.end_ms,
                                       is_counter, notes);
    if (!right) return std::nullopt;
    ends.right = *std::move(right);
  }
  if (!is_counter &&
      (ends.left.hint != CounterResetHint::Gauge || ends.right.hint != CounterResetHint::Gauge)) {
    notes.annotations.warn(
        with_quoted("this native histogram metric is not a gauge:", notes.metric_name),
        notes.position);
  }
  FloatHistogram growth = ends.right;
  if (!subtract(growth, ends.left, notes)) return std::nullopt;
  if (is_counter) {
    const Loss loss = find_loss(histograms, range, window, ends, notes);
    if (!loss.is_known) return std::nullopt;
    if (loss.lost && !add(growth, *loss.lost, notes)) return std::nullopt;
  }
  growth.hint = CounterResetHint::Gauge;
  return growth;
}

}  // namespace gantry::promql::eval
