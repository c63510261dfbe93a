#include "metrics/annotations/exemplar_storage.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

namespace gantry::metrics {
namespace {

struct Entry {
  std::uint64_t sequence = 0;
  StoredExemplar exemplar;
};

std::size_t bytes_of(const StoredExemplar& exemplar) {
  std::size_t bytes = sizeof(Entry);
  for (const telemetry::Label& label : exemplar.labels) {
    bytes += sizeof(telemetry::Label) + label.name.size() + label.value.size();
  }
  return bytes;
}

bool is_same(const StoredExemplar& a, const StoredExemplar& b) {
  return a.timestamp_ms == b.timestamp_ms && a.labels == b.labels &&
         std::bit_cast<std::uint64_t>(a.value) == std::bit_cast<std::uint64_t>(b.value);
}

}  // namespace

struct ExemplarStorage::SeriesTable {
  boost::unordered_flat_map<std::uint32_t, std::deque<Entry>> by_series;
  /// Series in order of arrival: the front names the oldest exemplar, which is the front of its
  /// series. An entry whose sequence is gone was removed with its series.
  std::deque<std::pair<std::uint64_t, std::uint32_t>> arrivals;
};

std::shared_ptr<ExemplarStorage::SeriesTable> ExemplarStorage::make_table() {
  return std::make_shared<SeriesTable>();
}

ExemplarStorage::Verdict ExemplarStorage::check(const StoredExemplar& exemplar) const {
  const core::Lock lock(mutex_);
  if (count_max_ == 0) return Verdict::Disabled;
  const auto found = table_->by_series.find(exemplar.series);
  if (found == table_->by_series.end()) return Verdict::New;
  const StoredExemplar& newest = found->second.back().exemplar;
  if (is_same(newest, exemplar)) return Verdict::Known;
  return exemplar.timestamp_ms > newest.timestamp_ms ? Verdict::New : Verdict::OutOfOrder;
}

void ExemplarStorage::add(StoredExemplar exemplar) {
  const core::Lock lock(mutex_);
  if (count_max_ == 0) return;
  std::deque<Entry>& entries = table_->by_series[exemplar.series];
  if (!entries.empty() && entries.back().exemplar.timestamp_ms >= exemplar.timestamp_ms) return;
  table_->arrivals.emplace_back(next_sequence_, exemplar.series);
  bytes_ += bytes_of(exemplar);
  entries.push_back({.sequence = next_sequence_++, .exemplar = std::move(exemplar)});
  ++count_;
  while (count_ > count_max_) evict_oldest();
}

void ExemplarStorage::evict_oldest() {
  while (!table_->arrivals.empty()) {
    const auto [sequence, series] = table_->arrivals.front();
    table_->arrivals.pop_front();
    const auto found = table_->by_series.find(series);
    if (found == table_->by_series.end() || found->second.front().sequence != sequence) continue;
    bytes_ -= bytes_of(found->second.front().exemplar);
    found->second.pop_front();
    if (found->second.empty()) table_->by_series.erase(found);
    --count_;
    return;
  }
}

void ExemplarStorage::for_each(std::uint32_t series, std::int64_t start_ms, std::int64_t end_ms,
                               const std::function<void(const StoredExemplar&)>& visit) const {
  std::vector<StoredExemplar> found_entries;
  {
    const core::Lock lock(mutex_);
    const auto found = table_->by_series.find(series);
    if (found == table_->by_series.end()) return;
    for (const Entry& entry : found->second) {
      const std::int64_t time = entry.exemplar.timestamp_ms;
      if (time >= start_ms && time <= end_ms) found_entries.push_back(entry.exemplar);
    }
  }
  for (const StoredExemplar& exemplar : found_entries) visit(exemplar);
}

std::vector<StoredExemplar> ExemplarStorage::all() const {
  std::vector<std::pair<std::uint64_t, const StoredExemplar*>> order;
  std::vector<StoredExemplar> out;
  const core::Lock lock(mutex_);
  for (const auto& [series, entries] : table_->by_series) {
    for (const Entry& entry : entries) order.emplace_back(entry.sequence, &entry.exemplar);
  }
  std::ranges::sort(order);
  out.reserve(order.size());
  for (const auto& [sequence, exemplar] : order) out.push_back(*exemplar);
  return out;
}

std::vector<std::uint32_t> ExemplarStorage::series() const {
  std::vector<std::uint32_t> out;
  const core::Lock lock(mutex_);
  for (const auto& [series, entries] : table_->by_series) out.push_back(series);
  std::ranges::sort(out);
  return out;
}

void ExemplarStorage::remove(std::span<const std::uint32_t> series) {
  const core::Lock lock(mutex_);
  for (const std::uint32_t id : series) {
    const auto found = table_->by_series.find(id);
    if (found == table_->by_series.end()) continue;
    for (const Entry& entry : found->second) bytes_ -= bytes_of(entry.exemplar);
    count_ -= found->second.size();
    table_->by_series.erase(found);
  }
}

void ExemplarStorage::set_count_max(std::size_t count_max) {
  const core::Lock lock(mutex_);
  count_max_ = count_max;
  while (count_ > count_max_) evict_oldest();
}

std::size_t ExemplarStorage::size() const {
  const core::Lock lock(mutex_);
  return count_;
}

std::size_t ExemplarStorage::allocated_bytes() const {
  const core::Lock lock(mutex_);
  return bytes_ + table_->arrivals.size() * sizeof(table_->arrivals.front());
}

}  // namespace gantry::metrics
