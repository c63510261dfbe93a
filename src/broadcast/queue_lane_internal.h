#pragma once

// What one destination has still to do: its place in the log, what it has in flight, and a bounded
// number of places ahead.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broadcast/cursor_store_internal.h"
#include "broadcast/queue.h"
#include "broadcast/queue_format_internal.h"
#include "core/mutex.h"

namespace gantry::broadcast {

/// Where the durable part of the log ends. Thread-safe.
class DurableEnd {
 public:
  [[nodiscard]] storage::LogPosition position() const {
    const core::Lock lock(mutex_);
    return position_;
  }

  void advance_to(storage::LogPosition position) {
    const core::Lock lock(mutex_);
    position_ = std::max(position_, position);
  }

 private:
  mutable core::Mutex mutex_;
  storage::LogPosition position_ GANTRY_GUARDED_BY(mutex_);
};

/// Outlives its lane: counters do not go back when a destination is removed.
struct LaneCounters {
  std::array<std::atomic<std::uint64_t>, kDropReasonCount> dropped{};
  std::array<std::atomic<std::uint64_t>, kOutcomeCount> finished{};

  void add(DropReason reason, std::uint64_t count) {
    dropped.at(std::to_underlying(reason)).fetch_add(count, std::memory_order_relaxed);
  }

  void add(Outcome outcome, std::uint64_t count) {
    finished.at(std::to_underlying(outcome)).fetch_add(count, std::memory_order_relaxed);
  }
};

/// Thread-safe. Lock order: write_mutex_, mutex_ (held while heads are read from disk),
/// count_mutex_ (never held for long: appends wait for it).
///
/// Every item is counted (`expect`) before the durable end can pass it. So a segment with nothing
/// counted needs no reading, and what is left of a segment's count when all of it has been read was
/// lost to damage.
class QueueLane {
 public:
  struct Entry {
    storage::LogPosition position;
    std::int64_t created_ms = 0;
    std::uint64_t order_key = 0;
    std::uint32_t payload_bytes = 0;
    bool is_in_flight = false;
  };

  enum class Settled : std::uint8_t { Durable, Failed };
  enum class Take : std::uint8_t { FullBatch, WhatThereIs };

  struct Taken {
    std::vector<Entry> entries;  ///< In flight from now on.
    bool has_some = false;       ///< There would have been some, but not a full batch.
    bool has_more_to_scan = false;
  };

  /// `end` lives as long as the lane.
  QueueLane(storage::FileSystem& files, const storage::Path& log_directory, const DurableEnd& end,
            const Queue::Options& options, CursorState cursor,
            std::shared_ptr<LaneCounters> counters);

  [[nodiscard]] const DestinationId& id() const { return id_; }

  // While the queue is opened, one thread: each readable item that names this destination, in
  // order, and each damage.
  void restore(storage::LogPosition position, const ItemHead& head);
  void restore_damage(storage::LogPosition position);
  /// What the cursor said is unfinished and was not found is Corrupt.
  void end_restore();

  /// An append has taken its place in `segment`. Never waits for the disk.
  void expect(std::uint32_t segment, std::size_t bytes);
  /// It is durable and the end has been advanced, or it never will be.
  void settle(std::uint32_t segment, std::size_t bytes, Settled settled);

  /// Reads some heads ahead if needed, not more than it takes a moment to read.
  Result<Taken> take(const Queue::ReadLimits& limits, Take mode, std::int64_t now_ms);
  void finish(std::span<const storage::LogPosition> positions, Outcome outcome);
  void give_back(std::span<const storage::LogPosition> positions);
  /// An item in flight whose payload is damaged.
  void discard_corrupt(storage::LogPosition position);

  [[nodiscard]] bool is_over_budget() const;
  Result<void> drop_over_budget();
  Result<void> drop_older_than(std::int64_t created_ms);
  /// What is not in flight in segments up to this one.
  Result<void> drop_through(std::uint32_t segment);

  /// Removes the cursor file for good. Nothing can be read any more; readers wake up.
  Result<void> remove_cursor(CursorStore& store);
  [[nodiscard]] bool is_removed() const;

