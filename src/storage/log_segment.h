#pragma once

// One file of the write-ahead log: a header and records. Used by write_ahead_log.cc,
// log_reader.cc and those who read records by position.
// Format: docs/formats.md, "Write-ahead log".

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "storage/file.h"
#include "storage/write_ahead_log.h"

namespace gantry::storage {

inline constexpr std::uint32_t kLogFormatVersion = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 32;
inline constexpr std::size_t kRecordHeaderBytes = 17;
/// No record was ever larger, whatever record_bytes_max was: a longer length is damage.
inline constexpr std::uint32_t kRecordBytesLimit = 1U << 30;

/// "0000000042.wal"
[[nodiscard]] std::string segment_name(std::uint32_t segment);
[[nodiscard]] std::optional<std::uint32_t> parse_segment_name(std::string_view name);

struct SegmentHeader {
  std::uint64_t first_sequence = 0;
  std::string reason;  ///< Why it is no good; empty if it is.
};

/// From the first kSegmentHeaderBytes of a segment, or fewer if it has not as many. Errors:
/// FailedPrecondition (a newer format).
Result<SegmentHeader> parse_segment_header(std::span<const std::byte> bytes, std::uint32_t segment,
                                           const Path& path_for_message);

/// Appends header and payload of a record. `payload_crc` is crc32c(payload).
void append_record(std::vector<std::byte>& out, std::uint8_t type, std::uint64_t sequence,
                   std::span<const std::byte> payload, std::uint32_t payload_crc);

/// A segment that is being written. One thread.
class SegmentWriter {
 public:
  /// Makes the file, with its header and its directory entry synced.
  static Result<std::unique_ptr<SegmentWriter>> create(FileSystem& files, const Path& directory,
                                                       std::uint32_t segment,
                                                       std::uint64_t first_sequence);

  SegmentWriter(std::unique_ptr<File> file, std::uint32_t segment)
      : file_(std::move(file)), segment_(segment) {}

  [[nodiscard]] std::uint32_t segment() const { return segment_; }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

  /// `preallocate_bytes`: reserve disk space in such steps.
  Result<void> append(std::span<const std::byte> records, std::uint64_t preallocate_bytes);

  Result<void> sync() { return file_->sync_data(); }

  /// Gives back what is reserved beyond the end, or cuts what was written beyond `size_bytes`.
  Result<void> truncate(std::uint64_t size_bytes) { return file_->truncate(size_bytes); }

 private:
  void reserve(std::uint64_t end_bytes, std::uint64_t step_bytes);

  std::unique_ptr<File> file_;
  std::uint32_t segment_;
  std::uint64_t size_bytes_ = kSegmentHeaderBytes;
  std::uint64_t reserved_bytes_ = 0;
};

/// Reads a segment from its start through a window of bounded size. One thread.
class SegmentReader {
 public:
  enum class Step : std::uint8_t {
    Record,  ///< `record` is the next one.
    End,     ///< The segment ends after the last record.
    Bad,     ///< The bytes from `offset_bytes` on are no record; `reason` says why.
  };

  /// Errors: FailedPrecondition (a newer format), those of File. A bad header is not an error: the
  /// first step is Bad at offset 0.
  static Result<SegmentReader> open(FileSystem& files, const Path& path, std::uint32_t segment);

  Result<Step> next();

  /// Records up to this sequence belong to earlier segments: here they are bad.
  void expect_after(std::uint64_t sequence) { last_sequence_ = std::max(last_sequence_, sequence); }

  /// Valid until the next call of `next`.
  [[nodiscard]] const LogRecord& record() const { return record_; }

  /// End of the last good record.
  [[nodiscard]] std::uint64_t offset_bytes() const { return offset_bytes_; }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

  [[nodiscard]] std::uint64_t last_sequence() const { return last_sequence_; }

  [[nodiscard]] const std::string& reason() const { return reason_; }

  [[nodiscard]] const File& file() const { return *file_; }

  /// After Bad: a whole record stands where the bad one says that it ends.
  Result<bool> finds_record_after_bad();

 private:
  SegmentReader(std::unique_ptr<File> file, Path path, std::uint32_t segment)
      : file_(std::move(file)), path_(std::move(path)), segment_(segment) {}

  Result<void> read_header();
  /// The bytes at `offset`, which the file has; valid until the next call.
  Result<std::span<const std::byte>> view(std::uint64_t offset, std::size_t count);
  /// The record at `offset`, or nothing with `reason_` set.
  Result<std::optional<LogRecord>> parse_at(std::uint64_t offset);

  std::unique_ptr<File> file_;
  Path path_;
  std::uint32_t segment_;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t offset_bytes_ = 0;
  std::uint64_t last_sequence_ = 0;
  bool is_bad_ = false;
  std::string reason_;
  LogRecord record_;
  std::vector<std::byte> window_;
  std::uint64_t window_offset_ = 0;
};

}  // namespace gantry::storage
