// rate, increase, delta, irate, idelta, changes, resets: what compares neighbouring samples.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "promql/kernels/range_functions.h"
#include "promql/kernels/range_internal.h"

namespace gantry::promql::kernels {

namespace {

enum class RateKind : std::uint8_t { Rate, Increase, Delta };

// A gap of this many average distances between samples says that the series begins or ends there.
constexpr double kExtrapolationThreshold = 1.1;

/// Whether the start timestamps say that a counter began anew between two samples. A start at the
/// previous sample's time is how deltas are written, unless that sample's own start is unknown.
bool is_start_time_reset(std::int64_t previous_start, std::int64_t previous_time,
                         std::int64_t start, std::int64_t time) {
  if (start == 0 || start >= time) return false;
  if (start > previous_time) return true;
  return start == previous_time && previous_start != 0 && previous_start < previous_time;
}

/// Hot: per sample. Indexes i with a reset between i - 1 and i, ascending.
void find_resets(const RangeInput& in, std::vector<std::uint32_t>& resets) {
  resets.clear();
  const std::size_t count = in.values.size();
  if (in.start_timestamps_ms.empty()) {
    // Most series have none, and this pass vectorises.
    std::size_t decreases = 0;
    for (std::size_t i = 1; i < count; ++i) {
      decreases += in.values[i] < in.values[i - 1] ? 1 : 0;
    }
    if (decreases == 0) return;
  }
  for (std::size_t i = 1; i < count; ++i) {
    if (is_counter_reset(in.timestamps_ms, in.values, in.start_timestamps_ms, i)) {
      resets.push_back(static_cast<std::uint32_t>(i));
    }
  }
}

/// Sum of what was lost at the resets inside a window, added in their order to the difference of
/// its ends. `cursor` only moves forward: window begins ascend.
double add_resets(const RangeInput& in, std::span<const std::uint32_t> resets, Window window,
                  std::size_t& cursor, double difference) {
  while (cursor < resets.size() && resets[cursor] <= window.begin) ++cursor;
  for (std::size_t i = cursor; i < resets.size() && resets[i] < window.end; ++i) {
    difference += in.values[resets[i] - 1];
  }
  return difference;
}

struct Extent {
  std::int64_t range_start_ms = 0;
  std::int64_t range_end_ms = 0;
  std::int64_t first_ms = 0;
  std::int64_t last_ms = 0;
  std::uint32_t gaps = 0;  ///< Samples less one.
};

/// How much longer the range is than what the samples cover. `zero_seconds`: how far before the
/// first sample a counter was zero, at the earliest (infinite when unknown).
double extrapolation_factor(const Extent& extent, double zero_seconds) {
  double to_start = to_seconds(extent.first_ms - extent.range_start_ms);
  double to_end = to_seconds(extent.range_end_ms - extent.last_ms);
  const double sampled = to_seconds(extent.last_ms - extent.first_ms);
  const double average = sampled / extent.gaps;
  const double threshold = average * kExtrapolationThreshold;
  if (to_start >= threshold) to_start = average / 2;
  if (zero_seconds < to_start) to_start = zero_seconds;
  if (to_end >= threshold) to_end = average / 2;
  if (sampled == 0) return 1;
  return (sampled + to_start + to_end) / sampled;
}

/// The same where a start timestamp says when the counter was zero: that is one more sample, so
/// nothing is extrapolated to the left, and one sample alone gives no distance to extrapolate by
/// to the right.
double factor_from_start(const Extent& extent, std::int64_t start_ms) {
  const double sampled = to_seconds(extent.last_ms - start_ms);
  if (extent.gaps == 0) return 1;
  double to_end = to_seconds(extent.range_end_ms - extent.last_ms);
  const double average = to_seconds(extent.last_ms - extent.first_ms) / extent.gaps;
  if (to_end >= average * kExtrapolationThreshold) to_end = average / 2;
  return (sampled + to_end) / sampled;
}

/// The first sample's start timestamp if it lies inside the range before the sample, else 0.
std::int64_t usable_start(const RangeInput& in, Window window, std::int64_t range_start_ms) {
  if (in.start_timestamps_ms.empty()) return 0;
  const std::int64_t start = in.start_timestamps_ms[window.begin];
  const bool is_usable = start > range_start_ms && start < in.timestamps_ms[window.begin];
  return is_usable ? start : 0;
}

template <RateKind kKind>
void extrapolate(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                 std::span<std::uint64_t> present) {
  constexpr bool kIsCounter = kKind != RateKind::Delta;
  if constexpr (kIsCounter) {
    find_resets(in, scratch.indexes);
  } else {
    scratch.indexes.clear();
  }
  const double range_seconds = to_seconds(in.grid.range_ms);
  std::size_t cursor = 0;
  std::ranges::fill(present, 0);
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    const Window window = in.windows[step];
    if (window.size() == 0) continue;
    const std::int64_t range_end_ms = in.grid.end_ms(step);
    const Extent extent{.range_start_ms = range_end_ms - in.grid.range_ms,
                        .range_end_ms = range_end_ms,
                        .first_ms = in.timestamps_ms[window.begin],
                        .last_ms = in.timestamps_ms[window.end - 1],
                        .gaps = window.size() - 1};
    const std::int64_t start_ms =
        kIsCounter ? usable_start(in, window, extent.range_start_ms) : std::int64_t{0};
    if (extent.gaps == 0 && start_ms == 0) continue;

    const double first = in.values[window.begin];
    double result = in.values[window.end - 1] - first;
    if (!scratch.indexes.empty()) {
      result = add_resets(in, scratch.indexes, window, cursor, result);
    }
    double factor = 0;
    if (start_ms != 0) {
      result += first;
      factor = factor_from_start(extent, start_ms);
    } else {
      double zero_seconds = std::numeric_limits<double>::infinity();
      if (kIsCounter && result > 0 && first >= 0) {
        zero_seconds = to_seconds(extent.last_ms - extent.first_ms) * (first / result);
      }
      factor = extrapolation_factor(extent, zero_seconds);
    }
    if constexpr (kKind == RateKind::Rate) factor /= range_seconds;
    out[step] = result * factor;
    set_bit(present, step);
  }
}

/// The last two samples; `is_rate`: per second, and a reset counts from zero.
template <bool kIsRate>
void instant_change(const RangeInput& in, std::span<double> out, std::span<std::uint64_t> present) {
  std::ranges::fill(present, 0);
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    const Window window = in.windows[step];
    if (window.size() < 2) continue;
    const std::size_t last = window.end - 1;
    const std::int64_t interval_ms = in.timestamps_ms[last] - in.timestamps_ms[last - 1];
    if (interval_ms == 0) continue;
    double result = in.values[last];
    if (!kIsRate || !is_counter_reset(in.timestamps_ms, in.values, in.start_timestamps_ms, last)) {
      result -= in.values[last - 1];
    }
    if constexpr (kIsRate) result /= to_seconds(interval_ms);
    out[step] = result;
    set_bit(present, step);
  }
}