  /// Changes whenever a reader may find something new.
  [[nodiscard]] std::uint64_t generation() const;
  /// Returns when it is no longer `generation`, or after `timeout_ns`.
  void wait_for_change(std::uint64_t generation, std::int64_t timeout_ns) const;

  [[nodiscard]] QueueDepth depth();

  /// If it has changed since it was last written.
  Result<void> write_cursor(CursorStore& store);

  /// Monotonic, of the last write; at first, of the making of this lane.
  [[nodiscard]] std::int64_t written_ns() const { return written_ns_.load(); }

  /// What the cursor on disk still needs: nothing before it.
  [[nodiscard]] storage::LogPosition low_on_disk();
  /// Where the first unfinished item is, or may come.
  [[nodiscard]] storage::LogPosition low();

 private:
  struct Tally {
    std::uint64_t items = 0;  ///< Counted and not yet seen by scan_some, pending ones included.
    std::uint64_t bytes = 0;
    std::uint64_t pending = 0;  ///< Appends that have not settled.
  };

  struct Selection {
    std::vector<storage::LogPosition> positions;
    bool is_full = false;
  };

  using Entries = std::map<storage::LogPosition, Entry>;

  Selection select(const Queue::ReadLimits& limits, std::int64_t oldest_ms) GANTRY_REQUIRES(mutex_);
  /// Reads heads from scan_ on, a bounded number. Whether there is more to read at once.
  Result<bool> scan_some() GANTRY_REQUIRES(mutex_);
  Result<bool> scan_record(storage::LogPosition end) GANTRY_REQUIRES(mutex_);
  /// Of the first segment that has something to read.
  std::optional<std::uint32_t> first_counted_segment() GANTRY_REQUIRES(mutex_);
  bool uncount(std::uint32_t segment, std::uint64_t bytes);
  /// Whether what is still counted in scan_'s segment was lost; not if it may still come.
  bool write_off_rest(storage::LogPosition end) GANTRY_REQUIRES(mutex_);
  void add_entry(storage::LogPosition position, const ItemHead& head) GANTRY_REQUIRES(mutex_);
  Entries::iterator drop(Entries::iterator entry, DropReason reason) GANTRY_REQUIRES(mutex_);
  void land(Entry& entry) GANTRY_REQUIRES(mutex_);
  Entries::iterator erase(Entries::iterator entry) GANTRY_REQUIRES(mutex_);
  void advance_if_idle() GANTRY_REQUIRES(mutex_);
  [[nodiscard]] CursorState cursor() const GANTRY_REQUIRES(mutex_);
  void wake();

  const DestinationId id_;
  const DurableEnd& end_;
  const Queue::Options options_;
  const std::shared_ptr<LaneCounters> counters_;

  core::Mutex write_mutex_;  ///< One writer of the cursor file at a time.
  std::optional<CursorState> written_ GANTRY_GUARDED_BY(write_mutex_);
  std::atomic<std::int64_t> written_ns_;

  core::Mutex mutex_;
  ItemReader reader_ GANTRY_GUARDED_BY(mutex_);
  Entries open_ GANTRY_GUARDED_BY(mutex_);  ///< Unfinished, before scan_.
  std::size_t ready_count_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::uint64_t, std::uint32_t> keys_in_flight_ GANTRY_GUARDED_BY(mutex_);
  storage::LogPosition scan_ GANTRY_GUARDED_BY(mutex_);
  /// Greatest position ever taken or dropped: what is behind it is as the log has it.
  storage::LogPosition touched_ GANTRY_GUARDED_BY(mutex_);
  std::vector<storage::LogPosition> listed_ GANTRY_GUARDED_BY(mutex_);  ///< While restoring.

  mutable core::Mutex count_mutex_;
  mutable core::ConditionVariable changed_;
  std::map<std::uint32_t, Tally> tallies_ GANTRY_GUARDED_BY(count_mutex_);  ///< By segment.
  std::uint64_t items_ GANTRY_GUARDED_BY(count_mutex_) = 0;                 ///< Unfinished.
  std::uint64_t bytes_ GANTRY_GUARDED_BY(count_mutex_) = 0;
  std::uint64_t generation_ GANTRY_GUARDED_BY(count_mutex_) = 0;
  bool is_removed_ GANTRY_GUARDED_BY(count_mutex_) = false;
};

}  // namespace gantry::broadcast
