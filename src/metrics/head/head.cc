#include "metrics/head/head.h"

#include <algorithm>

#include "metrics/head/open_buffer.h"
#include "metrics/head/series_extra.h"

namespace gantry::metrics {
Head::~Head() {
  for (std::uint32_t series = 0; series < registry_.id_count(); ++series) {
    with_series(series,
                [](SeriesRecord& record, HeadContext& context) { drop_all(record, context); });
  }
}

void Head::apply(std::span<const PlannedFloat> floats, ShardSet shards) {
  const std::uint32_t now = generation();
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
      store_float(record, shard.context, now, floats[i].point, floats[i].mode);
    }
  }
  if (min_ms <= max_ms) widen_times(min_ms, max_ms);
}

void Head::apply(std::span<const PlannedHistogram> histograms) {
  const std::uint32_t now = generation();
  for (const PlannedHistogram& sample : histograms) {
    widen_times(sample.timestamp_ms, sample.timestamp_ms);
    with_series(sample.series, [&](SeriesRecord& record, HeadContext& context) {
      activate(record, context);
      store_histogram(record, context, now, sample.timestamp_ms, sample.start_timestamp_ms,
                      *sample.histogram, sample.mode);
    });
  }
}

Head::Memory Head::memory() const {
  Memory memory;
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
