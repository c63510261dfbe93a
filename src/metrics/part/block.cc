#include "metrics/part/block.h"

#include <algorithm>
#include <utility>

#include "metrics/encoding/histogram_block.h"
#include "metrics/encoding/read_hints.h"
#include "metrics/encoding/value_block.h"
#include "metrics/part/block_internal.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

using promql::SampleColumns;

/// The samples of a block that are wanted.
struct Window {
  std::size_t first = 0;
  std::size_t end = 0;
};

Window find_window(std::span<const std::int64_t> times, std::int64_t start_ms,
                   std::int64_t end_ms) {
  const auto first = std::ranges::lower_bound(times, start_ms);
  const auto end = std::ranges::upper_bound(first, times.end(), end_ms);
  return {.first = static_cast<std::size_t>(first - times.begin()),
          .end = static_cast<std::size_t>(end - times.begin())};
}

/// Keeps only the window of the `count` elements at the end of `column`.
template <class T>
void trim(std::vector<T>& column, std::size_t count, Window window) {
  const auto block = column.end() - static_cast<std::ptrdiff_t>(count);
  column.erase(block + static_cast<std::ptrdiff_t>(window.end), column.end());
  if (window.first == 0) return;
  const auto start = column.end() - static_cast<std::ptrdiff_t>(window.end);
  column.erase(start, start + static_cast<std::ptrdiff_t>(window.first));
}

/// Appends a column that some blocks do not have: then zeros stand in for it.
Result<void> append_start_timestamps(const EncodedBlock& block, std::size_t before, Window window,
                                     std::vector<std::int64_t>& out) {
  if (block.start_timestamps.empty()) {
    if (!out.empty()) out.resize(before + window.end - window.first);
    return {};
  }
  out.resize(before + block.sample_count);
  GANTRY_CHECK(storage::decode_integers(block.start_timestamps, std::span(out).subspan(before)));
  trim(out, block.sample_count, window);
  return {};
}

Result<void> decode_floats(const EncodedBlock& block, std::span<const std::int64_t> times,
                           Window window, SampleColumns& out) {
  const std::size_t before = out.timestamps_ms.size();
  out.timestamps_ms.insert(out.timestamps_ms.end(),
                           times.begin() + static_cast<std::ptrdiff_t>(window.first),
                           times.begin() + static_cast<std::ptrdiff_t>(window.end));
  out.values.resize(before + times.size());
  GANTRY_CHECK(decode_values(block.values, std::span(out.values).subspan(before)));
  trim(out.values, times.size(), window);
  return append_start_timestamps(block, before, window, out.start_timestamps_ms);
}

Result<void> decode_histogram_points(const EncodedBlock& block, std::span<const std::int64_t> times,
                                     Window window, SampleColumns& out) {
  std::vector<std::shared_ptr<const telemetry::FloatHistogram>> histograms(times.size());
  GANTRY_CHECK(decode_float_histograms(block.values, histograms));
  std::vector<std::int64_t> starts(times.size());
  if (!block.start_timestamps.empty()) {
    GANTRY_CHECK(storage::decode_integers(block.start_timestamps, starts));
  }
  for (std::size_t i = window.first; i < window.end; ++i) {
    out.histograms.push_back({.timestamp_ms = times[i],
                              .start_timestamp_ms = starts[i],
                              .histogram = std::move(histograms[i])});
    // What was before it is in no answer.
    if (i == window.first) forget_hint(out.histograms.back().histogram);
  }
  return {};
}

/// Appends timestamps and start timestamps to columns of any kind.
template <class Columns>
Result<void> append_times(const EncodedBlock& block, std::span<const std::int64_t> times,
                          Columns& columns) {
  const std::size_t before = columns.timestamps_ms.size();
  columns.timestamps_ms.insert(columns.timestamps_ms.end(), times.begin(), times.end());
  return append_start_timestamps(block, before, {.first = 0, .end = times.size()},
                                 columns.start_timestamps_ms);
}

Result<std::span<const std::int64_t>> decode_times(const EncodedBlock& block) {
  if (block.sample_count == 0 || block.sample_count > storage::kBlockValuesMax) {
    return fail(Code::DataLoss, "block has an impossible number of samples");
  }
  thread_local std::vector<std::int64_t> times;
  times.resize(block.sample_count);
  GANTRY_CHECK(storage::decode_timestamps(block.times, times));
  return times;
}

}  // namespace

void FloatColumns::clear() {
  timestamps_ms.clear();
  values.clear();
  start_timestamps_ms.clear();
}

void HistogramColumns::clear() {
  timestamps_ms.clear();
  histograms.clear();
  start_timestamps_ms.clear();
}

Result<void> decode_block_at(const EncodedBlock& block, std::span<const std::int64_t> times,
                             std::int64_t start_ms, std::int64_t end_ms, SampleColumns& out) {
  const Window window = find_window(times, start_ms, end_ms);
  if (window.first >= window.end) return {};
  return block.kind == BlockKind::Float ? decode_floats(block, times, window, out)
                                        : decode_histogram_points(block, times, window, out);
}

Result<void> append_block_at(const EncodedBlock& block, std::span<const std::int64_t> times,
                             FloatColumns& floats, HistogramColumns& histograms) {
  if (block.kind == BlockKind::Float) {
    const std::size_t before = floats.values.size();
    GANTRY_CHECK(append_times(block, times, floats));
    floats.values.resize(before + times.size());
    return decode_values(block.values, std::span(floats.values).subspan(before));
  }
  const std::size_t before = histograms.histograms.size();
  GANTRY_CHECK(append_times(block, times, histograms));
  histograms.histograms.resize(before + times.size());
  return decode_histograms(block.values, std::span(histograms.histograms).subspan(before));
}

Result<void> decode_block(const EncodedBlock& block, std::int64_t start_ms, std::int64_t end_ms,
                          SampleColumns& out) {
  GANTRY_TRY(const std::span<const std::int64_t> times, decode_times(block));
  return decode_block_at(block, times, start_ms, end_ms, out);
}

Result<bool> has_sample(const EncodedBlock& block, std::int64_t start_ms, std::int64_t end_ms) {
  GANTRY_TRY(const std::span<const std::int64_t> times, decode_times(block));
  const auto first = std::ranges::lower_bound(times, start_ms);
  return first != times.end() && *first <= end_ms;
}

Result<void> decode_block(const EncodedBlock& block, FloatColumns& floats,
                          HistogramColumns& histograms) {
  GANTRY_TRY(const std::span<const std::int64_t> times, decode_times(block));
  return append_block_at(block, times, floats, histograms);
}

}  // namespace gantry::metrics
