#include "promql/eval/histogram_rate.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "promql/histogram/arithmetic.h"
#include "promql/kernels/extrapolation.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

double seconds(std::int64_t milliseconds) {
  return static_cast<double>(milliseconds) / 1000;
}

bool is_gauge(const FloatHistogram& histogram) {
  return histogram.hint == CounterResetHint::Gauge;
}

HistogramPtr share(std::optional<FloatHistogram> histogram) {
  if (!histogram) return nullptr;
  return std::make_shared<const FloatHistogram>(*std::move(histogram));
}

}  // namespace

HistogramRate::HistogramRate(FunctionId function,
                             std::span<const SampleColumns::HistogramPoint> points,
                             const kernels::WindowGrid& grid, StartTimes starts)
    : points_(points),
      grid_(grid),
      starts_(starts),
      is_counter_(function == FunctionId::Rate || function == FunctionId::Increase ||
                  function == FunctionId::Irate),
      divisor_(function == FunctionId::Rate ? seconds(grid.range_ms) : 1),
      is_per_second_(function == FunctionId::Irate) {
  if (function == FunctionId::Rate || function == FunctionId::Increase) count_up();
}

kernels::SampleTimes HistogramRate::times(std::size_t index) const {
  return {.start_ms = points_[index].start_timestamp_ms, .time_ms = points_[index].timestamp_ms};
}

/// By the start timestamps alone.
bool HistogramRate::is_started_anew(std::size_t index) const {
  return starts_ == StartTimes::Used &&
         kernels::is_start_time_reset(times(index - 1), times(index));
}

bool HistogramRate::is_reset(std::size_t index) const {
  return is_started_anew(index) ||
         histogram::is_counter_reset(histogram(index), histogram(index - 1));
}

void HistogramRate::count_up() {
  running_.reserve(points_.size());
  Running now;
  for (std::size_t i = 0; i < points_.size(); ++i) {
    const FloatHistogram& current = histogram(i);
    now.gauges += static_cast<std::uint32_t>(is_gauge(current));
    now.customs += static_cast<std::uint32_t>(current.uses_custom_buckets());
    if (i > 0) {
      now.schema_changes += static_cast<std::uint32_t>(current.schema != histogram(i - 1).schema);
      if (is_reset(i)) resets_.push_back(static_cast<std::uint32_t>(i));
      now.resets = static_cast<std::uint32_t>(resets_.size());
      const bool overlaps =
          starts_ == StartTimes::Used && kernels::is_start_time_overlap(times(i - 1), times(i));
      now.overlaps += static_cast<std::uint32_t>(overlaps);
    }
    running_.push_back(now);
  }
}

HistogramPtr HistogramRate::over(Window window, std::int64_t end_ms) {
  if (window.size() == 0) return nullptr;
  RangeNotes notes;
  HistogramPtr result = share(extrapolated(window, end_ms, notes));
  notes_.merge(notes);
  return result;
}

std::optional<FloatHistogram> HistogramRate::extrapolated(Window window, std::int64_t end_ms,
                                                          RangeNotes& notes) {
  const std::int64_t start_ms = end_ms - grid_.range_ms;
  const std::int64_t first_ms = points_[window.begin].timestamp_ms;
  const std::int64_t last_ms = points_[window.end - 1].timestamp_ms;
  const FloatHistogram& first = histogram(window.begin);
  const std::int64_t born_ms = is_counter_ && starts_ == StartTimes::Used
                                   ? kernels::usable_start_ms(times(window.begin), start_ms)
                                   : 0;
  const kernels::Spread spread{.to_start_ms = first_ms - start_ms,
                               .to_end_ms = end_ms - last_ms,
                               .sampled_ms = last_ms - first_ms,
                               .gaps = window.size() - 1};
  if (spread.gaps == 0) {
    if (born_ms == 0) return std::nullopt;
    FloatHistogram result = first;
    histogram::multiply(result, kernels::factor_from_start(spread, first_ms - born_ms) / divisor_);
    return result;
  }
  if (window != growth_window_) {
    growth_window_ = window;
    growth_notes_ = {};
    growth_ = growth(window, growth_notes_);
  }
  notes = growth_notes_;
  if (!growth_) return std::nullopt;
  std::optional<FloatHistogram> result = growth_;
  if (born_ms != 0) {
    const histogram::Combination sum = histogram::add(*result, first);
    if (!sum.is_possible) {
      notes.mixes_buckets = true;
      return std::nullopt;
    }
    notes.reconciled_addition |= sum.has_reconciled_bounds;
    histogram::multiply(*result, kernels::factor_from_start(spread, first_ms - born_ms) / divisor_);
    return result;
  }
  const kernels::Extrapolation extrapolation = kernels::extrapolation_of(spread, divisor_);
  histogram::multiply(*result, is_counter_ ? kernels::counter_factor(extrapolation, first.count,
                                                                     result->count, divisor_)
                                           : extrapolation.factor);
  return result;
}

