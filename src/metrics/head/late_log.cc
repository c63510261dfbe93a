#include "metrics/head/late_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "metrics/encoding/read_hints.h"

namespace gantry::metrics {
namespace {

auto histogram_position(promql::SampleColumns& columns, std::int64_t timestamp_ms) {
  return std::ranges::lower_bound(columns.histograms, timestamp_ms, {},
                                  &promql::SampleColumns::HistogramPoint::timestamp_ms);
}

void remove_at(std::int64_t timestamp_ms, promql::SampleColumns& columns) {
  const auto time = std::ranges::lower_bound(columns.timestamps_ms, timestamp_ms);
  if (time != columns.timestamps_ms.end() && *time == timestamp_ms) {
    const auto at = time - columns.timestamps_ms.begin();
    columns.timestamps_ms.erase(time);
    columns.values.erase(columns.values.begin() + at);
    if (!columns.start_timestamps_ms.empty()) {
      columns.start_timestamps_ms.erase(columns.start_timestamps_ms.begin() + at);
    }
  }
  const auto histogram = histogram_position(columns, timestamp_ms);
  if (histogram == columns.histograms.end() || histogram->timestamp_ms != timestamp_ms) return;
  const auto next = columns.histograms.erase(histogram);
  if (next != columns.histograms.end()) forget_hint(next->histogram);
}

void insert(const LateChange& change, promql::SampleColumns& columns) {
  if (change.before == LateChange::Before::Histogram) {
    const auto at = columns.histograms.insert(histogram_position(columns, change.timestamp_ms),
                                              {.timestamp_ms = change.timestamp_ms,
                                               .start_timestamp_ms = change.start_timestamp_ms,
                                               .histogram = change.histogram});
    if (at + 1 != columns.histograms.end()) forget_hint((at + 1)->histogram);
    return;
  }
  const auto time = std::ranges::lower_bound(columns.timestamps_ms, change.timestamp_ms);
  const auto at = time - columns.timestamps_ms.begin();
  if (columns.start_timestamps_ms.empty() && change.start_timestamp_ms != 0) {
    columns.start_timestamps_ms.resize(columns.timestamps_ms.size());
  }
  columns.timestamps_ms.insert(time, change.timestamp_ms);
  columns.values.insert(columns.values.begin() + at, change.value);
  if (!columns.start_timestamps_ms.empty() || change.start_timestamp_ms != 0) {
    columns.start_timestamps_ms.insert(columns.start_timestamps_ms.begin() + at,
                                       change.start_timestamp_ms);
  }
}

}  // namespace

LateChange make_change(const promql::SampleColumns& columns, std::int64_t timestamp_ms) {
  LateChange change{.timestamp_ms = timestamp_ms};
  const auto time = std::ranges::lower_bound(columns.timestamps_ms, timestamp_ms);
  if (time != columns.timestamps_ms.end() && *time == timestamp_ms) {
    const auto at = static_cast<std::size_t>(time - columns.timestamps_ms.begin());
    change.before = LateChange::Before::Float;
    change.value = columns.values[at];
    if (!columns.start_timestamps_ms.empty()) {
      change.start_timestamp_ms = columns.start_timestamps_ms[at];
    }
    return change;
  }
  for (const auto& point : columns.histograms) {
    if (point.timestamp_ms != timestamp_ms) continue;
    change.before = LateChange::Before::Histogram;
    change.start_timestamp_ms = point.start_timestamp_ms;
    change.histogram = point.histogram;
  }
  return change;
}

void undo_changes(std::span<const LateChange> changes, promql::SampleColumns& columns) {
  // From the newest to the oldest, so that each timestamp ends as the oldest change found it.
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    remove_at(change->timestamp_ms, columns);
    if (change->before != LateChange::Before::Absent) insert(*change, columns);
  }
}

void LateLog::add(std::uint32_t series, LateChange change) {
  newest_ = change.sequence;
  changes_[series].push_back(std::move(change));
}

void LateLog::find(std::uint32_t series, std::uint64_t mark, std::int64_t start_ms,
                   std::int64_t end_ms, std::vector<LateChange>& out) const {
  out.clear();
  if (newest_ <= mark) return;
  const auto found = changes_.find(series);
  if (found == changes_.end()) return;
  const auto first = std::ranges::upper_bound(found->second, mark, {}, &LateChange::sequence);
  std::copy_if(first, found->second.end(), std::back_inserter(out), [&](const LateChange& change) {
    return change.timestamp_ms >= start_ms && change.timestamp_ms <= end_ms;
  });
}

std::size_t LateLog::forget(std::uint64_t mark) {
  std::size_t count = 0;
  for (auto entry = changes_.begin(); entry != changes_.end();) {
    std::vector<LateChange>& changes = entry->second;
    const auto first = std::ranges::upper_bound(changes, mark, {}, &LateChange::sequence);
    count += static_cast<std::size_t>(first - changes.begin());
    changes.erase(changes.begin(), first);
    entry = changes.empty() ? changes_.erase(entry) : std::next(entry);
  }
  return count;
}

std::uint64_t LateReaders::begin() {
  const core::Lock lock(mutex_);
  count_.fetch_add(1, std::memory_order_relaxed);
  // A change that the reader's caller knows of has a number up to this one: whatever told it of
  // the change has ordered the two.
  const std::uint64_t mark = sequence_.load(std::memory_order_relaxed);
  marks_.insert(mark);
  return mark;
}

std::optional<std::uint64_t> LateReaders::end(std::uint64_t mark) {
  const core::Lock lock(mutex_);
  marks_.erase(marks_.find(mark));
  count_.fetch_sub(1, std::memory_order_relaxed);
  const std::size_t kept = kept_.load(std::memory_order_relaxed);
  if (kept == 0) return std::nullopt;
  // A reader that begins after this has a mark that is no lower.
  if (marks_.empty()) return sequence_.load(std::memory_order_relaxed);
  // While readers overlap without end it pays only when much has gathered since the last time.
  if (kept < forget_at_ || *marks_.begin() <= mark) return std::nullopt;
  return *marks_.begin();
}

void LateReaders::note_forgotten(std::size_t count) {
  const core::Lock lock(mutex_);
  const std::size_t kept = kept_.fetch_sub(count, std::memory_order_relaxed) - count;
  forget_at_ = std::max(kForgetAt, 2 * kept);
}

std::optional<std::uint64_t> LateReaders::next_sequence() {
  if (kept_.fetch_add(1, std::memory_order_relaxed) >= kChangesMax) {
    kept_.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return sequence_.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace gantry::metrics
