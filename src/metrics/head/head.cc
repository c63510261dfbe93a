#include "metrics/head/head.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "metrics/head/open_buffer.h"
#include "metrics/head/series_extra.h"

namespace gantry::metrics {
Head::~Head() {
  for (std::uint32_t series = 0; series < registry_.id_count(); ++series) {
    with_series(series,
                [](SeriesRecord& record, HeadContext& context) { drop_all(record, context); });
  }
}

void Head::apply(std::span<const PlannedFloat> floats, ShardSet shards,
                 std::span<const LateChange> replaced) {
  const std::uint32_t now = generation();
  std::size_t next_replaced = 0;
  std::int64_t min_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t max_ms = kNoTime;
  for (std::size_t i = 0; i < floats.size();) {
    const std::size_t shard_index = shard_of(floats[i].series);
    if (shard_index % shards.modulus != shards.remainder) {
      ++i;
      continue;
    }
    Shard& shard = shards_[shard_index];
    const core::Lock lock(shard.mutex);
    for (; i < floats.size() && shard_of(floats[i].series) == shard_index; ++i) {
      // The record first, and once it is there the buffer that it names: only of this shard, whose
      // lock is held.
      if (i + 2 * kPrefetchAhead < floats.size()) {
        __builtin_prefetch(&registry_.record(floats[i + 2 * kPrefetchAhead].series));
        const std::uint32_t ahead = floats[i + kPrefetchAhead].series;
        if (shard_of(ahead) == shard_index) __builtin_prefetch(registry_.record(ahead).open);
      }
      SeriesRecord& record = registry_.record(floats[i].series);
      min_ms = std::min(min_ms, floats[i].point.timestamp_ms);
      max_ms = std::max(max_ms, floats[i].point.timestamp_ms);
      activate(record, shard.context);
      const LateChange* const old = floats[i].mode == StoreMode::Overwrite && !replaced.empty()
                                        ? &replaced[next_replaced++]
                                        : nullptr;
      if (floats[i].point.timestamp_ms <= record.last_ms && readers_.has_any()) {
        keep_change(floats[i].series, record, shard.context, floats[i].point.timestamp_ms, old);
      }
      store_float(record, shard.context, now, floats[i].point, floats[i].mode);
    }
  }
  if (min_ms <= max_ms) widen_times(min_ms, max_ms);
}

void Head::apply(std::span<const PlannedHistogram> histograms,
                 std::span<const LateChange> replaced) {
  const std::uint32_t now = generation();
  std::size_t next_replaced = 0;
  for (const PlannedHistogram& sample : histograms) {
    widen_times(sample.timestamp_ms, sample.timestamp_ms);
    const LateChange* const old = sample.mode == StoreMode::Overwrite && !replaced.empty()
                                      ? &replaced[next_replaced++]
                                      : nullptr;
    with_series(sample.series, [&](SeriesRecord& record, HeadContext& context) {
      activate(record, context);
      if (sample.timestamp_ms <= record.last_ms && readers_.has_any()) {
        keep_change(sample.series, record, context, sample.timestamp_ms, old);
      }
      store_histogram(record, context, now, sample.timestamp_ms, sample.start_timestamp_ms,
                      *sample.histogram, sample.mode);
    });
  }
}

/// Keeps what the series has at a timestamp before that changes. The shard is locked.
void Head::keep_change(std::uint32_t series, const SeriesRecord& record, HeadContext& context,
                       std::int64_t timestamp_ms, const LateChange* replaced) {
  const std::optional<std::uint64_t> sequence = readers_.next_sequence();
  if (!sequence) return;
  LateChange change{.timestamp_ms = timestamp_ms};
  context.columns.clear();
  ColumnMerge<promql::SampleColumns> merge(context.columns);
  if (read_head(record, timestamp_ms, timestamp_ms, merge, context.columns)) {
    merge.finish();
    change = make_change(context.columns, timestamp_ms);
  }
  // It is in a part, or a flush has taken it there since it was checked.
  if (change.before == LateChange::Before::Absent && replaced != nullptr) change = *replaced;
  change.sequence = *sequence;
  context.late_log.add(series, std::move(change));
}

void Head::end_moment(std::uint64_t mark) const {
  const std::optional<std::uint64_t> until = readers_.end(mark);
  if (!until) return;
  std::size_t count = 0;
  for (Shard& shard : shards_) {
    const core::Lock lock(shard.mutex);
    count += shard.context.late_log.forget(*until);
  }
  readers_.note_forgotten(count);
}

Head::Memory Head::memory() const {
  Memory memory{.late_changes = readers_.kept() * sizeof(LateChange)};
  for (Shard& shard : shards_) {
    const core::Lock lock(shard.mutex);
    memory.open += shard.context.open_bytes;
    memory.sealed += shard.context.sealed_bytes;
    memory.extra += shard.context.extra_bytes;
    memory.sealed_count += shard.context.sealed_count;
  }
  return memory;
}

void Head::widen_times(std::int64_t min_ms, std::int64_t max_ms) {
  std::int64_t seen = time_min_.load(std::memory_order_relaxed);
  while ((seen == kNoTime || min_ms < seen) &&
         !time_min_.compare_exchange_weak(seen, min_ms, std::memory_order_relaxed)) {
  }
  seen = time_max_.load(std::memory_order_relaxed);
  while (max_ms > seen &&
         !time_max_.compare_exchange_weak(seen, max_ms, std::memory_order_relaxed)) {
  }
}

}  // namespace gantry::metrics
