#include "storage/write_ahead_log.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "fmt/core.h"

#include "core/hash.h"
#include "core/log.h"
#include "core/mutex.h"
#include "storage/directory.h"
#include "storage/log_segment.h"

namespace gantry::storage {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::size_t kSpareBytesMax = 8 << 20;

/// Consecutive records of one segment on their way to the disk.
struct Piece {
  std::uint32_t segment = 0;
  std::uint64_t first_sequence = 0;  ///< Of the first record, or of the next one if there is none.
  std::vector<std::byte> records;
};

struct Batch {
  std::vector<Piece> pieces;
  std::uint64_t last_sequence = 0;
  bool wants_sync = false;
};

/// Records that will never be in the log.
struct Failure {
  std::uint64_t first_sequence = 0;  ///< Not as durable as promised, and said so.
  std::uint64_t last_sequence = 0;
  std::uint64_t first_unsynced = 0;  ///< Not on disk for sure; for those who ask for a sync.
  Error error;
};

Result<LogDamage> set_aside(FileSystem& files, SegmentReader& reader, const Path& segment,
                            const Path& quarantine) {
  LogDamage damage{.segment = segment,
                   .offset_bytes = reader.offset_bytes(),
                   .length_bytes = reader.size_bytes() - reader.offset_bytes(),
                   .reason = reader.reason()};
  GANTRY_TRY(damage.holds_later_record, reader.finds_record_after_bad());
  if (damage.offset_bytes == 0) {
    GANTRY_TRY(damage.quarantined_as, move_to_quarantine(files, segment, quarantine));
    return damage;
  }
  GANTRY_TRY(
      damage.quarantined_as,
      copy_to_quarantine(files, reader.file(), damage.offset_bytes, damage.length_bytes, quarantine,
                         fmt::format("{}.{}", segment.filename().native(), damage.offset_bytes)));
  GANTRY_TRY(const std::unique_ptr<File> file, files.open(segment, OpenMode::ReadWrite));
  GANTRY_CHECK(file->truncate(damage.offset_bytes));
  GANTRY_CHECK(file->sync_data());
  return damage;
}

class SegmentedLog final : public WriteAheadLog {
 public:
  SegmentedLog(FileSystem& files, Path directory, Options options, std::unique_ptr<FileLock> lock)
      : files_(files),
        directory_(std::move(directory)),
        options_(std::move(options)),
        lock_(std::move(lock)) {}

  ~SegmentedLog() override {
    {
      const core::Lock lock(mutex_);
      is_stopping_ = true;
      work_.notify_all();
    }
    if (flusher_.joinable()) flusher_.join();
  }

  /// Finds the segments, repairs the last one, starts the flusher.
  Result<void> start();

  const std::optional<LogDamage>& tail_damage() const override { return tail_damage_; }

  Result<ReplayReport> replay(const std::function<Result<void>(const LogRecord&)>& visit) override;
  Result<LogTicket> enqueue(std::uint8_t type, std::span<const std::byte> payload,
                            std::optional<std::uint32_t> only_in_segment) override;
  Result<LogPosition> wait(const LogTicket& ticket) override;

  std::uint32_t next_segment() const override {
    const core::Lock lock(mutex_);
    return next_.segment;
  }

  LogPosition rotate() override;
  Result<void> sync() override;
  Result<void> truncate_before(LogPosition position) override;
  std::uint64_t size_bytes() const override;

  LogStatistics statistics() const override {
    const core::Lock lock(mutex_);
    return statistics_;
  }

 private:
  [[nodiscard]] Path path_of(std::uint32_t segment) const {
    return directory_ / segment_name(segment);
  }

  Result<void> repair_last_segment(std::uint32_t segment) GANTRY_REQUIRES(mutex_);
  /// From the last segment that has a good header.
  Result<void> find_last_sequence() GANTRY_REQUIRES(mutex_);
  Result<void> check_accepting() GANTRY_REQUIRES(mutex_);
  void begin_next_segment() GANTRY_REQUIRES(mutex_);
  Piece& open_piece() GANTRY_REQUIRES(mutex_);

