#pragma once

// The durable queue between what a stack receives and where it is sent: one log on disk shared by
// all destinations, with a cursor for each.
//
//   GANTRY_TRY(auto queue, Queue::open(files, directory, clock, options));
//   GANTRY_CHECK(queue->add_destination(id));
//   GANTRY_CHECK(queue->append(item));                        // on disk when it returns
//   GANTRY_TRY(auto items, queue->read(id, limits, cancel));  // waits for the first
//   GANTRY_CHECK(queue->finish(id, positions, Outcome::Sent));
//
// An item is written once and read by each destination that it names. A cursor says which items a
// destination has finished, out of order too: after a crash comes again what was in flight, and
// what was finished after the cursor was last written (at least once). A segment goes when every
// cursor has passed it and the cursors are on disk. Memory does not grow with what waits: of each
// destination it holds what is in flight and some thousand places ahead. Format: docs/formats.md,
// "Broadcast queue".

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "core/time.h"
#include "storage/file.h"
#include "storage/write_ahead_log.h"

namespace gantry::broadcast {

/// A destination's UUID, lower case. Others of 1 to 64 of a-z, 0-9 and '-' do as well. To the
/// queue, a destination's lanes are destinations.
using DestinationId = std::string;

enum class Signal : std::uint8_t { Spans = 1, Metrics = 2 };
inline constexpr std::array kSignals = {Signal::Spans, Signal::Metrics};

/// Where what waits for a destination is: each signal has a place of its own in the queue, so that
/// one that is refused does not hold up the other.
[[nodiscard]] DestinationId lane_of(const DestinationId& id, Signal signal);
/// Whose lane it is.
[[nodiscard]] DestinationId destination_of(const DestinationId& lane);

/// What one append brings: bytes of one signal for some destinations.
struct QueueItem {
  std::uint32_t stack = 0;  ///< Instance id.
  Signal signal = Signal::Spans;
  std::int64_t created_ms = 0;
  std::uint32_t item_count = 0;  ///< Spans or samples inside.
  std::uint64_t order_key = 0;   ///< Items with equal keys must arrive in order; 0: any order.
  std::vector<DestinationId> destinations;  ///< Unknown ones are left out.
  std::span<const std::byte> payload;
};

/// An item as a destination reads it.
struct QueuedItem {
  storage::LogPosition position;
  std::uint32_t stack = 0;
  Signal signal = Signal::Spans;
  std::int64_t created_ms = 0;
  std::uint32_t item_count = 0;
  std::uint64_t order_key = 0;
  std::string payload;
};

/// Why a destination is done with an item.
enum class Outcome : std::uint8_t { Sent, Dropped, DeadLettered };

struct QueueDepth {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::optional<std::int64_t> oldest_ms;  ///< created_ms of the first unfinished item.
};

inline constexpr std::size_t kOutcomeCount = 3;

/// Why a destination never gets an item.
enum class DropReason : std::uint8_t { TooOld, QueueFull, Corrupt, Removed };
inline constexpr std::size_t kDropReasonCount = 4;

/// Thread-safe. A destination that is slow, or whose part of the log is, delays no other.
class Queue {
 public:
  struct Options {
    std::uint64_t segment_bytes_max = 64 << 20;
    std::uint32_t item_bytes_max = 32 << 20;           ///< Of a payload.
    std::uint64_t bytes_max = std::uint64_t{4} << 30;  ///< Unfinished payload, per destination.
    /// Of the log, all destinations together: items that only some of them still need keep the rest
    /// of their segments too.
    std::uint64_t log_bytes_max = std::uint64_t{16} << 30;
    DurationMs age_max{24 * 3'600'000};  ///< Older items are dropped before sending.
    DurationMs cursor_interval{1000};    ///< finish writes a cursor that is older than this.
    std::size_t destinations_max = 1000;
    std::size_t read_ahead_items_max = 4096;  ///< Places held per destination, not in flight.
    storage::LogDurability durability = storage::LogDurability::Synced;
  };

