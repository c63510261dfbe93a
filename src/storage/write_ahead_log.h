#pragma once

// An append-only log in a directory of segments, durable by group commit.
//
//   GANTRY_TRY(auto log, WriteAheadLog::open(files, directory, {}));
//   GANTRY_TRY(const auto report, log->replay([&](const LogRecord& record) { … }));
//   GANTRY_TRY(const LogPosition position, log->append(kSamples, bytes));  // on disk
//
// A store that must keep the order of its records equal to the order of its own changes enqueues
// under its lock and waits outside:
//
//   LogTicket ticket;
//   { Lock lock(mutex_); …; ticket = log->enqueue(…); }   // cheap, never waits for the disk
//   log->wait(ticket);
//
// Format: docs/formats.md, "Write-ahead log".

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/time.h"
#include "storage/file.h"

namespace gantry::storage {

/// Where a record starts. Ordered as the log is.
struct LogPosition {
  std::uint32_t segment = 0;
  std::uint64_t offset_bytes = 0;

  friend constexpr auto operator<=>(const LogPosition&, const LogPosition&) = default;
};

/// A place in the order of the log, known before it is on disk. Becomes void if the log fails: then
/// `wait` says so, and a later record has another segment.
struct LogTicket {
  LogPosition position;
  std::uint64_t sequence = 0;
};

/// A record as replay hands it out; the payload is valid during the call.
struct LogRecord {
  LogPosition position;
  std::uint64_t sequence = 0;
  std::uint8_t type = 0;
  std::span<const std::byte> payload;
};

/// Bytes of a segment that are not records, copied to the quarantine folder.
struct LogDamage {
  Path segment;
  std::uint64_t offset_bytes = 0;
  std::uint64_t length_bytes = 0;
  bool is_torn_tail = false;        ///< The end of the last segment: an append that never finished.
  bool holds_later_record = false;  ///< A whole record follows: damage rather than a torn append.
  std::string reason;
  Path quarantined_as;
};

struct ReplayReport {
  std::uint64_t segment_count = 0;
  std::uint64_t record_count = 0;
  std::uint64_t payload_bytes = 0;
  std::vector<LogDamage> damages;  ///< In earlier segments; see also `tail_damage`.
};

/// When a wait returns.
enum class LogDurability : std::uint8_t {
  Synced,   ///< After fdatasync.
  Written,  ///< After write(2): survives kill -9, not a power cut. Synced every `sync_interval`.
};

struct LogStatistics {
  std::uint64_t records = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t commits = 0;  ///< Writes, each with the records of all that waited.
  std::uint64_t syncs = 0;
  std::uint64_t failures = 0;  ///< Of a write, a sync or the making of a segment.
  std::uint64_t segments_created = 0;
  std::uint64_t segments_removed = 0;
};

/// Thread-safety: enqueue, wait, append, rotate, sync, truncate_before and the getters may be
/// called by any number of threads at once. `replay` comes before the first of them.
///
/// When a write or a sync fails, every record that was not yet durable fails, the file is never
/// written or synced again (a sync repeated on it would lie), and the log refuses records until a
/// fresh segment has been made and synced, which it tries on the next record. So the records of one
/// segment have no gaps: whoever remembers "defined in segment n" need not undo that for records
/// that failed.
class WriteAheadLog {
 public:
  struct Options {
    std::uint64_t segment_bytes_max = 128 << 20;  ///< A segment that has reached it is closed.
    std::uint32_t record_bytes_max = 64 << 20;    ///< Of a payload. A larger one is TooLarge.
    std::uint64_t pending_bytes_max = 256 << 20;  ///< Enqueued and not yet written.
    std::uint64_t preallocate_bytes = 8 << 20;    ///< Disk space is reserved in such steps; 0: not.
    LogDurability durability = LogDurability::Synced;
    DurationMs sync_interval{1000};   ///< For Written.
    DurationMs retry_interval{1000};  ///< Least time between two attempts to make a fresh segment.
    Path quarantine_directory;        ///< Empty: "quarantine" inside the log's directory.
  };

  /// Opens or creates the log in `directory`, which it locks until destroyed. Cuts a torn tail off
  /// the last segment, after copying it to the quarantine folder (`tail_damage`). Errors:
  /// FailedPrecondition (locked, or a newer format), those of File.
  static Result<std::unique_ptr<WriteAheadLog>> open(FileSystem& files, const Path& directory,
                                                     const Options& options);

  /// Writes and syncs what is enqueued.
  virtual ~WriteAheadLog() = default;
  WriteAheadLog(const WriteAheadLog&) = delete;
  WriteAheadLog& operator=(const WriteAheadLog&) = delete;

  [[nodiscard]] virtual const std::optional<LogDamage>& tail_damage() const = 0;

  /// Calls `visit` for each record in order. A bad record in an earlier segment ends that segment:
  /// its rest is copied to the quarantine folder, reported, and replay goes on with the next one.
  /// Sequences ascend, with gaps where records failed. Errors: those of `visit`, of File.
  virtual Result<ReplayReport> replay(
      const std::function<Result<void>(const LogRecord&)>& visit) = 0;

  /// Takes a place in the order and copies `payload`. Never waits for the disk. With
  /// `only_in_segment`, refuses with FailedPrecondition if the record would go to another segment
  /// than that (one of `next_segment` that is out of date). Other errors: TooLarge
  /// (record_bytes_max), ResourceExhausted (pending_bytes_max), Unavailable (the log failed and has
  /// no fresh segment yet).
  virtual Result<LogTicket> enqueue(std::uint8_t type, std::span<const std::byte> payload,
                                    std::optional<std::uint32_t> only_in_segment = {}) = 0;

  /// Returns when the record is durable (see LogDurability). Errors, with the record not in the
  /// log: ResourceExhausted (disk full), Unavailable, Internal (the device failed). A record that
  /// failed may still be found by a later replay if the machine dies before the log has cut it off.
  virtual Result<LogPosition> wait(const LogTicket& ticket) = 0;

  /// enqueue and wait.
  Result<LogPosition> append(std::uint8_t type, std::span<const std::byte> payload);

  /// Where the next record goes, unless another thread or a failure comes first.
  [[nodiscard]] virtual std::uint32_t next_segment() const = 0;

  /// Ends the current segment, unless it has no records. Records enqueued later are at or after the
  /// position returned, those enqueued earlier are before it. Does not wait for the disk.
  virtual LogPosition rotate() = 0;

  /// Waits until everything enqueued so far is synced, whatever the durability.
  virtual Result<void> sync() = 0;

  /// Deletes the segments that hold nothing at or after `position`.
  virtual Result<void> truncate_before(LogPosition position) = 0;

  /// Of all segments, pending records included.
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;

  [[nodiscard]] virtual LogStatistics statistics() const = 0;

 protected:
  WriteAheadLog() = default;
};

}  // namespace gantry::storage
