// Native histograms in the head, and erasing: see head_series.h.

#include <algorithm>
#include <utility>

#include "metrics/head/head_series_internal.h"
#include "metrics/head/sealed_block.h"

namespace gantry::metrics {
namespace {

void insert_at(HistogramColumns& columns, std::size_t at, std::int64_t time_ms,
               std::int64_t start_ms, const telemetry::NativeHistogram& histogram) {
  const auto offset = static_cast<std::ptrdiff_t>(at);
  columns.timestamps_ms.insert(columns.timestamps_ms.begin() + offset, time_ms);
  columns.histograms.insert(columns.histograms.begin() + offset, histogram);
  if (columns.start_timestamps_ms.empty() && start_ms == 0) return;
  columns.start_timestamps_ms.resize(columns.timestamps_ms.size() - 1, 0);
  columns.start_timestamps_ms.insert(columns.start_timestamps_ms.begin() + offset, start_ms);
}

/// The histogram at a timestamp as a read would see it, lossless; null if there is none.
const telemetry::NativeHistogram* find_stored(const SeriesRecord& record, HeadContext& context,
                                              std::int64_t time_ms) {
  const telemetry::NativeHistogram* found = nullptr;
  const auto look = [&](const HistogramColumns& columns) {
    const auto at = std::ranges::lower_bound(columns.timestamps_ms, time_ms);
    if (at == columns.timestamps_ms.end() || *at != time_ms) return false;
    found = &columns.histograms[static_cast<std::size_t>(at - columns.timestamps_ms.begin())];
    return true;
  };
  if (record.extra != nullptr &&
      (look(record.extra->late_histograms) || look(record.extra->open_histograms))) {
    return found;
  }
  for (const bool is_late : {true, false}) {
    for (const SealedBlock* block = record.sealed; block != nullptr; block = block->next) {
      if (block->kind != BlockKind::Histogram || block->is_late != is_late ||
          block->time_ms_min > time_ms || block->time_ms_max < time_ms) {
        continue;
      }
      context.lossless.clear();
      if (!decode_block(block->encoded(), context.lossless.floats, context.lossless.histograms)) {
        continue;
      }
      if (look(context.lossless.histograms)) return found;
    }
  }
  return nullptr;
}

void store_in_order(SeriesRecord& record, HeadContext& context, std::int64_t time_ms,
                    std::int64_t start_ms, const telemetry::NativeHistogram& histogram) {
  HistogramColumns& open = extra_of(record).open_histograms;
  insert_at(open, open.timestamps_ms.size(), time_ms, start_ms, histogram);
  record.last_ms = time_ms;
  record.reset(kSeriesLastIsFloat);
  const bool is_full = open.timestamps_ms.size() >= kOpenHistogramsMax;
  settle_extra(record, context);
  if (is_full) seal_histograms(record, context, Lateness::InOrder);
}

}  // namespace

void store_histogram(SeriesRecord& record, HeadContext& context, std::uint32_t generation,
                     std::int64_t timestamp_ms, std::int64_t start_timestamp_ms,
                     const telemetry::NativeHistogram& histogram, StoreMode mode) {
  roll(record, context, generation);
  if (timestamp_ms > record.last_ms) {
    store_in_order(record, context, timestamp_ms, start_timestamp_ms, histogram);
    return;
  }
  // Of two inserts that raced the one in the head stays: histograms have no order to choose by, and
  // no sender sends two for one timestamp.
  if (mode == StoreMode::Insert && find_stored(record, context, timestamp_ms) != nullptr) return;
  HistogramColumns& late = extra_of(record).late_histograms;
  const auto at = std::ranges::lower_bound(late.timestamps_ms, timestamp_ms);
  const auto position = static_cast<std::size_t>(at - late.timestamps_ms.begin());
  if (at != late.timestamps_ms.end() && *at == timestamp_ms) {
    late.histograms[position] = histogram;
    if (!late.start_timestamps_ms.empty()) {
      late.start_timestamps_ms[position] = start_timestamp_ms;
    }
  } else {
    insert_at(late, position, timestamp_ms, start_timestamp_ms, histogram);
  }
  const bool is_full = late.timestamps_ms.size() >= kOpenHistogramsMax;
  settle_extra(record, context);
  if (is_full) seal_histograms(record, context, Lateness::Late);
}

Presence find_histogram(const SeriesRecord& record, HeadContext& context, std::int64_t timestamp_ms,
                        const telemetry::NativeHistogram& histogram) {
  if (timestamp_ms == record.last_ms && record.has(kSeriesLastIsFloat)) return Presence::Different;
  if (const auto* const stored = find_stored(record, context, timestamp_ms)) {
    return telemetry::is_identical(*stored, histogram) ? Presence::Same : Presence::Different;
  }
  // A float there?
  return find_float(record, context, timestamp_ms, 0) == Presence::Absent ? Presence::Absent
                                                                          : Presence::Different;
}

Result<void> erase_samples(SeriesRecord& record, HeadContext& context, std::uint32_t generation,
                           std::int64_t start_ms, std::int64_t end_ms) {
  if (record.last_ms >= start_ms && record.last_ms <= end_ms) record.reset(kSeriesLastIsFloat);
  if (!has_sample(record, start_ms, end_ms)) return {};
  seal_open_floats(record, context);
  seal_histograms(record, context, Lateness::InOrder);
  seal_late_floats(record, context);
  seal_histograms(record, context, Lateness::Late);
  SeriesColumns columns;
  GANTRY_CHECK(read_sealed(record.sealed, columns));
  drop_all(record, context);
  record.generation = generation;

  const auto is_kept = [&](std::int64_t time) { return time < start_ms || time > end_ms; };
  FloatColumns floats;
  for (std::size_t i = 0; i < columns.floats.timestamps_ms.size(); ++i) {
    if (!is_kept(columns.floats.timestamps_ms[i])) continue;
    floats.timestamps_ms.push_back(columns.floats.timestamps_ms[i]);
    floats.values.push_back(columns.floats.values[i]);
    if (!columns.floats.start_timestamps_ms.empty()) {
      floats.start_timestamps_ms.push_back(columns.floats.start_timestamps_ms[i]);
    }
  }
  for (std::size_t i = 0; i < floats.timestamps_ms.size(); i += kLateSamplesMax) {
    const std::size_t count = std::min(kLateSamplesMax, floats.timestamps_ms.size() - i);
    SealSource source{.times = std::span(floats.timestamps_ms).subspan(i, count),
                      .values = std::span(floats.values).subspan(i, count),
                      .generation = generation};
    if (!floats.start_timestamps_ms.empty()) {
      source.starts = std::span(floats.start_timestamps_ms).subspan(i, count);
    }
    seal(record, context, source);
  }
  HistogramColumns& all = columns.histograms;
  HistogramColumns histograms;
  const auto seal_some = [&] {
    if (histograms.timestamps_ms.empty()) return;
    seal(record, context,
         {.times = histograms.timestamps_ms,
          .histograms = histograms.histograms,
          .starts = histograms.start_timestamps_ms,
          .generation = generation});
    histograms.clear();
  };
  for (std::size_t i = 0; i < all.timestamps_ms.size(); ++i) {
    if (!is_kept(all.timestamps_ms[i])) continue;
    const std::int64_t start = all.start_timestamps_ms.empty() ? 0 : all.start_timestamps_ms[i];
    insert_at(histograms, histograms.timestamps_ms.size(), all.timestamps_ms[i], start,
              all.histograms[i]);
    if (histograms.timestamps_ms.size() == kOpenHistogramsMax) seal_some();
  }
  seal_some();
  return {};
}

}  // namespace gantry::metrics
