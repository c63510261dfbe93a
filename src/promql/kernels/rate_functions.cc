// rate, increase, delta, irate, idelta, changes, resets: what compares neighbouring samples.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "promql/kernels/extrapolation.h"
#include "promql/kernels/range_functions.h"
#include "promql/kernels/range_internal.h"
#include "promql/kernels/start_times.h"

namespace gantry::promql::kernels {

namespace {

enum class RateKind : std::uint8_t { Rate, Increase, Delta };

/// With start timestamps in use.
SampleTimes times_of(const RangeInput& in, std::size_t index) {
  return {.start_ms = in.start_timestamps_ms[index], .time_ms = in.timestamps_ms[index]};
}

/// Hot: per sample. Indexes i with a reset between i - 1 and i, ascending.
void find_resets(const RangeInput& in, std::vector<std::uint32_t>& resets) {
  resets.clear();
  const std::size_t count = in.values.size();
  if (in.start_timestamps_ms.empty()) {
    // Most series have none, and this pass vectorises.
    std::size_t decreases = 0;
    for (std::size_t i = 1; i < count; ++i) {
      decreases += static_cast<std::size_t>(in.values[i] < in.values[i - 1]);
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

enum class Starts : std::uint8_t { Ignored, Used };

/// rate, increase and delta of one series: what is kept from step to step.
template <RateKind kKind, Starts kStarts>
class Extrapolator {
 public:
  Extrapolator(const RangeInput& in, RangeScratch& scratch)
      : in_(in), divisor_(kKind == RateKind::Rate ? to_seconds(in.grid.range_ms) : 1) {
    scratch.indexes.clear();
    if constexpr (kIsCounter) find_resets(in, scratch.indexes);
    resets_ = scratch.indexes;
  }

  /// Hot: per step. False where there is no result.
  bool evaluate(Window window, std::int64_t end_ms, double& out) {
    if (window.size() == 0) return false;
    const std::int64_t start_ms = end_ms - in_.grid.range_ms;
    const std::int64_t born_ms =
        kStarts == Starts::Used ? usable_start_ms(times_of(in_, window.begin), start_ms) : 0;
    if (window.size() == 1 && born_ms == 0) return false;

    const double first = in_.values[window.begin];
    double growth = in_.values[window.end - 1] - first;
    if (!resets_.empty()) growth = add_resets(in_, resets_, window, cursor_, growth);
    const std::int64_t first_ms = in_.timestamps_ms[window.begin];
    const std::int64_t last_ms = in_.timestamps_ms[window.end - 1];
    const Spread spread{.to_start_ms = first_ms - start_ms,
                        .to_end_ms = end_ms - last_ms,
                        .sampled_ms = last_ms - first_ms,
                        .gaps = window.size() - 1};
    if (born_ms != 0) {
      growth += first;
      out = growth * (factor_from_start(spread, first_ms - born_ms) / divisor_);
      return true;
    }
    if (spread != spread_) {
      spread_ = spread;
      extrapolation_ = extrapolation_of(spread, divisor_);
    }
    out = growth * (kIsCounter ? counter_factor(extrapolation_, first, growth, divisor_)
                               : extrapolation_.factor);
    return true;
  }

 private:
  static constexpr bool kIsCounter = kKind != RateKind::Delta;

  const RangeInput& in_;
  double divisor_;
  std::span<const std::uint32_t> resets_;
  std::size_t cursor_ = 0;
  Spread spread_;
  Extrapolation extrapolation_;
};

template <RateKind kKind, Starts kStarts>
void extrapolate(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                 std::span<std::uint64_t> present) {
  Extrapolator<kKind, kStarts> extrapolator(in, scratch);
  BitmapWriter bits(present);
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    bits.push(extrapolator.evaluate(in.windows[step], in.grid.end_ms(step), out[step]));
  }
}

template <RateKind kKind>
void extrapolate_counter(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                         std::span<std::uint64_t> present) {
  if (in.start_timestamps_ms.empty()) {
    extrapolate<kKind, Starts::Ignored>(in, scratch, out, present);
  } else {
    extrapolate<kKind, Starts::Used>(in, scratch, out, present);
  }
}

/// The last two samples; for irate per second, and a reset counts from zero.
template <bool kIsRate>
void instant_change(const RangeInput& in, std::span<double> out, std::span<std::uint64_t> present) {
  BitmapWriter bits(present);
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    const Window window = in.windows[step];
    const std::size_t last = window.end - std::size_t{1};
    const std::int64_t interval_ms =
        window.size() < 2 ? 0 : in.timestamps_ms[last] - in.timestamps_ms[last - 1];
    bits.push(interval_ms != 0);
    if (interval_ms == 0) continue;
    double result = in.values[last];
    if (!kIsRate || !is_counter_reset(in.timestamps_ms, in.values, in.start_timestamps_ms, last)) {
      result -= in.values[last - 1];
    }
    if constexpr (kIsRate) result /= to_seconds(interval_ms);
    out[step] = result;
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
  return !starts_ms.empty() &&
         is_start_time_reset(
             {.start_ms = starts_ms[index - 1], .time_ms = timestamps_ms[index - 1]},
             {.start_ms = starts_ms[index], .time_ms = timestamps_ms[index]});
}

void rate(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
          std::span<std::uint64_t> present) {
  extrapolate_counter<RateKind::Rate>(in, scratch, out, present);
}

void increase(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
              std::span<std::uint64_t> present) {
  extrapolate_counter<RateKind::Increase>(in, scratch, out, present);
}

void delta(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
           std::span<std::uint64_t> present) {
  extrapolate<RateKind::Delta, Starts::Ignored>(in, scratch, out, present);
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

std::size_t count_start_time_overlaps(const RangeInput& in, std::span<const Window> others) {
  if (in.start_timestamps_ms.empty()) return 0;
  // Overlaps up to each sample: a window has one when its ends differ.
  std::vector<std::uint32_t> counts(in.timestamps_ms.size());
  for (std::size_t i = 1; i < counts.size(); ++i) {
    const bool overlaps = is_start_time_overlap(times_of(in, i - 1), times_of(in, i));
    counts[i] = counts[i - 1] + static_cast<std::uint32_t>(overlaps);
  }
  std::size_t steps = 0;
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    const Window window = in.windows[step];
    if (window.size() < 2 || (!others.empty() && others[step].size() > 0)) continue;
    if (counts[window.end - 1] != counts[window.begin]) ++steps;
  }
  return steps;
}

}  // namespace gantry::promql::kernels
