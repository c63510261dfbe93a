#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "broadcast/queue_lane_internal.h"
#include "core/log.h"

namespace gantry::broadcast {
namespace {

using storage::LogPosition;

// As many heads as take about a millisecond to read: a reader that is told to stop does.
constexpr int kScanItemsMax = 512;

}  // namespace

QueueLane::QueueLane(storage::FileSystem& files, const storage::Path& log_directory,
                     const DurableEnd& end, const Queue::Options& options, CursorState cursor,
                     std::shared_ptr<LaneCounters> counters)
    : id_(std::move(cursor.destination)),
      end_(end),
      options_(options),
      counters_(std::move(counters)),
      written_ns_(monotonic_ns()),
      reader_(files, log_directory),
      scan_(cursor.resume),
      listed_(std::move(cursor.unfinished)) {}

void QueueLane::restore(LogPosition position, const ItemHead& head) {
  const core::Lock lock(mutex_);
  if (position >= scan_) {
    const core::Lock count_lock(count_mutex_);
    Tally& tally = tallies_[position.segment];
    ++tally.items;
    tally.bytes += head.payload_bytes;
  } else if (!std::ranges::binary_search(listed_, position)) {
    return;
  } else {
    add_entry(position, head);
    touched_ = position;
  }
  const core::Lock count_lock(count_mutex_);
  ++items_;
  bytes_ += head.payload_bytes;
}

void QueueLane::restore_damage(LogPosition position) {
  const core::Lock lock(mutex_);
  // A listed item that is damaged is counted at the end.
  if (position >= scan_) counters_->add(DropReason::Corrupt, 1);
}

void QueueLane::end_restore() {
  const core::Lock lock(mutex_);
  counters_->add(DropReason::Corrupt, listed_.size() - open_.size());
  listed_ = {};
}

void QueueLane::expect(std::uint32_t segment, std::size_t bytes) {
  const core::Lock lock(count_mutex_);
  Tally& tally = tallies_[segment];
  ++tally.items;
  ++tally.pending;
  tally.bytes += bytes;
  ++items_;
  bytes_ += bytes;
}

void QueueLane::settle(std::uint32_t segment, std::size_t bytes, Settled settled) {
  const core::Lock lock(count_mutex_);
  Tally& tally = tallies_[segment];
  --tally.pending;
  // A record that could not be cut off the log after its failure may have been read meanwhile.
  if (settled == Settled::Failed && tally.items > 0) {
    --tally.items;
    tally.bytes -= bytes;
    --items_;
    bytes_ -= bytes;
  }
  ++generation_;
  changed_.notify_all();
}

void QueueLane::wake() {
  const core::Lock lock(count_mutex_);
  ++generation_;
  changed_.notify_all();
}

std::optional<std::uint32_t> QueueLane::first_counted_segment() {
  const core::Lock lock(count_mutex_);
  while (!tallies_.empty()) {
    const auto& [segment, tally] = *tallies_.begin();
    if (tally.items > 0) return segment;
    // Its count is found by appends that have not settled.
    if (tally.pending > 0) {
      const auto counted =
          std::ranges::find_if(tallies_, [](const auto& entry) { return entry.second.items > 0; });
      return counted == tallies_.end() ? std::nullopt : std::optional(counted->first);
    }
    tallies_.erase(tallies_.begin());
  }
  return std::nullopt;
}

bool QueueLane::uncount(std::uint32_t segment, std::uint64_t bytes) {
  const core::Lock lock(count_mutex_);
  const auto tally = tallies_.find(segment);
  if (tally == tallies_.end() || tally->second.items == 0) return false;
  --tally->second.items;
  tally->second.bytes -= std::min(tally->second.bytes, bytes);
  return true;
}

bool QueueLane::write_off_rest(LogPosition end) {
  const core::Lock lock(count_mutex_);
  Tally& tally = tallies_[scan_.segment];
  // What was appended since `end` was asked for is counted too.
  if (tally.pending > 0 || (scan_.segment >= end.segment && end_.position() != end)) return false;
  counters_->add(DropReason::Corrupt, tally.items);
  items_ -= tally.items;
  bytes_ -= tally.bytes;
  tally = {};
  return true;
}

void QueueLane::add_entry(LogPosition position, const ItemHead& head) {
  open_.emplace(position, Entry{.position = position,
                                .created_ms = head.created_ms,
                                .order_key = head.order_key,
                                .payload_bytes = head.payload_bytes});
  ++ready_count_;
}

Result<bool> QueueLane::scan_record(LogPosition end) {
  GANTRY_TRY(const ItemReader::Step step, reader_.look(scan_, end));
  switch (step) {
    case ItemReader::Step::Item:
      // An item that is not counted was never acknowledged.
      if (reader_.head().names(id_) && uncount(scan_.segment, reader_.head().payload_bytes)) {
        add_entry(reader_.position(), reader_.head());
      }
      break;
    case ItemReader::Step::Other:
      break;
    case ItemReader::Step::Damaged:
      log::warn(
          "broadcast queue damaged",
          {{"destination", id_}, {"segment", scan_.segment}, {"offset_bytes", scan_.offset_bytes}});
      break;
    case ItemReader::Step::End:
      if (!write_off_rest(end)) return false;
      if (scan_.segment >= end.segment) return false;
      scan_ = {.segment = scan_.segment + 1, .offset_bytes = 0};
      return true;
  }
  if (reader_.next().segment > scan_.segment && !write_off_rest(end)) return false;
  scan_ = reader_.next();
  return true;
}

Result<bool> QueueLane::scan_some() {
  const LogPosition end = end_.position();
  for (int i = 0; i < kScanItemsMax; ++i) {
    if (ready_count_ >= options_.read_ahead_items_max) return false;
    const std::optional<std::uint32_t> segment = first_counted_segment();
    if (!segment) {
      scan_ = std::max(scan_, end);
      return false;
    }
    if (*segment > scan_.segment) scan_ = {.segment = *segment, .offset_bytes = 0};
    if (scan_ >= end) {
      static_cast<void>(write_off_rest(end));
      return false;
    }
    GANTRY_TRY(const bool has_advanced, scan_record(end));
    if (!has_advanced) return false;
  }
  return true;
}

QueueLane::Selection QueueLane::select(const Queue::ReadLimits& limits, std::int64_t oldest_ms) {
  Selection selection;
  std::uint64_t bytes = 0;
  for (auto entry = open_.begin(); entry != open_.end();) {
    const Entry& item = entry->second;
    if (item.is_in_flight) {
      ++entry;
      continue;
    }
    if (item.created_ms < oldest_ms) {
      entry = drop(entry, DropReason::TooOld);
      continue;
    }
    const bool is_wanted = item.order_key % limits.order_shards == limits.order_shard;
    if (is_wanted && (item.order_key == 0 || !keys_in_flight_.contains(item.order_key))) {
      const bool fits =
          selection.positions.empty() || bytes + item.payload_bytes <= limits.bytes_max;
      if (fits) selection.positions.push_back(item.position);
      bytes += item.payload_bytes;
      selection.is_full =
          !fits || bytes >= limits.bytes_max || selection.positions.size() >= limits.items_max;
      if (selection.is_full) return selection;
    }
    ++entry;
  }
  return selection;
}

Result<QueueLane::Taken> QueueLane::take(const Queue::ReadLimits& limits, Take mode,
                                         std::int64_t now_ms) {
  const std::int64_t oldest_ms = now_ms - options_.age_max.count;
  const core::Lock lock(mutex_);
  Selection selection = select(limits, oldest_ms);
  Taken taken;
  if (!selection.is_full) {
    GANTRY_TRY(taken.has_more_to_scan, scan_some());
    selection = select(limits, oldest_ms);
  }
  taken.has_some = !selection.positions.empty();
  const bool is_enough =
      selection.is_full || (mode == Take::WhatThereIs && !taken.has_more_to_scan);
  if (!is_enough) return taken;
  taken.entries.reserve(selection.positions.size());
  for (const LogPosition position : selection.positions) {
    Entry& entry = open_.at(position);
    entry.is_in_flight = true;
    --ready_count_;
    if (entry.order_key != 0) ++keys_in_flight_[entry.order_key];
    touched_ = std::max(touched_, position);
    taken.entries.push_back(entry);
  }
  return taken;
}

void QueueLane::land(Entry& entry) {
  entry.is_in_flight = false;
  ++ready_count_;
  if (entry.order_key == 0) return;
  const auto key = keys_in_flight_.find(entry.order_key);
  if (--key->second == 0) keys_in_flight_.erase(key);
}

QueueLane::Entries::iterator QueueLane::erase(Entries::iterator entry) {
  {
    const core::Lock lock(count_mutex_);
    --items_;
    bytes_ -= entry->second.payload_bytes;
  }
  --ready_count_;
  touched_ = std::max(touched_, entry->first);
  return open_.erase(entry);
}

QueueLane::Entries::iterator QueueLane::drop(Entries::iterator entry, DropReason reason) {
  counters_->add(reason, 1);
  return erase(entry);
}

void QueueLane::finish(std::span<const LogPosition> positions, Outcome outcome) {
  {
    const core::Lock lock(mutex_);
    for (const LogPosition position : positions) {
      const auto entry = open_.find(position);
      if (entry == open_.end() || !entry->second.is_in_flight) continue;
      land(entry->second);
      erase(entry);
      counters_->add(outcome, 1);
    }
  }
  wake();
}

void QueueLane::give_back(std::span<const LogPosition> positions) {
  {
    const core::Lock lock(mutex_);
    for (const LogPosition position : positions) {
      const auto entry = open_.find(position);
      if (entry != open_.end() && entry->second.is_in_flight) land(entry->second);
    }
  }
  wake();
}

void QueueLane::discard_corrupt(LogPosition position) {
  {
    const core::Lock lock(mutex_);
    const auto entry = open_.find(position);
    if (entry == open_.end() || !entry->second.is_in_flight) return;
    land(entry->second);
    drop(entry, DropReason::Corrupt);
  }
  wake();
}

bool QueueLane::is_over_budget() const {
  const core::Lock lock(count_mutex_);
  return bytes_ > options_.bytes_max;
}

Result<void> QueueLane::drop_over_budget() {
  const core::Lock lock(mutex_);
  bool has_more = true;
  while (has_more) {
    for (auto entry = open_.begin(); entry != open_.end();) {
      if (!is_over_budget()) return {};
      entry = entry->second.is_in_flight ? std::next(entry) : drop(entry, DropReason::QueueFull);
    }
    const std::size_t ready_before = ready_count_;
    GANTRY_TRY(has_more, scan_some());
    has_more = has_more || ready_count_ > ready_before;
  }
  return {};
}

Result<void> QueueLane::drop_older_than(std::int64_t created_ms) {
  const core::Lock lock(mutex_);
  bool has_more = true;
  while (has_more) {
    for (auto entry = open_.begin(); entry != open_.end();) {
      const bool is_old = !entry->second.is_in_flight && entry->second.created_ms < created_ms;
      entry = is_old ? drop(entry, DropReason::TooOld) : std::next(entry);
    }
    if (ready_count_ > 0) return {};
    GANTRY_TRY(has_more, scan_some());
    has_more = has_more || ready_count_ > 0;
  }
  return {};
}

Result<void> QueueLane::drop_through(std::uint32_t segment) {
  const core::Lock lock(mutex_);
  bool has_more = true;
  while (has_more) {
    for (auto entry = open_.begin(); entry != open_.end() && entry->first.segment <= segment;) {
      entry = entry->second.is_in_flight ? std::next(entry) : drop(entry, DropReason::QueueFull);
    }
    if (scan_.segment > segment) return {};
    const std::size_t ready_before = ready_count_;
    GANTRY_TRY(has_more, scan_some());
    has_more = has_more || ready_count_ > ready_before;
  }
  return {};
}

Result<void> QueueLane::remove_cursor(CursorStore& store) {
  const core::Lock write_lock(write_mutex_);
  GANTRY_CHECK(store.remove(id_));
  const core::Lock lock(count_mutex_);
  is_removed_ = true;
  counters_->add(DropReason::Removed, items_);
  ++generation_;
  changed_.notify_all();
  return {};
}

bool QueueLane::is_removed() const {
  const core::Lock lock(count_mutex_);
  return is_removed_;
}

std::uint64_t QueueLane::generation() const {
  const core::Lock lock(count_mutex_);
  return generation_;
}

void QueueLane::wait_for_change(std::uint64_t generation, std::int64_t timeout_ns) const {
  const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(timeout_ns);
  core::Lock lock(count_mutex_);
  while (generation_ == generation) {
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) return;
  }
}

