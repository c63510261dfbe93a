#pragma once

// The bytes of the queue: its log records and its cursor files. Format: docs/formats.md,
// "Broadcast queue".

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "broadcast/queue.h"
#include "core/error.h"
#include "storage/log_reader.h"

namespace gantry::broadcast {

inline constexpr std::uint8_t kItemRecordType = 1;
/// Many times what a queue's destinations take.
inline constexpr std::uint32_t kItemHeadBytesMax = 1 << 20;

/// What stands before the payload in an item's record.
struct ItemHead {
  std::uint32_t stack = 0;
  Signal signal = Signal::Spans;
  std::int64_t created_ms = 0;
  std::uint32_t item_count = 0;
  std::uint64_t order_key = 0;
  std::uint32_t payload_bytes = 0;
  std::vector<std::string_view> destinations;  ///< Into the bytes that were decoded.

  [[nodiscard]] bool names(std::string_view destination) const;
};

/// Appends a whole record for those of the item's destinations that are in `destinations`.
void encode_item(const QueueItem& item, std::span<const std::string_view> destinations,
                 std::vector<std::byte>& out);

/// How many bytes of a record come before its payload, from the record's first bytes. DataLoss if
/// it cannot be.
Result<std::size_t> item_head_bytes(std::span<const std::byte> prefix);

/// From at least item_head_bytes of a record. The head has a checksum of its own, so that a record
/// can be passed over without reading its payload. Errors: DataLoss.
Result<ItemHead> decode_item_head(std::span<const std::byte> prefix);

/// Where a destination stands: what comes before `resume` is finished but for `unfinished`.
struct CursorState {
  DestinationId destination;
  storage::LogPosition resume;
  std::vector<storage::LogPosition> unfinished;  ///< Ascending, all before `resume`.

  friend bool operator==(const CursorState&, const CursorState&) = default;

  /// Nothing before it is needed any more.
  [[nodiscard]] storage::LogPosition low() const {
    return unfinished.empty() ? resume : unfinished.front();
  }
};

void encode_cursor(const CursorState& cursor, std::vector<std::byte>& out);

/// Errors: DataLoss, FailedPrecondition (a newer format).
Result<CursorState> decode_cursor(std::span<const std::byte> bytes);

/// Usable as an identifier and as a file name: 1 to 64 of a-z, 0-9 and '-'.
[[nodiscard]] bool is_destination_id(std::string_view text);

/// Goes through the items of the queue's log, past what is damaged. One thread.
class ItemReader {
 public:
  enum class Step : std::uint8_t {
    Item,     ///< `head` is its head.
    Other,    ///< A record that is none of ours.
    Damaged,  ///< What lies between the position and `next` cannot be read.
    End,      ///< Nothing more in this segment before `end`.
  };

  ItemReader(storage::FileSystem& files, storage::Path directory)
      : reader_(files, std::move(directory)) {}

  /// What stands at `position`; the payload is not verified. Errors: those of LogReader::look.
  Result<Step> look(storage::LogPosition position, storage::LogPosition end);

  /// Where it stands: an offset inside the segment's header was that of its first record.
  [[nodiscard]] storage::LogPosition position() const { return position_; }

  /// Valid until the next call of look.
  [[nodiscard]] const ItemHead& head() const { return head_; }

  /// Where to look next. After damage: the record behind, if the damaged one's length leads to one;
  /// else the end of the segment.
  [[nodiscard]] storage::LogPosition next() const { return next_; }

 private:
  /// Nothing if it is damaged.
  Result<bool> read_head(storage::LogPosition position, storage::LogPosition end);

  storage::LogReader reader_;
  ItemHead head_;
  storage::LogPosition position_;
  storage::LogPosition next_;
};

}  // namespace gantry::broadcast
