#include "promql/kernels/range_functions.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "promql/kernels/quantile.h"
#include "promql/kernels/range_internal.h"
#include "promql/kernels/sum.h"

namespace gantry::promql::kernels {

namespace {

/// Calls emit(step, index of the extreme) for each step with samples, by a queue of candidates
/// whose values are monotonic: amortised O(1) per sample. `replaces(later, earlier)` says when a
/// later value makes an earlier one superfluous, and so which of equals is found. NaN is found only
/// where there is nothing else.
template <class Replaces, class Emit>
void slide_extreme(const RangeInput& in, RangeScratch& scratch, std::span<std::uint64_t> present,
                   Replaces replaces, Emit emit) {
  BitmapWriter bits(present);
  auto& queue = scratch.indexes;
  queue.resize(in.values.size());
  std::size_t head = 0;
  std::size_t tail = 0;
  std::uint32_t next = 0;
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    const Window window = in.windows[step];
    bits.push(window.size() != 0);
    if (window.size() == 0) continue;
    for (next = std::max(next, window.begin); next < window.end; ++next) {
      const double value = in.values[next];
      if (std::isnan(value)) continue;
      while (tail > head && replaces(value, in.values[queue[tail - 1]])) --tail;
      queue[tail++] = next;
    }
    while (head < tail && queue[head] < window.begin) ++head;
    emit(step, head < tail ? queue[head] : window.end - 1);
  }
}

/// Compensated Welford over a window; the population variance.
double compensated_variance(std::span<const double> values) {
  double count = 0;
  double mean = 0;
  double mean_compensation = 0;
  double squares = 0;
  double squares_compensation = 0;
  for (const double value : values) {
    count += 1;
    const double difference = value - (mean + mean_compensation);
    neumaier_add(difference / count, mean, mean_compensation);
    neumaier_add(difference * (value - (mean + mean_compensation)), squares, squares_compensation);
  }
  return (squares + squares_compensation) / count;
}

struct Line {
  double slope = 0;
  double intercept = 0;
};

/// Least squares; x in seconds from `origin_ms`, where the intercept is taken. At least one sample.
Line regress(const RangeInput& in, Window window, std::int64_t origin_ms) {
  const auto values = values_of(in, window);
  const double first = values.front();
  if (std::ranges::all_of(values, [first](double value) { return value == first; })) {
    // Exactly flat; an infinite level has no slope that could be told.
    if (std::isinf(first)) {
      return {.slope = std::numeric_limits<double>::quiet_NaN(),
              .intercept = std::numeric_limits<double>::quiet_NaN()};
    }
    return {.slope = 0, .intercept = first};
  }
  const auto count = static_cast<double>(values.size());
  NeumaierSum sum_x;
  NeumaierSum sum_y;
  NeumaierSum sum_xy;
  NeumaierSum sum_xx;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = to_seconds(in.timestamps_ms[window.begin + i] - origin_ms);
    sum_x.add(x);
    sum_y.add(values[i]);
    sum_xy.add(x * values[i]);
    sum_xx.add(x * x);
  }
  const double x = sum_x.result();
  const double y = sum_y.result();
  const double covariance = sum_xy.result() - (x * y / count);
  const double variance = sum_xx.result() - (x * x / count);
  const double slope = covariance / variance;
  return {.slope = slope, .intercept = (y / count) - (slope * x / count)};
}

/// Holt's linear method; at least two values.
double smooth(std::span<const double> values, double smoothing, double trend) {
  double previous_level = 0;
  double level = values[0];
  double slope = values[1] - values[0];
  for (std::size_t i = 1; i < values.size(); ++i) {
    const double weighted = smoothing * values[i];
    if (i > 1) {
      const double measured = trend * (level - previous_level);
      const double carried = (1 - trend) * slope;
      slope = measured + carried;
    }
    const double expected = (1 - smoothing) * (level + slope);
    previous_level = level;
    level = weighted + expected;
  }
  return level;
}

}  // namespace

void deriv(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
           std::span<std::uint64_t> present) {
  for_each_window(in, 2, out, present, [&in](std::size_t, Window window) {
    return regress(in, window, in.timestamps_ms[window.begin]).slope;
  });
}

void predict_linear(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                    std::span<std::uint64_t> present) {
  for_each_window(in, 2, out, present, [&in](std::size_t step, Window window) {
    const std::int64_t now_ms = in.first_step_ms + (static_cast<std::int64_t>(step) * in.step_ms);
    const Line line = regress(in, window, now_ms);
    return (line.slope * argument_at(in.argument, step)) + line.intercept;
  });
}

void double_exponential_smoothing(const RangeInput& in, RangeScratch& /*scratch*/,
                                  std::span<double> out, std::span<std::uint64_t> present) {
  for_each_window(in, 2, out, present, [&in](std::size_t step, Window window) {
    return smooth(values_of(in, window), argument_at(in.argument, step),
                  argument_at(in.second_argument, step));
  });
}