QueueDepth QueueLane::depth() {
  QueueDepth depth;
  const core::Lock lock(mutex_);
  bool has_more = true;
  while (open_.empty() && has_more) has_more = scan_some().value_or(false);
  if (!open_.empty()) depth.oldest_ms = open_.begin()->second.created_ms;
  const core::Lock count_lock(count_mutex_);
  depth.items = items_;
  depth.bytes = bytes_;
  return depth;
}

void QueueLane::advance_if_idle() {
  const LogPosition end = end_.position();
  // Within a segment there is nothing to gain, and each step would be a write.
  if (scan_.segment >= end.segment || !open_.empty()) return;
  if (!first_counted_segment()) scan_ = std::max(scan_, end);
}

CursorState QueueLane::cursor() const {
  CursorState state{.destination = id_, .resume = scan_};
  for (const auto& [position, entry] : open_) {
    if (position > touched_) {
      state.resume = position;
      break;
    }
    state.unfinished.push_back(position);
  }
  return state;
}

LogPosition QueueLane::low() {
  const core::Lock lock(mutex_);
  // Before it is restored, all that it has is what its cursor lists.
  if (!listed_.empty()) return listed_.front();
  return open_.empty() ? scan_ : open_.begin()->first;
}

Result<void> QueueLane::write_cursor(CursorStore& store) {
  const core::Lock write_lock(write_mutex_);
  CursorState state;
  {
    const core::Lock lock(mutex_);
    advance_if_idle();
    state = cursor();
  }
  // One who still holds the lane must not bring the file back.
  if (is_removed()) return {};
  if (written_ == state) return {};
  GANTRY_CHECK(store.write(state));
  written_ = std::move(state);
  written_ns_.store(monotonic_ns());
  return {};
}

LogPosition QueueLane::low_on_disk() {
  const core::Lock lock(write_mutex_);
  return written_ ? written_->low() : LogPosition{};
}

}  // namespace gantry::broadcast
