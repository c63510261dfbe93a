#include "metrics/index/series_cache.h"

#include <algorithm>
#include <utility>

namespace gantry::metrics {
namespace {

constexpr std::size_t kSlotsMin = 1024;
constexpr std::size_t kGenerationSizeMin = 64 << 10;

}  // namespace

void SeriesCache::Table::insert(const Slot& entry) {
  // At most 5/8 full: a miss ends after few slots.
  if ((count_ + 1) * 8 > slots_.size() * 5) grow();
  std::size_t slot = entry.home & mask_;
  while (slots_[slot].series != kNone) {
    if (slots_[slot].tag == entry.tag && slots_[slot].home == entry.home) {
      slots_[slot].series = entry.series;
      return;
    }
    slot = (slot + 1) & mask_;
  }
  slots_[slot] = entry;
  ++count_;
}

void SeriesCache::Table::grow() {
  std::vector<Slot> old =
      std::exchange(slots_, std::vector<Slot>(slots_.empty() ? kSlotsMin : slots_.size() * 2));
  mask_ = slots_.size() - 1;
  for (const Slot& entry : old) {
    if (entry.series == kNone) continue;
    std::size_t slot = entry.home & mask_;
    while (slots_[slot].series != kNone) slot = (slot + 1) & mask_;
    slots_[slot] = entry;
  }
}

void SeriesCache::find(std::span<const telemetry::BatchSeries> batch,
                       std::span<std::uint32_t> ids) {
  constexpr std::size_t kAhead = 16;
  std::vector<Entry> promoted;
  {
    const core::ReadLock lock(mutex_);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (i + kAhead < batch.size()) current_.prefetch(batch[i + kAhead].key);
      ids[i] = current_.find(batch[i].key);
      if (ids[i] != kNone || previous_.size() == 0) continue;
      ids[i] = previous_.find(batch[i].key);
      if (ids[i] != kNone) promoted.push_back({.key = batch[i].key, .series = ids[i]});
    }
  }
  if (promoted.empty()) return;
  const core::WriteLock lock(mutex_);
  for (const Entry& entry : promoted) {
    current_.insert({.tag = entry.key.high,
                     .home = static_cast<std::uint32_t>(entry.key.low),
                     .series = entry.series});
  }
}

void SeriesCache::insert(std::span<const Entry> entries, std::size_t series_count) {
  const core::WriteLock lock(mutex_);
  const std::size_t size_max = std::max(kGenerationSizeMin, series_count + series_count / 4);
  if (current_.size() + entries.size() > size_max) {
    previous_ = std::exchange(current_, Table());
  }
  for (const Entry& entry : entries) {
    current_.insert({.tag = entry.key.high,
                     .home = static_cast<std::uint32_t>(entry.key.low),
                     .series = entry.series});
  }
}

void SeriesCache::clear() {
  const core::WriteLock lock(mutex_);
  current_ = Table();
  previous_ = Table();
}

std::size_t SeriesCache::allocated_bytes() const {
  const core::ReadLock lock(mutex_);
  return current_.allocated_bytes() + previous_.allocated_bytes();
}

}  // namespace gantry::metrics
