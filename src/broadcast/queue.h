#pragma once

// The durable queue between what a stack receives and where it is sent: one log on disk shared by
// all destinations, with a cursor for each.
//
//   GANTRY_TRY(auto queue, Queue::open(files, directory, options));
//   GANTRY_CHECK(queue->add_destination(id));
//   GANTRY_CHECK(queue->append(item));                       // on disk when it returns
//   GANTRY_TRY(auto items, queue->read(id, limits, cancel)); // waits for the first
//   GANTRY_CHECK(queue->finish(id, items.positions(), …));   // the cursor moves on
//
// An item is written once and read by each destination that it names. A cursor moves past an item
// when that destination has finished it, and past a run of them only in order: after a crash items
// that were in flight come again (at least once). A segment goes when every cursor has passed it
// and the cursors are on disk. Format: docs/formats.md, "Broadcast queue".

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

/// A destination's UUID, lower case.
using DestinationId = std::string;

enum class Signal : std::uint8_t { Spans = 1, Metrics = 2 };

/// What one append brings: bytes of one signal for some destinations.
struct QueueItem {
  std::uint32_t stack = 0;  ///< Instance id.
  Signal signal = Signal::Spans;
  std::int64_t created_ms = 0;
  std::uint32_t item_count = 0;  ///< Spans or samples inside.
  std::uint64_t order_key = 0;   ///< Items with equal keys must arrive in order; 0: any order.
  std::vector<DestinationId> destinations;  ///< At least one; unknown ones are left out.
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

/// Counted per destination and reason since the start: `gantry_broadcast_dropped_items_total`.
enum class DropReason : std::uint8_t { TooOld, QueueFull, Corrupt, Removed };

/// Thread-safe.
class Queue {
 public:
  struct Options {
    std::uint64_t segment_bytes_max = 64 << 20;
    std::uint64_t bytes_max = std::uint64_t{4} << 30;  ///< Unfinished, per destination.
    DurationMs age_max{24 * 3'600'000};                ///< Older items are dropped before sending.
    DurationMs cursor_interval{1000};                  ///< Cursors are on disk at least so often.
    storage::LogDurability durability = storage::LogDurability::Synced;
  };

  /// Opens or creates the queue. A damaged record is skipped and counted as Corrupt for the
  /// destinations whose cursor was before it; a lost cursor file starts at the oldest segment.
  /// Errors: those of the write-ahead log.
  static Result<std::unique_ptr<Queue>> open(storage::FileSystem& files,
                                             const storage::Path& directory,
                                             const Options& options);

  /// Writes the cursors.
  virtual ~Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Begins at the end of the queue, unless it has a cursor from before.
  virtual Result<void> add_destination(const DestinationId& id) = 0;

  /// Forgets its cursor: what it had not finished counts as Removed.
  virtual Result<void> remove_destination(const DestinationId& id) = 0;

  /// Returns when the item is on disk. When a destination's unfinished bytes exceed bytes_max, its
  /// oldest items are dropped for it (QueueFull); others are not concerned. Errors:
  /// ResourceExhausted (disk full), Unavailable, TooLarge.
  virtual Result<void> append(const QueueItem& item) = 0;

  struct ReadLimits {
    std::size_t items_max = 512;
    std::size_t bytes_max = 1 << 20;
    DurationMs wait{1000};  ///< For more, once there is a first.
  };

  /// The next items of the destination that are not in flight, in order; waits for a first one
  /// until `cancel`. An item whose order_key is in flight is left for later, and so are those
  /// behind it with the same key. Returned items are in flight until finish or give_back. Errors:
  /// Cancelled, NotFound (no such destination), DataLoss.
  virtual Result<std::vector<QueuedItem>> read(const DestinationId& id, const ReadLimits& limits,
                                               const CancelToken& cancel) = 0;

  /// The destination is done with these.
  virtual Result<void> finish(const DestinationId& id,
                              std::span<const storage::LogPosition> positions, Outcome outcome) = 0;

  /// They failed for now: the next read returns them again, first.
  virtual void give_back(const DestinationId& id,
                         std::span<const storage::LogPosition> positions) = 0;

  [[nodiscard]] virtual QueueDepth depth(const DestinationId& id) const = 0;

  [[nodiscard]] virtual std::uint64_t dropped(const DestinationId& id, DropReason reason) const = 0;

  /// Writes the cursors and removes segments that nobody needs. Called now and then by the owner.
  virtual Result<void> maintain() = 0;

 protected:
  Queue() = default;
};

}  // namespace gantry::broadcast