  /// Opens or creates the queue in `directory`, which it locks. The heads of all items that wait
  /// are read once, to count them. A damaged item is skipped and counted as Corrupt for each
  /// destination that had not finished what comes before it; a damaged cursor file is moved to the
  /// quarantine and its destination starts again at the oldest segment. Errors: those of the
  /// write-ahead log and of File.
  static Result<std::unique_ptr<Queue>> open(storage::FileSystem& files,
                                             const storage::Path& directory, const Clock& clock,
                                             const Options& options);

  /// Writes the cursors.
  virtual ~Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Begins at the end of the queue, unless it has a cursor from before; that cursor is on disk
  /// when this returns. Errors: InvalidArgument (no DestinationId), ResourceExhausted
  /// (destinations_max), those of File.
  virtual Result<void> add_destination(const DestinationId& id) = 0;

  /// Forgets its cursor: what it had not finished counts as Removed. NotFound if there is none.
  virtual Result<void> remove_destination(const DestinationId& id) = 0;

  /// Those that were added, and those that have a cursor from before; sorted.
  [[nodiscard]] virtual std::vector<DestinationId> destinations() const = 0;

  /// Returns when the item is on disk; at once if it names no destination that there is. When a
  /// destination's unfinished bytes exceed bytes_max, its oldest items that are not in flight are
  /// dropped for it (QueueFull); others are not concerned. Errors, with nothing queued:
  /// ResourceExhausted (disk full), Unavailable, Internal (the device failed), TooLarge.
  Result<void> append(const QueueItem& item) { return append_all({&item, 1}); }

  /// Several, in this order; one wait for the disk. After an error some of them may be queued.
  virtual Result<void> append_all(std::span<const QueueItem> items) = 0;

  struct ReadLimits {
    std::size_t items_max = 512;
    std::size_t bytes_max = 1 << 20;  ///< Of payload; a first item that is larger comes alone.
    DurationMs wait{1000};            ///< For more, once there is a first.
    /// Only items with order_key % order_shards == order_shard: readers of their own for each shard
    /// do not wait for each other.
    std::uint32_t order_shards = 1;
    std::uint32_t order_shard = 0;
  };

  /// The next items of the destination that are not in flight, in order; waits for a first one
  /// until `cancel`. An item whose order_key is in flight is left for later, and so are those
  /// behind it with the same key. Returned items are in flight until finish or give_back; the
  /// caller bounds how many. Errors, with nothing more in flight: Cancelled and DeadlineExceeded
  /// (`cancel`), NotFound (no such destination), those of File.
  virtual Result<std::vector<QueuedItem>> read(const DestinationId& id, const ReadLimits& limits,
                                               const CancelToken& cancel) = 0;

  /// The destination is done with these; positions that are not in flight are ignored. A cursor
  /// that cannot be written now is written later and no error here. Errors: NotFound.
  virtual Result<void> finish(const DestinationId& id,
                              std::span<const storage::LogPosition> positions, Outcome outcome) = 0;

  /// They failed and may be tried again: the next read returns them first.
  virtual void give_back(const DestinationId& id,
                         std::span<const storage::LogPosition> positions) = 0;

  /// Of a destination that there is not: nothing.
  [[nodiscard]] virtual QueueDepth depth(const DestinationId& id) const = 0;

  /// Queue items since the start; kept when the destination is removed.
  [[nodiscard]] virtual std::uint64_t dropped(const DestinationId& id, DropReason reason) const = 0;
  [[nodiscard]] virtual std::uint64_t finished(const DestinationId& id, Outcome outcome) const = 0;

  /// On disk, shared by all destinations.
  [[nodiscard]] virtual std::uint64_t log_bytes() const = 0;

  /// Drops what is too old, writes the cursors that have changed and removes the segments that
  /// nobody needs; when the log exceeds log_bytes_max, drops (QueueFull) what its oldest segment
  /// still holds. The owner calls it every cursor_interval or so. Errors: those of File; the rest
  /// of the work is done all the same.
  virtual Result<void> maintain() = 0;

 protected:
  Queue() = default;
};

}  // namespace gantry::broadcast