/// The last histogram less the first, and for counters what was lost at resets, as a compact
/// gauge. Where it fails, `notes` say why and nothing else.
std::optional<FloatHistogram> HistogramRate::growth(Window window, RangeNotes& notes) const {
  const FloatHistogram& first = histogram(window.begin);
  const FloatHistogram& second = histogram(window.begin + 1);
  const FloatHistogram& last = histogram(window.end - 1);
  if (is_counter_) notes.is_not_counter = is_gauge(first) || is_gauge(last);
  // After a reset right behind it the first sample counts for nothing, whatever its buckets.
  FloatHistogram nothing;
  const FloatHistogram* base = &first;
  if (is_counter_ && running_[window.begin].resets != running_[window.begin + 1].resets) {
    nothing.schema = second.schema;
    nothing.custom_values = second.custom_values;
    base = &nothing;
  }
  const bool is_custom = base->uses_custom_buckets();
  if (last.uses_custom_buckets() != is_custom) {
    notes.mixes_buckets = true;
    return std::nullopt;
  }
  std::int32_t schema = std::min(last.schema, base->schema);
  const Window middle{.begin = window.begin + 1, .end = window.end - 1};
  if (is_counter_ && middle.size() > 0) {
    const Running& before = running_[window.begin];
    const Running& after = running_[middle.end - 1];
    if (after.customs - before.customs != (is_custom ? middle.size() : 0)) {
      notes = {.mixes_buckets = true};
      return std::nullopt;
    }
    notes.is_not_counter |= after.gauges != before.gauges;
    schema = std::min(schema, smallest_schema(middle));
  }
  FloatHistogram result = last;
  if (schema != result.schema) histogram::reduce_resolution(result, schema);
  const histogram::Combination difference = histogram::subtract(result, *base);
  if (!difference.is_possible) {
    notes = {.mixes_buckets = true};
    return std::nullopt;
  }
  notes.reconciled_subtraction |= difference.has_reconciled_bounds;
  if (!is_counter_) {
    notes.is_not_gauge = !is_gauge(first) || !is_gauge(last);
  } else if (!add_lost(result, window, *base, notes)) {
    notes = {.mixes_buckets = true};
    return std::nullopt;
  } else if (running_[window.end - 1].overlaps != running_[window.begin].overlaps) {
    notes.start_time_overlaps = 1;
  }
  result.hint = CounterResetHint::Gauge;
  histogram::compact(result);
  return result;
}

/// Adds what each reset inside the window lost, in their order. `base` stands for the first
/// sample. False when the buckets do not mix.
bool HistogramRate::add_lost(FloatHistogram& growth, Window window, const FloatHistogram& base,
                             RangeNotes& notes) const {
  const std::uint32_t end = running_[window.end - 1].resets;
  for (std::uint32_t k = running_[window.begin].resets; k < end; ++k) {
    const std::uint32_t index = resets_[k];
    const FloatHistogram* lost = &histogram(index - 1);
    if (index == window.begin + 1) {
      // The base is not the first sample any more: against nothing, only hints and start times tell
      // of a reset.
      if (!is_started_anew(index) && !histogram::is_counter_reset(histogram(index), base)) continue;
      lost = &base;
    }
    const histogram::Combination sum = histogram::add(growth, *lost);
    if (!sum.is_possible) return false;
    notes.reconciled_addition |= sum.has_reconciled_bounds;
  }
  return true;
}

std::int32_t HistogramRate::smallest_schema(Window window) const {
  std::int32_t smallest = histogram(window.begin).schema;
  if (running_[window.end - 1].schema_changes == running_[window.begin].schema_changes) {
    return smallest;
  }
  for (std::uint32_t i = window.begin + 1; i < window.end; ++i) {
    smallest = std::min(smallest, histogram(i).schema);
  }
  return smallest;
}

HistogramPtr HistogramRate::at(std::uint32_t last) {
  if (last == last_) return last_result_;
  RangeNotes notes;
  last_result_ = share(last_change(last, notes));
  last_ = last;
  notes_.merge(notes);
  return last_result_;
}

std::optional<FloatHistogram> HistogramRate::last_change(std::uint32_t last,
                                                         RangeNotes& notes) const {
  const FloatHistogram& previous = histogram(last - 1);
  FloatHistogram result = histogram(last);
  const bool has_gauge = is_gauge(previous) || is_gauge(result);
  const bool has_counter = !is_gauge(previous) || !is_gauge(result);
  notes.is_not_counter = is_counter_ && has_gauge;
  notes.is_not_gauge = !is_counter_ && has_counter;
  if (!is_counter_ || !is_reset(last)) {
    const histogram::Combination difference = histogram::subtract(result, previous);
    if (!difference.is_possible) {
      notes.mixes_buckets = true;
      return std::nullopt;
    }
    notes.reconciled_subtraction = difference.has_reconciled_bounds;
  }
  result.hint = CounterResetHint::Gauge;
  histogram::compact(result);
  if (is_per_second_) {
    const std::int64_t interval_ms = points_[last].timestamp_ms - points_[last - 1].timestamp_ms;
    histogram::divide(result, seconds(interval_ms));
  }
  return result;
}

}  // namespace gantry::promql::eval