/// Counts the neighbours inside each window for which `differs(i)` holds of i - 1 and i. Running
/// counts are exact.
template <class Differs>
void count_neighbours(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                      std::span<std::uint64_t> present, Differs differs) {
  auto& counts = scratch.indexes;
  counts.resize(in.values.size());
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < in.values.size(); ++i) {
    if (i > 0 && differs(i)) ++count;
    counts[i] = count;
  }
  for_each_window(in, 1, out, present, [&counts](std::size_t, Window window) {
    return static_cast<double>(counts[window.end - 1] - counts[window.begin]);
  });
}

}  // namespace

bool is_counter_reset(std::span<const std::int64_t> timestamps_ms, std::span<const double> values,
                      std::span<const std::int64_t> starts_ms, std::size_t index) {
  if (values[index] < values[index - 1]) return true;
  return !starts_ms.empty() && is_start_time_reset(starts_ms[index - 1], timestamps_ms[index - 1],
                                                   starts_ms[index], timestamps_ms[index]);
}

void rate(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
          std::span<std::uint64_t> present) {
  extrapolate<RateKind::Rate>(in, scratch, out, present);
}

void increase(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
              std::span<std::uint64_t> present) {
  extrapolate<RateKind::Increase>(in, scratch, out, present);
}

void delta(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
           std::span<std::uint64_t> present) {
  extrapolate<RateKind::Delta>(in, scratch, out, present);
}

void irate(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
           std::span<std::uint64_t> present) {
  instant_change<true>(in, out, present);
}

void idelta(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
            std::span<std::uint64_t> present) {
  instant_change<false>(in, out, present);
}

void changes(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
             std::span<std::uint64_t> present) {
  count_neighbours(in, scratch, out, present, [values = in.values](std::size_t i) {
    const double current = values[i];
    const double previous = values[i - 1];
    return current != previous && !(std::isnan(current) && std::isnan(previous));
  });
}

void resets(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
            std::span<std::uint64_t> present) {
  count_neighbours(in, scratch, out, present, [&in](std::size_t i) {
    return is_counter_reset(in.timestamps_ms, in.values, in.start_timestamps_ms, i);
  });
}

std::size_t count_start_time_overlaps(const RangeInput& in) {
  if (in.start_timestamps_ms.empty()) return 0;
  const auto starts = in.start_timestamps_ms;
  std::size_t steps = 0;
  for (const Window window : in.windows) {
    for (std::size_t i = window.begin + std::size_t{1}; i < window.end; ++i) {
      if (starts[i] != 0 && starts[i] < in.timestamps_ms[i - 1] && starts[i] != starts[i - 1]) {
        ++steps;
        break;
      }
    }
  }
  return steps;
}

}  // namespace gantry::promql::kernels