  void run_flusher();
  bool wait_for_work(Batch& batch);
  Result<void> commit(const Batch& batch);
  Result<void> switch_segment(const Piece& piece);
  Result<void> sync_writer();
  void publish(std::uint64_t last_sequence, bool is_synced);
  void finish_batch(Batch& batch);
  void give_up_segment(const Error& error);
  void fail_pending(const Error& error, bool is_rest_synced) GANTRY_REQUIRES(mutex_);

  FileSystem& files_;
  const Path directory_;
  const Options options_;
  const std::unique_ptr<FileLock> lock_;
  std::optional<LogDamage> tail_damage_;

  mutable core::Mutex mutex_;
  core::ConditionVariable work_;  ///< For the flusher.
  core::ConditionVariable done_;  ///< For those that wait.
  std::map<std::uint32_t, std::uint64_t> segments_ GANTRY_GUARDED_BY(mutex_);  ///< Sizes of files.
  LogPosition next_ GANTRY_GUARDED_BY(mutex_);  ///< Where the next record goes.
  std::uint64_t next_sequence_ GANTRY_GUARDED_BY(mutex_) = 1;
  std::vector<Piece> pending_ GANTRY_GUARDED_BY(mutex_);
  std::uint64_t pending_bytes_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::uint64_t done_sequence_ GANTRY_GUARDED_BY(mutex_) = 0;    ///< As durable as promised.
  std::uint64_t synced_sequence_ GANTRY_GUARDED_BY(mutex_) = 0;  ///< On disk.
  std::uint64_t sync_wanted_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::vector<Failure> failures_ GANTRY_GUARDED_BY(mutex_);
  std::string last_error_ GANTRY_GUARDED_BY(mutex_);
  std::uint32_t failures_in_a_row_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::int64_t retry_at_ns_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::int64_t sync_due_ns_ GANTRY_GUARDED_BY(mutex_) = 0;
  LogStatistics statistics_ GANTRY_GUARDED_BY(mutex_);
  bool is_committing_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_stopping_ GANTRY_GUARDED_BY(mutex_) = false;
  std::vector<std::byte> spare_ GANTRY_GUARDED_BY(mutex_);  ///< Grown once, used again.

  // The flusher's own, no lock.
  std::unique_ptr<SegmentWriter> writer_;
  std::uint64_t committed_bytes_ = 0;  ///< Of writer_'s file: what a failure must not take away.
  bool has_sync_failed_ = false;       ///< Of writer_: it must not be synced again.