void avg_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                   std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&in](std::size_t, Window window) {
    const auto values = values_of(in, window);
    NeumaierSum sum;
    for (const double value : values) sum.add(value);
    // A finite sum never overflowed on the way, so that the mean is the plain one.
    const auto count = static_cast<double>(values.size());
    if (std::isfinite(sum.sum)) return (sum.sum / count) + (sum.compensation / count);
    Mean mean;
    for (const double value : values) mean.add(value);
    return mean.result();
  });
}

void sum_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                   std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&in](std::size_t, Window window) {
    NeumaierSum sum;
    for (const double value : values_of(in, window)) sum.add(value);
    return sum.result();
  });
}

void min_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present) {
  slide_extreme(
      in, scratch, present, [](double later, double earlier) { return later < earlier; },
      [&](std::size_t step, std::size_t index) { out[step] = in.values[index]; });
}

void max_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present) {
  slide_extreme(
      in, scratch, present, [](double later, double earlier) { return later > earlier; },
      [&](std::size_t step, std::size_t index) { out[step] = in.values[index]; });
}

void ts_of_min_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                         std::span<std::uint64_t> present) {
  slide_extreme(
      in, scratch, present, [](double later, double earlier) { return later <= earlier; },
      [&](std::size_t step, std::size_t index) {
        out[step] = to_seconds(in.timestamps_ms[index]);
      });
}

void ts_of_max_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                         std::span<std::uint64_t> present) {
  slide_extreme(
      in, scratch, present, [](double later, double earlier) { return later >= earlier; },
      [&](std::size_t step, std::size_t index) {
        out[step] = to_seconds(in.timestamps_ms[index]);
      });
}

void count_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                     std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present,
                  [](std::size_t, Window window) { return static_cast<double>(window.size()); });
}

void stddev_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                      std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&in](std::size_t, Window window) {
    return std::sqrt(compensated_variance(values_of(in, window)));
  });
}

void stdvar_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                      std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&in](std::size_t, Window window) {
    return compensated_variance(values_of(in, window));
  });
}

void quantile_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                        std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&](std::size_t step, Window window) {
    const auto values = values_of(in, window);
    scratch.values.assign(values.begin(), values.end());
    return quantile(argument_at(in.argument, step), scratch.values);
  });
}

void mad_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&](std::size_t, Window window) {
    const auto values = values_of(in, window);
    scratch.values.assign(values.begin(), values.end());
    // NaN sorts first, so a minority of them would go unnoticed by the medians.
    if (std::ranges::any_of(values, [](double value) { return std::isnan(value); })) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    const double median = quantile(0.5, scratch.values);
    for (double& value : scratch.values) value = std::abs(value - median);
    return quantile(0.5, scratch.values);
  });
}

void first_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                     std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present,
                  [&in](std::size_t, Window window) { return in.values[window.begin]; });
}

void last_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                    std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present,
                  [&in](std::size_t, Window window) { return in.values[window.end - 1]; });
}

void present_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                       std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [](std::size_t, Window) { return 1.0; });
}

void ts_of_first_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                           std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&in](std::size_t, Window window) {
    return to_seconds(in.timestamps_ms[window.begin]);
  });
}

void ts_of_last_over_time(const RangeInput& in, RangeScratch& /*scratch*/, std::span<double> out,
                          std::span<std::uint64_t> present) {
  for_each_window(in, 1, out, present, [&in](std::size_t, Window window) {
    return to_seconds(in.timestamps_ms[window.end - 1]);
  });
}

RangeKernel find_range_kernel(FunctionId id) {
  switch (id) {
    case FunctionId::AvgOverTime:
      return avg_over_time;
    case FunctionId::Changes:
      return changes;
    case FunctionId::CountOverTime:
      return count_over_time;
    case FunctionId::Delta:
      return delta;
    case FunctionId::Deriv:
      return deriv;
    case FunctionId::DoubleExponentialSmoothing:
      return double_exponential_smoothing;
    case FunctionId::FirstOverTime:
      return first_over_time;
    case FunctionId::Idelta:
      return idelta;
    case FunctionId::Increase:
      return increase;
    case FunctionId::Irate:
      return irate;
    case FunctionId::LastOverTime:
      return last_over_time;
    case FunctionId::MadOverTime:
      return mad_over_time;
    case FunctionId::MaxOverTime:
      return max_over_time;
    case FunctionId::MinOverTime:
      return min_over_time;
    case FunctionId::PredictLinear:
      return predict_linear;
    case FunctionId::PresentOverTime:
      return present_over_time;
    case FunctionId::QuantileOverTime:
      return quantile_over_time;
    case FunctionId::Rate:
      return rate;
    case FunctionId::Resets:
      return resets;
    case FunctionId::StddevOverTime:
      return stddev_over_time;
    case FunctionId::StdvarOverTime:
      return stdvar_over_time;
    case FunctionId::SumOverTime:
      return sum_over_time;
    case FunctionId::TsOfFirstOverTime:
      return ts_of_first_over_time;
    case FunctionId::TsOfLastOverTime:
      return ts_of_last_over_time;
    case FunctionId::TsOfMaxOverTime:
      return ts_of_max_over_time;
    case FunctionId::TsOfMinOverTime:
      return ts_of_min_over_time;
    default:
      return nullptr;
  }
}

}  // namespace gantry::promql::kernels
