#include "metrics/head/head_series.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "metrics/encoding/histogram_block.h"
#include "metrics/head/head_series_internal.h"
#include "metrics/head/open_buffer.h"
#include "metrics/head/sealed_block.h"
#include "metrics/head/series_extra.h"

namespace gantry::metrics {
namespace {

bool is_same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

}  // namespace

SeriesExtra& extra_of(SeriesRecord& record) {
  if (record.extra == nullptr) record.extra = new SeriesExtra();
  return *record.extra;
}

namespace {

std::size_t histogram_bytes(const telemetry::NativeHistogram& histogram) {
  return std::visit(
      [](const auto& h) {
        return sizeof(telemetry::NativeHistogram) +
               (h.positive_spans.capacity() + h.negative_spans.capacity() +
                h.positive_counts.capacity() + h.negative_counts.capacity() +
                h.custom_values.capacity()) *
                   sizeof(double);
      },
      histogram);
}

}  // namespace

void settle_extra(SeriesRecord& record, HeadContext& context) {
  SeriesExtra* const extra = record.extra;
  if (extra == nullptr) return;
  context.extra_bytes -= extra->counted_bytes;
  if (extra->is_empty()) {
    delete extra;
    record.extra = nullptr;
    return;
  }
  std::size_t bytes = sizeof(SeriesExtra) + extra->open_starts.capacity() * sizeof(std::int64_t) +
                      extra->late.capacity() * sizeof(FloatPoint);
  for (const HistogramColumns* columns : {&extra->open_histograms, &extra->late_histograms}) {
    bytes += 2 * columns->timestamps_ms.capacity() * sizeof(std::int64_t);
    if (!columns->histograms.empty()) {
      // Histograms of one series are alike: the last one stands for all.
      bytes += columns->histograms.size() * histogram_bytes(columns->histograms.back());
    }
  }
  extra->counted_bytes = bytes;
  context.extra_bytes += bytes;
}

void seal_open_floats(SeriesRecord& record, HeadContext& context) {
  OpenBuffer* const open = record.open;
  if (open == nullptr) return;
  context.times.clear();
  for (std::size_t i = 0; i < open->count; ++i) context.times.push_back(open->time(i));
  const bool has_starts = record.extra != nullptr && !record.extra->open_starts.empty();
  SealSource source{.times = context.times,
                    .values = {open->values(), open->count},
                    .generation = record.generation};
  if (has_starts) source.starts = record.extra->open_starts;
  seal(record, context, source);
  free_buffer(record.open, context.open_bytes);
  if (has_starts) {
    record.extra->open_starts.clear();
    settle_extra(record, context);
  }
}

void seal_late_floats(SeriesRecord& record, HeadContext& context) {
  if (record.extra == nullptr || record.extra->late.empty()) return;
  FloatColumns columns;
  for (const FloatPoint& point : record.extra->late) {
    columns.timestamps_ms.push_back(point.timestamp_ms);
    columns.values.push_back(point.value);
    columns.start_timestamps_ms.push_back(point.start_timestamp_ms);
  }
  seal(record, context,
       {.times = columns.timestamps_ms,
        .values = columns.values,
        .starts = columns.start_timestamps_ms,
        .generation = record.generation,
        .is_late = true});
  record.extra->late.clear();
  settle_extra(record, context);
}

void seal_histograms(SeriesRecord& record, HeadContext& context, Lateness lateness) {
  if (record.extra == nullptr) return;
  HistogramColumns& columns =
      lateness == Lateness::Late ? record.extra->late_histograms : record.extra->open_histograms;
  if (columns.timestamps_ms.empty()) return;
  seal(record, context,
       {.times = columns.timestamps_ms,
        .histograms = columns.histograms,
        .starts = columns.start_timestamps_ms,
        .generation = record.generation,
        .is_late = lateness == Lateness::Late});
  columns.clear();
  settle_extra(record, context);
}

namespace {

void append_in_order(SeriesRecord& record, HeadContext& context, const FloatPoint& point) {
  if (!append(record.open, context.open_bytes, point.timestamp_ms, point.value)) {
    seal_open_floats(record, context);
    merge_sealed(record, context);
    const bool is_appended =
        append(record.open, context.open_bytes, point.timestamp_ms, point.value);
    GANTRY_ASSERT(is_appended, "an empty buffer takes any sample");
  }
  const bool has_starts = record.extra != nullptr && !record.extra->open_starts.empty();
  if (has_starts || point.start_timestamp_ms != 0) {
    std::vector<std::int64_t>& starts = extra_of(record).open_starts;
    starts.resize(record.open->count - std::size_t{1}, 0);
    starts.push_back(point.start_timestamp_ms);
    settle_extra(record, context);
  }
  record.last_ms = point.timestamp_ms;
  record.last_value = point.value;
  record.set(kSeriesLastIsFloat);
}

/// Where `time_ms` is, or belongs, among ascending points.
auto late_position(std::vector<FloatPoint>& late, std::int64_t time_ms) {
  return std::ranges::lower_bound(late, time_ms, {}, &FloatPoint::timestamp_ms);
}

/// Changes the value where the sample is still open. False if it is not.
bool replace_open(SeriesRecord& record, const FloatPoint& point) {
  if (record.extra != nullptr) {
    const auto late = late_position(record.extra->late, point.timestamp_ms);
    if (late != record.extra->late.end() && late->timestamp_ms == point.timestamp_ms) {
      *late = point;
      return true;
    }
  }
  // A late sealed block would win over the open buffer when read.
  for (const SealedBlock* block = record.sealed; block != nullptr; block = block->next) {
    if (block->is_late && block->time_ms_min <= point.timestamp_ms &&
        point.timestamp_ms <= block->time_ms_max) {
      return false;
    }
  }
  OpenBuffer* const open = record.open;
  if (open == nullptr) return false;
  const std::size_t at = open->lower_bound(point.timestamp_ms);
  if (at == open->count || open->time(at) != point.timestamp_ms) return false;
  open->values()[at] = point.value;
  if (record.extra != nullptr && !record.extra->open_starts.empty()) {
    record.extra->open_starts[at] = point.start_timestamp_ms;
  }
  return true;
}

void store_late(SeriesRecord& record, HeadContext& context, const FloatPoint& point) {
  if (!replace_open(record, point)) {
    std::vector<FloatPoint>& late = extra_of(record).late;
    late.insert(late_position(late, point.timestamp_ms), point);
    settle_extra(record, context);
    if (late.size() >= kLateSamplesMax) seal_late_floats(record, context);
  }
  if (point.timestamp_ms == record.last_ms && record.has(kSeriesLastIsFloat)) {
    record.last_value = point.value;
  }
}

/// The float at a timestamp, as a read would see it.
bool find_value(const SeriesRecord& record, HeadContext& context, std::int64_t time_ms,
                double& value) {
  if (time_ms == record.last_ms && record.has(kSeriesLastIsFloat)) {
    value = record.last_value;
    return true;
  }
  context.columns.clear();
  ColumnMerge<promql::SampleColumns> merge(context.columns);
  if (!read_head(record, time_ms, time_ms, merge, context.columns)) return false;
  merge.finish();
  if (context.columns.values.empty()) return false;
  value = context.columns.values.back();
  return true;
}

}  // namespace

bool has_data(const SeriesRecord& record) {
  return record.open != nullptr || record.sealed != nullptr ||
         (record.extra != nullptr && !record.extra->is_empty());
}

void roll(SeriesRecord& record, HeadContext& context, std::uint32_t generation) {
  if (record.generation == generation) return;
  seal_open_floats(record, context);
  seal_histograms(record, context, Lateness::InOrder);
  seal_late_floats(record, context);
  seal_histograms(record, context, Lateness::Late);
  record.generation = generation;
}

void store_float(SeriesRecord& record, HeadContext& context, std::uint32_t generation,
                 const FloatPoint& point, StoreMode mode) {
  roll(record, context, generation);
  if (point.timestamp_ms > record.last_ms) {
    append_in_order(record, context, point);
    return;
  }
  double existing = 0;
  if (mode == StoreMode::Insert && find_value(record, context, point.timestamp_ms, existing) &&
      std::bit_cast<std::uint64_t>(existing) >= std::bit_cast<std::uint64_t>(point.value)) {
    return;
  }
  store_late(record, context, point);
}

Presence find_float(const SeriesRecord& record, HeadContext& context, std::int64_t timestamp_ms,
                    double value) {
  if (timestamp_ms == record.last_ms && record.has(kSeriesLastIsFloat)) {
    return is_same(record.last_value, value) ? Presence::Same : Presence::Different;
  }
  context.columns.clear();
  ColumnMerge<promql::SampleColumns> merge(context.columns);
  // A block that cannot be decoded has been in memory all along: nothing is known to be there.
  if (!read_head(record, timestamp_ms, timestamp_ms, merge, context.columns)) {
    return Presence::Absent;
  }
  merge.finish();
  if (!context.columns.histograms.empty()) return Presence::Different;
  if (context.columns.values.empty()) return Presence::Absent;
  return is_same(context.columns.values.back(), value) ? Presence::Same : Presence::Different;
}

void drop_sealed(SeriesRecord& record, HeadContext& context, std::uint32_t generation) {
  SealedBlock** link = &record.sealed;
  while (*link != nullptr) {
    SealedBlock* const block = *link;
    if (block->generation < generation) {
      *link = block->next;
      free_block(block, context);
    } else {
      link = &block->next;
    }
  }
}

void drop_all(SeriesRecord& record, HeadContext& context) {
  while (record.sealed != nullptr) {
    SealedBlock* const block = std::exchange(record.sealed, record.sealed->next);
    free_block(block, context);
  }
  free_buffer(record.open, context.open_bytes);
  if (record.extra != nullptr) {
    context.extra_bytes -= record.extra->counted_bytes;
    delete std::exchange(record.extra, nullptr);
  }
}

}  // namespace gantry::metrics