  std::thread flusher_;
};

Result<void> SegmentedLog::start() {
  const core::Lock lock(mutex_);
  GANTRY_TRY(const std::vector<DirectoryEntry> entries, files_.list(directory_));
  for (const DirectoryEntry& entry : entries) {
    const std::optional<std::uint32_t> segment = parse_segment_name(entry.name);
    if (segment && !entry.is_directory) segments_.emplace(*segment, entry.size_bytes);
  }
  const std::uint32_t last = segments_.empty() ? 0 : segments_.rbegin()->first;
  if (last != 0) GANTRY_CHECK(repair_last_segment(last));
  // Never the old file: what it holds beyond its last sync is unknown.
  next_ = {.segment = last + 1, .offset_bytes = kSegmentHeaderBytes};
  done_sequence_ = synced_sequence_ = next_sequence_ - 1;
  flusher_ = std::thread([this] { run_flusher(); });
  return {};
}

Result<void> SegmentedLog::repair_last_segment(std::uint32_t segment) {
  const Path path = path_of(segment);
  GANTRY_TRY(SegmentReader reader, SegmentReader::open(files_, path, segment));
  auto step = SegmentReader::Step::Record;
  while (step == SegmentReader::Step::Record) {
    GANTRY_TRY(step, reader.next());
  }
  next_sequence_ = reader.last_sequence() + 1;
  if (step == SegmentReader::Step::End) {
    // Written but perhaps not synced before the crash; replay is about to rely on it.
    GANTRY_TRY(const std::unique_ptr<File> file, files_.open(path, OpenMode::ReadWrite));
    return file->sync_data();
  }
  if (reader.size_bytes() == 0) {
    // The crash came between the making of the file and the writing of its header.
    GANTRY_CHECK(files_.remove(path));
    segments_.erase(segment);
    return find_last_sequence();
  }
  GANTRY_TRY(tail_damage_, set_aside(files_, reader, path, options_.quarantine_directory));
  tail_damage_->is_torn_tail = true;
  log::warn("write-ahead log tail cut", {{"segment", path.native()},
                                         {"offset_bytes", tail_damage_->offset_bytes},
                                         {"length_bytes", tail_damage_->length_bytes},
                                         {"reason", tail_damage_->reason},
                                         {"holds_later_record", tail_damage_->holds_later_record},
                                         {"kept_as", tail_damage_->quarantined_as.native()}});
  if (tail_damage_->offset_bytes > 0) {
    segments_[segment] = tail_damage_->offset_bytes;
    return {};
  }
  segments_.erase(segment);
  return find_last_sequence();
}

Result<void> SegmentedLog::find_last_sequence() {
  for (auto earlier = segments_.rbegin(); earlier != segments_.rend(); ++earlier) {
    GANTRY_TRY(SegmentReader before,
               SegmentReader::open(files_, path_of(earlier->first), earlier->first));
    while (true) {
      GANTRY_TRY(const SegmentReader::Step step, before.next());
      if (step != SegmentReader::Step::Record) break;
    }
    next_sequence_ = std::max(next_sequence_, before.last_sequence() + 1);
    if (before.offset_bytes() > 0) break;
  }
  return {};
}

Result<ReplayReport> SegmentedLog::replay(
    const std::function<Result<void>(const LogRecord&)>& visit) {
  std::vector<std::uint32_t> segments;
  {
    const core::Lock lock(mutex_);
    for (const auto& [segment, bytes] : segments_) segments.push_back(segment);
  }
  ReplayReport report{.segment_count = segments.size()};
  std::uint64_t last_sequence = 0;
  for (const std::uint32_t segment : segments) {
    const Path path = path_of(segment);
    GANTRY_TRY(SegmentReader reader, SegmentReader::open(files_, path, segment));
    reader.expect_after(last_sequence);
    auto step = SegmentReader::Step::Record;
    while (true) {
      GANTRY_TRY(step, reader.next());
      if (step != SegmentReader::Step::Record) break;
      last_sequence = reader.record().sequence;
      ++report.record_count;
      report.payload_bytes += reader.record().payload.size();
      GANTRY_CHECK(visit(reader.record()));
    }
    if (step == SegmentReader::Step::End) continue;
    GANTRY_TRY(LogDamage damage, set_aside(files_, reader, path, options_.quarantine_directory));
    log::error("write-ahead log segment damaged", {{"segment", path.native()},
                                                   {"offset_bytes", damage.offset_bytes},
                                                   {"length_bytes", damage.length_bytes},
                                                   {"reason", damage.reason},
                                                   {"kept_as", damage.quarantined_as.native()}});
    const core::Lock lock(mutex_);
    segments_[segment] = damage.offset_bytes;
    if (damage.offset_bytes == 0) segments_.erase(segment);
    report.damages.push_back(std::move(damage));
  }
  return report;
}

Result<void> SegmentedLog::check_accepting() {
  if (is_stopping_) return fail(Code::Unavailable, "the write-ahead log is closing");
  if (failures_in_a_row_ == 0 || monotonic_ns() >= retry_at_ns_) return {};
  return fail(Code::Unavailable,
              fmt::format("the write-ahead log \"{}\" refuses records until it can write again: {}",
                          directory_.native(), last_error_));
}

void SegmentedLog::begin_next_segment() {
  next_ = {.segment = next_.segment + 1, .offset_bytes = kSegmentHeaderBytes};
}

Piece& SegmentedLog::open_piece() {
  if (pending_.empty() || pending_.back().segment != next_.segment) {
    pending_.push_back({.segment = next_.segment,
                        .first_sequence = next_sequence_,
                        .records = std::exchange(spare_, {})});
  }
  return pending_.back();
}

Result<LogTicket> SegmentedLog::enqueue(std::uint8_t type, std::span<const std::byte> payload,
                                        std::optional<std::uint32_t> only_in_segment) {
  if (payload.size() > options_.record_bytes_max) {
    return fail(Code::TooLarge, fmt::format("log record of {} bytes, the limit is {} "
                                            "(WriteAheadLog::Options::record_bytes_max)",
                                            payload.size(), options_.record_bytes_max));
  }
  const std::uint32_t payload_crc = core::crc32c(payload);
  const core::Lock lock(mutex_);
  GANTRY_CHECK(check_accepting());
  if (only_in_segment && *only_in_segment != next_.segment) {
    return fail(Code::FailedPrecondition,
                fmt::format("the write-ahead log is at segment {}, not {}", next_.segment,
                            *only_in_segment));
  }
  const std::uint64_t bytes = kRecordHeaderBytes + payload.size();
  if (pending_bytes_ + bytes > options_.pending_bytes_max && pending_bytes_ > 0) {
    return fail(Code::ResourceExhausted,
                fmt::format("{} bytes wait for the write-ahead log, the limit is {} "
                            "(WriteAheadLog::Options::pending_bytes_max)",
                            pending_bytes_, options_.pending_bytes_max));
  }
  const LogTicket ticket{.position = next_, .sequence = next_sequence_};
  append_record(open_piece().records, type, ticket.sequence, payload, payload_crc);
  ++next_sequence_;
  pending_bytes_ += bytes;
  next_.offset_bytes += bytes;
  ++statistics_.records;
  if (next_.offset_bytes >= options_.segment_bytes_max) begin_next_segment();
  work_.notify_one();
  return ticket;
}

Result<LogPosition> SegmentedLog::wait(const LogTicket& ticket) {
  core::Lock lock(mutex_);
  while (true) {
    for (const Failure& failure : failures_) {
      if (ticket.sequence < failure.first_sequence || ticket.sequence > failure.last_sequence) {
        continue;
      }
      return std::unexpected(failure.error);
    }
    if (done_sequence_ >= ticket.sequence) return ticket.position;
    done_.wait(lock);
  }
}

LogPosition SegmentedLog::rotate() {
  const core::Lock lock(mutex_);
  if (next_.offset_bytes > kSegmentHeaderBytes) begin_next_segment();
  // So that truncate_before may delete all that is older: the numbers must not start again.
  static_cast<void>(open_piece());
  work_.notify_one();
  return {.segment = next_.segment, .offset_bytes = 0};
}

Result<void> SegmentedLog::sync() {
  core::Lock lock(mutex_);
  const std::uint64_t target = next_sequence_ - 1;
  sync_wanted_ = std::max(sync_wanted_, target);
  work_.notify_one();
  const std::uint64_t first = synced_sequence_ + 1;
  while (synced_sequence_ < target) done_.wait(lock);
  for (const Failure& failure : failures_) {
    if (failure.first_unsynced <= target && failure.last_sequence >= first) {
      return std::unexpected(failure.error);
    }
  }
  return {};
}

Result<void> SegmentedLog::truncate_before(LogPosition position) {
  std::vector<std::uint32_t> old;
  {
    core::Lock lock(mutex_);
    const auto is_made = [&] GANTRY_REQUIRES(mutex_) {
      return segments_.empty() || segments_.rbegin()->first >= position.segment;
    };
    while (!is_made() && (is_committing_ || !pending_.empty())) done_.wait(lock);
    for (const auto& [segment, bytes] : segments_) {
      const bool is_highest = segment == segments_.rbegin()->first;
      if (segment < position.segment && !is_highest) old.push_back(segment);
    }
  }
  for (const std::uint32_t segment : old) {
    auto removed = files_.remove(path_of(segment));
    if (!removed && removed.error().code != Code::NotFound) return removed;
    const core::Lock lock(mutex_);
    segments_.erase(segment);
    ++statistics_.segments_removed;
  }
  return old.empty() ? Result<void>{} : files_.sync_directory(directory_);
}

std::uint64_t SegmentedLog::size_bytes() const {
  const core::Lock lock(mutex_);
  std::uint64_t sum = pending_bytes_;
  for (const auto& [segment, bytes] : segments_) sum += bytes;
  return sum;
}

void SegmentedLog::run_flusher() {
  Batch batch;
  while (wait_for_work(batch)) {
    if (const Result<void> committed = commit(batch); !committed) {
      give_up_segment(committed.error());
    }
    finish_batch(batch);
  }
}

bool SegmentedLog::wait_for_work(Batch& batch) {
  core::Lock lock(mutex_);
  while (true) {
    const bool has_unsynced = synced_sequence_ < done_sequence_;
    batch.wants_sync = options_.durability == LogDurability::Synced ||
                       sync_wanted_ > synced_sequence_ || (is_stopping_ && has_unsynced) ||
                       (has_unsynced && monotonic_ns() >= sync_due_ns_);
    if (!pending_.empty() || (has_unsynced && batch.wants_sync)) break;
    if (is_stopping_) return false;
    if (has_unsynced) {
      const std::int64_t left_ns = std::max<std::int64_t>(sync_due_ns_ - monotonic_ns(), 0);
      work_.wait_for(lock, std::chrono::nanoseconds(left_ns));
    } else {
      work_.wait(lock);
    }
  }
  batch.pieces = std::exchange(pending_, {});
  batch.last_sequence = next_sequence_ - 1;
  pending_bytes_ = 0;
  is_committing_ = true;
  return true;
}

Result<void> SegmentedLog::sync_writer() {
  auto synced = writer_->sync();
  has_sync_failed_ = !synced;
  return synced;
}

Result<void> SegmentedLog::switch_segment(const Piece& piece) {
  if (writer_) {
    // All of a segment is on disk before the next one exists: only the last can be torn.
    GANTRY_CHECK(sync_writer());
    publish(piece.first_sequence - 1, true);
    static_cast<void>(writer_->truncate(writer_->size_bytes()));
    writer_.reset();
  }
  GANTRY_TRY(writer_,
             SegmentWriter::create(files_, directory_, piece.segment, piece.first_sequence));
  committed_bytes_ = writer_->size_bytes();
  has_sync_failed_ = false;
  const core::Lock lock(mutex_);
  segments_[piece.segment] = committed_bytes_;
  ++statistics_.segments_created;
  return {};
}

Result<void> SegmentedLog::commit(const Batch& batch) {
  for (const Piece& piece : batch.pieces) {
    if (!writer_ || writer_->segment() != piece.segment) GANTRY_CHECK(switch_segment(piece));
    if (piece.records.empty()) continue;
    GANTRY_CHECK(writer_->append(piece.records, options_.preallocate_bytes));
  }
  if (batch.wants_sync && writer_) GANTRY_CHECK(sync_writer());
  publish(batch.last_sequence, batch.wants_sync);
  return {};
}

void SegmentedLog::publish(std::uint64_t last_sequence, bool is_synced) {
  const core::Lock lock(mutex_);
  if (writer_) {
    statistics_.bytes_written += writer_->size_bytes() - committed_bytes_;
    committed_bytes_ = writer_->size_bytes();
    // It may have been deleted by truncate_before in the meantime.
    const auto segment = segments_.find(writer_->segment());
    if (segment != segments_.end()) segment->second = committed_bytes_;
  }
  if (synced_sequence_ == done_sequence_) {
    sync_due_ns_ = monotonic_ns() + options_.sync_interval.count * kNsPerMs;
  }
  done_sequence_ = last_sequence;
  if (is_synced) {
    synced_sequence_ = last_sequence;
    ++statistics_.syncs;
  }
  ++statistics_.commits;
  failures_in_a_row_ = 0;
  done_.notify_all();
}

void SegmentedLog::finish_batch(Batch& batch) {
  std::vector<std::byte> spare;
  if (!batch.pieces.empty()) spare = std::move(batch.pieces.back().records);
  spare.clear();
  batch.pieces.clear();
  const core::Lock lock(mutex_);
  if (spare.capacity() <= kSpareBytesMax) spare_ = std::move(spare);
  is_committing_ = false;
  done_.notify_all();
}

void SegmentedLog::give_up_segment(const Error& error) {
  log::error("write-ahead log failed",
             {{"directory", directory_.native()}, {"error", error.message}});
  std::optional<std::uint32_t> removed;
  // Without a file, what was written before is on disk: switch_segment has synced it.
  bool is_rest_synced = true;
  if (writer_) {
    // Best effort: replay cuts what stays. An empty segment would pile up at each attempt.
    const bool is_cut = writer_->truncate(committed_bytes_).has_value();
    is_rest_synced = !has_sync_failed_ && is_cut && writer_->sync().has_value();
    if (committed_bytes_ == kSegmentHeaderBytes && files_.remove(path_of(writer_->segment()))) {
      removed = writer_->segment();
    }
    writer_.reset();
  }
  const core::Lock lock(mutex_);
  if (removed) segments_.erase(*removed);
  fail_pending(error, is_rest_synced);
}

void SegmentedLog::fail_pending(const Error& error, bool is_rest_synced) {
  pending_.clear();
  pending_bytes_ = 0;
  begin_next_segment();
  const std::uint64_t first = done_sequence_ + 1;
  const std::uint64_t last = next_sequence_ - 1;
  const std::uint64_t first_unsynced = is_rest_synced ? first : synced_sequence_ + 1;
  if (!failures_.empty() && failures_.back().last_sequence + 1 == first) {
    failures_.back().last_sequence = last;
    failures_.back().error = error;
  } else if (first_unsynced <= last) {
    failures_.push_back({.first_sequence = first,
                         .last_sequence = last,
                         .first_unsynced = first_unsynced,
                         .error = error});
  }
  synced_sequence_ = done_sequence_ = last;
  last_error_ = error.message;
  ++statistics_.failures;
  ++failures_in_a_row_;
  // The first time a fresh segment may do; then it is the disk, and asking it again takes time.
  if (failures_in_a_row_ > 1) {
    retry_at_ns_ = monotonic_ns() + options_.retry_interval.count * kNsPerMs;
  }
  done_.notify_all();
}

}  // namespace

Result<std::unique_ptr<WriteAheadLog>> WriteAheadLog::open(FileSystem& files, const Path& directory,
                                                           const Options& options) {
  Options resolved = options;
  if (resolved.quarantine_directory.empty())
    resolved.quarantine_directory = directory / "quarantine";
  GANTRY_TRY(std::unique_ptr<FileLock> lock, lock_directory(files, directory));
  auto log = std::make_unique<SegmentedLog>(files, directory, std::move(resolved), std::move(lock));
  GANTRY_CHECK(log->start());
  return log;
}

Result<LogPosition> WriteAheadLog::append(std::uint8_t type, std::span<const std::byte> payload) {
  GANTRY_TRY(const LogTicket ticket, enqueue(type, payload));
  return wait(ticket);
}

}  // namespace gantry::storage
