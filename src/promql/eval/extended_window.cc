#include "promql/eval/extended_window.h"

#include <algorithm>
#include <utility>

#include "promql/histogram/arithmetic.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using HistogramPoint = SampleColumns::HistogramPoint;

bool add(FloatHistogram& into, const FloatHistogram& other, RangeNotes& notes) {
  const histogram::Combination sum = histogram::add(into, other);
  notes.mixes_buckets |= !sum.is_possible;
  notes.reconciled_addition |= sum.has_reconciled_bounds;
  return sum.is_possible;
}

bool subtract(FloatHistogram& from, const FloatHistogram& other, RangeNotes& notes) {
  const histogram::Combination difference = histogram::subtract(from, other);
  notes.mixes_buckets |= !difference.is_possible;
  notes.reconciled_subtraction |= difference.has_reconciled_bounds;
  return difference.is_possible;
}

/// Those of `indexes`, which ascend, in [begin, end).
std::span<const std::uint32_t> within(const std::vector<std::uint32_t>& indexes,
                                      std::uint32_t begin, std::uint32_t end) {
  const auto first = std::ranges::lower_bound(indexes, begin);
  return {first, std::lower_bound(first, indexes.end(), end)};
}

}  // namespace

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

FloatGrowth::FloatGrowth(const FloatColumns& floats, bool is_counter)
    : floats_(floats), is_counter_(is_counter) {
  if (!is_counter) return;
  for (std::size_t i = 1; i < floats.values.size(); ++i) {
    if (floats.values[i] < floats.values[i - 1]) resets_.push_back(static_cast<std::uint32_t>(i));
  }
}

// Hot: per step of a series.
double FloatGrowth::over(const ExtendedRange& range, ExtendedWindow window) const {
  const EndValues ends = find_end_values(floats_, range, window, is_counter_);
  const double growth = ends.right - ends.left;
  return is_counter_ ? growth + lost(range, window, ends) : growth;
}

double FloatGrowth::lost(const ExtendedRange& range, ExtendedWindow window,
                         const EndValues& ends) const {
  // Resets between the samples around an end are in the end's value already.
  const std::uint32_t begin =
      window.first + (floats_.timestamps_ms[window.first] <= range.start_ms ? 1 : 0);
  const std::uint32_t end =
      window.last + (floats_.timestamps_ms[window.last] >= range.end_ms ? 0 : 1);
  double lost = 0;
  double previous = ends.left;
  if (begin < end) {
    if (floats_.values[begin] < previous) lost += previous;
    for (const std::uint32_t reset : within(resets_, begin + 1, end)) {
      lost += floats_.values[reset - 1];
    }
    previous = floats_.values[end - 1];
  }
  if (ends.right < previous) lost += previous;
  return lost;
}

std::optional<FloatHistogram> interpolate_histogram(const HistogramPoint& from,
                                                    const HistogramPoint& to, std::int64_t time_ms,
                                                    bool is_counter, RangeNotes& notes) {
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

HistogramGrowth::HistogramGrowth(std::span<const HistogramPoint> points, bool is_counter)
    : points_(points), is_counter_(is_counter) {
  for (std::uint32_t i = 0; i < points.size(); ++i) {
    const FloatHistogram& current = histogram(i);
    if (is_counter && current.hint == CounterResetHint::Gauge) gauges_.push_back(i);
    if (i == 0) continue;
    const FloatHistogram& previous = histogram(i - 1);
    if (current.uses_custom_buckets() != previous.uses_custom_buckets()) {
      bucket_changes_.push_back(i);
    }
    if (is_counter && histogram::is_counter_reset(current, previous)) resets_.push_back(i);
  }
}

/// Whether the histograms of a window can be told apart by subtraction; notes gauges up to where
/// they cannot.
bool HistogramGrowth::has_like_buckets(ExtendedWindow window) {
  const auto changes = within(bucket_changes_, window.first + 1, window.last + 1);
  const std::uint32_t end = changes.empty() ? window.last + 1 : changes.front();
  notes_.is_not_counter |= !within(gauges_, window.first, end).empty();
  notes_.mixes_buckets |= !changes.empty();
  return changes.empty();
}

std::optional<HistogramGrowth::Ends> HistogramGrowth::find_ends(const ExtendedRange& range,
                                                                ExtendedWindow window) {
  const std::size_t first = window.first;
  const std::size_t last = window.last;
  Ends ends{.left = histogram(first), .right = histogram(last)};
  if (range.is_smoothed() && points_[first].timestamp_ms < range.start_ms) {
    auto left = interpolate_histogram(points_[first], points_[first + 1], range.start_ms,
                                      is_counter_, notes_);
    if (!left) return std::nullopt;
    ends.left = *std::move(left);
  }
  if (range.is_smoothed() && last > first && points_[last].timestamp_ms > range.end_ms) {
    auto right =
        interpolate_histogram(points_[last - 1], points_[last], range.end_ms, is_counter_, notes_);
    if (!right) return std::nullopt;
    ends.right = *std::move(right);
  }
  return ends;
}

std::optional<FloatHistogram> HistogramGrowth::over(const ExtendedRange& range,
                                                    ExtendedWindow window) {
  if (!has_like_buckets(window)) return std::nullopt;
  const std::optional<Ends> ends = find_ends(range, window);
  if (!ends) return std::nullopt;
  if (!is_counter_) {
    notes_.is_not_gauge |=
        ends->left.hint != CounterResetHint::Gauge || ends->right.hint != CounterResetHint::Gauge;
  }
  FloatHistogram growth = ends->right;
  if (!subtract(growth, ends->left, notes_)) return std::nullopt;
  if (is_counter_) {
    const Loss loss = lost(range, window, *ends);
    if (!loss.is_known) return std::nullopt;
    if (loss.histogram && !add(growth, *loss.histogram, notes_)) return std::nullopt;
  }
  growth.hint = CounterResetHint::Gauge;
  return growth;
}

HistogramGrowth::Loss HistogramGrowth::lost(const ExtendedRange& range, ExtendedWindow window,
                                            const Ends& ends) {
  // `left` stands for the first sample and `right`, which has its hint, for the last.
  std::uint32_t begin = window.first + 1;
  const FloatHistogram* previous = &ends.left;
  if (range.is_smoothed() && points_[window.first].timestamp_ms < range.start_ms &&
      !within(resets_, begin, begin + 1).empty()) {
    // The start of the range was interpolated across that reset, which is thereby accounted for.
    previous = &histogram(begin);
    ++begin;
  }
  Loss loss;
  if (begin > window.last) return loss;
  const auto lose = [&](const FloatHistogram& before) {
    if (loss.histogram) {
      loss.is_known = add(*loss.histogram, before, notes_);
    } else {
      loss.histogram = before;
    }
    return loss.is_known;
  };
  if (begin < window.last) {
    if (histogram::is_counter_reset(histogram(begin), *previous) && !lose(*previous)) return loss;
    for (const std::uint32_t reset : within(resets_, begin + 1, window.last)) {
      if (!lose(histogram(reset - 1))) return loss;
    }
    previous = &histogram(window.last - 1);
  }
  if (histogram::is_counter_reset(ends.right, *previous)) static_cast<void>(lose(*previous));
  return loss;
}

}  // namespace gantry::promql::eval
