#include "metrics/head/column_merge.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "metrics/encoding/read_hints.h"

namespace gantry::metrics {
namespace {

/// Positions in ascending order of time; of equal times only the last position.
std::vector<std::uint32_t> merged_order(std::span<const std::int64_t> timestamps_ms) {
  std::vector<std::uint32_t> order(timestamps_ms.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return timestamps_ms[a] < timestamps_ms[b];
  });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool is_last =
        i + 1 == order.size() || timestamps_ms[order[i]] != timestamps_ms[order[i + 1]];
    if (is_last) order[kept++] = order[i];
  }
  order.resize(kept);
  return order;
}

template <class T>
void permute(std::vector<T>& values, std::span<const std::uint32_t> order) {
  if (values.empty()) return;
  std::vector<T> out;
  out.reserve(order.size());
  for (const std::uint32_t position : order) out.push_back(std::move(values[position]));
  values = std::move(out);
}

// The two column sets differ only in how they hold histograms.

std::span<const std::int64_t> float_times(const promql::SampleColumns& columns) {
  return columns.timestamps_ms;
}

std::span<const std::int64_t> float_times(const SeriesColumns& columns) {
  return columns.floats.timestamps_ms;
}

void permute_floats(promql::SampleColumns& columns, std::span<const std::uint32_t> order) {
  permute(columns.timestamps_ms, order);
  permute(columns.values, order);
  permute(columns.start_timestamps_ms, order);
}

void permute_floats(SeriesColumns& columns, std::span<const std::uint32_t> order) {
  permute(columns.floats.timestamps_ms, order);
  permute(columns.floats.values, order);
  permute(columns.floats.start_timestamps_ms, order);
}

std::vector<std::int64_t> histogram_times(const promql::SampleColumns& columns) {
  std::vector<std::int64_t> times;
  times.reserve(columns.histograms.size());
  for (const auto& point : columns.histograms) times.push_back(point.timestamp_ms);
  return times;
}

std::vector<std::int64_t> histogram_times(const SeriesColumns& columns) {
  return columns.histograms.timestamps_ms;
}

/// Whoever has another histogram before it than in its source does not know whether it went on.
void permute_histograms(promql::SampleColumns& columns, std::span<const std::uint32_t> order) {
  permute(columns.histograms, order);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || order[i] != order[i - 1] + 1) forget_hint(columns.histograms[i].histogram);
  }
}

void permute_histograms(SeriesColumns& columns, std::span<const std::uint32_t> order) {
  permute(columns.histograms.timestamps_ms, order);
  permute(columns.histograms.histograms, order);
  permute(columns.histograms.start_timestamps_ms, order);
}

std::size_t histogram_count(const promql::SampleColumns& columns) {
  return columns.histograms.size();
}

std::size_t histogram_count(const SeriesColumns& columns) {
  return columns.histograms.timestamps_ms.size();
}

std::int64_t histogram_time(const promql::SampleColumns& columns, std::size_t at) {
  return columns.histograms[at].timestamp_ms;
}

std::int64_t histogram_time(const SeriesColumns& columns, std::size_t at) {
  return columns.histograms.timestamps_ms[at];
}

/// A float and a histogram at the same time are refused on append; two appends that raced can still
/// leave both. Then the float stays, wherever it is read.
template <class Columns>
void drop_shadowed_histograms(Columns& columns) {
  const std::span<const std::int64_t> floats = float_times(columns);
  if (floats.empty() || histogram_count(columns) == 0) return;
  std::vector<std::uint32_t> kept;
  for (std::size_t i = 0; i < histogram_count(columns); ++i) {
    if (!std::ranges::binary_search(floats, histogram_time(columns, i))) {
      kept.push_back(static_cast<std::uint32_t>(i));
    }
  }
  if (kept.size() != histogram_count(columns)) permute_histograms(columns, kept);
}

/// The same for those that have a float before them.
void forget_hints_after_floats(promql::SampleColumns& columns) {
  if (columns.timestamps_ms.empty()) return;
  for (std::size_t i = 1; i < columns.histograms.size(); ++i) {
    const auto next_float =
        std::ranges::upper_bound(columns.timestamps_ms, columns.histograms[i - 1].timestamp_ms);
    if (next_float == columns.timestamps_ms.end()) return;
    if (*next_float < columns.histograms[i].timestamp_ms) {
      forget_hint(columns.histograms[i].histogram);
    }
  }
}

/// What a flush writes has the hints that came.
void forget_hints_after_floats(SeriesColumns&) {}

}  // namespace

template <class Columns>
ColumnMerge<Columns>::ColumnMerge(Columns& out)
    : out_(out), float_count_(float_times(out).size()), histogram_count_(histogram_count(out)) {}

template <class Columns>
void ColumnMerge<Columns>::note_source() {
  const std::span<const std::int64_t> times = float_times(out_);
  if (float_count_ > 0 && float_count_ < times.size()) {
    floats_ascend_ = floats_ascend_ && times[float_count_ - 1] < times[float_count_];
  }
  float_count_ = times.size();
  const std::size_t histograms = histogram_count(out_);
  if (histogram_count_ > 0 && histogram_count_ < histograms) {
    histograms_ascend_ = histograms_ascend_ && histogram_time(out_, histogram_count_ - 1) <
                                                   histogram_time(out_, histogram_count_);
  }
  histogram_count_ = histograms;
}

template <class Columns>
void ColumnMerge<Columns>::finish() {
  if (!floats_ascend_) permute_floats(out_, merged_order(float_times(out_)));
  if (!histograms_ascend_) permute_histograms(out_, merged_order(histogram_times(out_)));
  drop_shadowed_histograms(out_);
  forget_hints_after_floats(out_);
}

template class ColumnMerge<promql::SampleColumns>;
template class ColumnMerge<SeriesColumns>;

}  // namespace gantry::metrics
