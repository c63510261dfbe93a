#pragma once

// Reads the records of a write-ahead log by position, also while the log is being written: what a
// queue needs whose readers are at different places. Format: docs/formats.md, "Write-ahead log".

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/error.h"
#include "storage/file.h"
#include "storage/write_ahead_log.h"

namespace gantry::storage {

/// Holds one segment open and a few KiB of it. One thread; any number of readers beside each other
/// and beside the log's writer.
///
/// `end` in the calls below is where the durable part of the log ends: nothing at or after it is
/// looked at, and what is before it does not change any more.
class LogReader {
 public:
  enum class At : std::uint8_t {
    Record,  ///< `head` says what stands there.
    End,     ///< The segment has no more records before `end`, or there is no such segment.
    Bad,     ///< Bytes that cannot be a record.
  };

  struct Head {
    std::uint8_t type = 0;
    std::uint32_t payload_bytes = 0;
    LogPosition next;                   ///< Behind the record, in the same segment.
    std::span<const std::byte> prefix;  ///< Of the payload, valid until the next call.
  };

  LogReader(FileSystem& files, Path directory) : files_(files), directory_(std::move(directory)) {}

  /// What stands at `position`, without reading all of it: the record's checksum is NOT verified,
  /// only that its length fits. The prefix has `prefix_bytes`, or the whole payload if that is
  /// shorter, or more. Offsets inside the segment's header mean its first record. Errors:
  /// FailedPrecondition (a newer format), those of File.
  Result<At> look(LogPosition position, LogPosition end, std::size_t prefix_bytes);

  [[nodiscard]] const Head& head() const { return head_; }

  /// The payload of the record at `position`, verified. Errors: DataLoss (damaged, or no record
  /// there), FailedPrecondition, those of File.
  Result<std::vector<std::byte>> read(LogPosition position, LogPosition end);

 private:
  enum class SegmentState : std::uint8_t { Good, Missing, BadHeader };

  Result<SegmentState> open_segment(std::uint32_t segment);
  /// Where to stop in the open segment.
  Result<std::uint64_t> limit_bytes(LogPosition end) const;
  /// `count` bytes at `offset`, which lie before `limit`; valid until the next call.
  Result<std::span<const std::byte>> view(std::uint64_t offset, std::size_t count,
                                          std::uint64_t limit);

  FileSystem& files_;
  Path directory_;
  Path path_;
  std::uint32_t segment_ = 0;
  std::unique_ptr<File> file_;
  SegmentState state_ = SegmentState::Missing;
  Head head_;
  std::vector<std::byte> window_;
  std::uint64_t window_offset_ = 0;
};

}  // namespace gantry::storage
