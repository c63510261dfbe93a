// The reading half of head_series.h.

#include <algorithm>
#include <memory>
#include <vector>

#include "metrics/encoding/read_hints.h"
#include "metrics/head/head_series_internal.h"
#include "metrics/head/open_buffer.h"

namespace gantry::metrics {
namespace {

void append_starts(std::vector<std::int64_t>& starts, std::size_t size_before,
                   std::span<const std::int64_t> added, std::size_t count) {
  if (starts.empty() && added.empty()) return;
  starts.resize(size_before, 0);
  starts.insert(starts.end(), added.begin(), added.end());
  starts.resize(size_before + count, 0);
}

void read_open_floats(const SeriesRecord& record, std::int64_t start_ms, std::int64_t end_ms,
                      promql::SampleColumns& out) {
  const OpenBuffer* const open = record.open;
  if (open == nullptr || start_ms > end_ms) return;
  const std::size_t first = open->lower_bound(start_ms);
  std::size_t last = open->lower_bound(end_ms);
  if (last < open->count && open->time(last) == end_ms) ++last;
  if (first == last) return;
  const std::size_t size_before = out.timestamps_ms.size();
  for (std::size_t i = first; i < last; ++i) out.timestamps_ms.push_back(open->time(i));
  out.values.insert(out.values.end(), open->values() + first, open->values() + last);
  std::span<const std::int64_t> starts;
  if (record.extra != nullptr && !record.extra->open_starts.empty()) {
    starts = std::span(record.extra->open_starts).subspan(first, last - first);
  }
  append_starts(out.start_timestamps_ms, size_before, starts, last - first);
}

void read_late_floats(std::span<const FloatPoint> late, std::int64_t start_ms, std::int64_t end_ms,
                      promql::SampleColumns& out) {
  for (const FloatPoint& point : late) {
    if (point.timestamp_ms < start_ms || point.timestamp_ms > end_ms) continue;
    const std::size_t size_before = out.timestamps_ms.size();
    out.timestamps_ms.push_back(point.timestamp_ms);
    out.values.push_back(point.value);
    const std::int64_t start = point.start_timestamp_ms;
    append_starts(out.start_timestamps_ms, size_before,
                  start == 0 ? std::span<const std::int64_t>() : std::span(&start, 1), 1);
  }
}

void read_histograms(const HistogramColumns& columns, std::int64_t start_ms, std::int64_t end_ms,
                     promql::SampleColumns& out) {
  std::vector<telemetry::FloatHistogram*> made;
  for (std::size_t i = 0; i < columns.timestamps_ms.size(); ++i) {
    const std::int64_t time = columns.timestamps_ms[i];
    if (time < start_ms || time > end_ms) continue;
    auto histogram =
        std::make_shared<telemetry::FloatHistogram>(telemetry::to_float(columns.histograms[i]));
    made.push_back(histogram.get());
    out.histograms.push_back({.timestamp_ms = time,
                              .start_timestamp_ms = columns.start_timestamps_ms.empty()
                                                        ? 0
                                                        : columns.start_timestamps_ms[i],
                              .histogram = std::move(histogram)});
  }
  set_read_hints(made);
}

bool contains_any(std::span<const std::int64_t> times, std::int64_t start_ms, std::int64_t end_ms) {
  const auto found = std::ranges::lower_bound(times, start_ms);
  return found != times.end() && *found <= end_ms;
}

}  // namespace

Result<void> read_head(const SeriesRecord& record, std::int64_t start_ms, std::int64_t end_ms,
                       ColumnMerge<promql::SampleColumns>& merge, promql::SampleColumns& out) {
  constexpr std::size_t kBlocksInline = 64;
  const SealedBlock* inlined[kBlocksInline];
  std::vector<const SealedBlock*> many;
  std::size_t count = 0;
  bool has_late = false;
  for (const SealedBlock* block = record.sealed; block != nullptr; block = block->next) {
    if (block->time_ms_max < start_ms || block->time_ms_min > end_ms) continue;
    has_late = has_late || block->is_late;
    if (count < kBlocksInline) {
      inlined[count] = block;
    } else {
      if (many.empty()) many.assign(inlined, inlined + kBlocksInline);
      many.push_back(block);
    }
    ++count;
  }
  const SealedBlock* const* const blocks = many.empty() ? inlined : many.data();
  const auto read_blocks = [&](bool late) -> Result<void> {
    for (std::size_t i = count; i-- > 0;) {
      if (blocks[i]->is_late != late) continue;
      GANTRY_CHECK(decode_block(blocks[i]->encoded(), start_ms, end_ms, out));
      merge.note_source();
    }
    return {};
  };

  GANTRY_CHECK(read_blocks(false));
  read_open_floats(record, start_ms, end_ms, out);
  if (record.extra != nullptr) {
    read_histograms(record.extra->open_histograms, start_ms, end_ms, out);
  }
  merge.note_source();
  if (has_late) GANTRY_CHECK(read_blocks(true));
  if (record.extra != nullptr) {
    read_late_floats(record.extra->late, start_ms, end_ms, out);
    read_histograms(record.extra->late_histograms, start_ms, end_ms, out);
    merge.note_source();
  }
  return {};
}

const SealedBlock* sealed_before(const SeriesRecord& record, std::uint32_t generation) {
  const SealedBlock* block = record.sealed;
  while (block != nullptr && block->generation >= generation) block = block->next;
  return block;
}

Result<void> read_sealed(const SealedBlock* newest, SeriesColumns& out) {
  out.clear();
  std::vector<const SealedBlock*> blocks;
  for (const SealedBlock* block = newest; block != nullptr; block = block->next) {
    blocks.push_back(block);
  }
  std::reverse(blocks.begin(), blocks.end());
  std::ranges::stable_sort(blocks, {}, [](const SealedBlock* block) { return block->is_late; });
  ColumnMerge<SeriesColumns> merge(out);
  for (const SealedBlock* block : blocks) {
    GANTRY_CHECK(decode_block(block->encoded(), out.floats, out.histograms));
    merge.note_source();
  }
  merge.finish();
  return {};
}

bool has_sample(const SeriesRecord& record, std::int64_t start_ms, std::int64_t end_ms) {
  if (const OpenBuffer* const open = record.open) {
    // Most series end with a float in the open buffer, and most queries with now: then the record
    // alone answers.
    const bool is_newest_open = record.has(kSeriesLastIsFloat);
    if (is_newest_open && record.last_ms >= start_ms && record.last_ms <= end_ms) return true;
    const std::size_t at = open->lower_bound(start_ms);
    if (at < open->count && open->time(at) <= end_ms) return true;
  }
  if (const SeriesExtra* const extra = record.extra) {
    if (contains_any(extra->open_histograms.timestamps_ms, start_ms, end_ms) ||
        contains_any(extra->late_histograms.timestamps_ms, start_ms, end_ms)) {
      return true;
    }
    const auto late =
        std::ranges::lower_bound(extra->late, start_ms, {}, &FloatPoint::timestamp_ms);
    if (late != extra->late.end() && late->timestamp_ms <= end_ms) return true;
  }
  for (const SealedBlock* block = record.sealed; block != nullptr; block = block->next) {
    if (block->time_ms_max < start_ms || block->time_ms_min > end_ms) continue;
    if (block->time_ms_min >= start_ms || block->time_ms_max <= end_ms) return true;
    // The range lies inside the block: only its times tell.
    const Result<bool> found = has_sample(block->encoded(), start_ms, end_ms);
    if (found && *found) return true;
  }
  return false;
}

}  // namespace gantry::metrics
