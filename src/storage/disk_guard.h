#pragma once

// Stops writes while the disk is nearly full, so that merges, the control database and the
// operator still have room, and lets them go on when space has returned.

#include <cstdint>

#include "core/error.h"
#include "core/mutex.h"
#include "core/time.h"
#include "storage/file.h"

namespace gantry::storage {

/// Thread-safe. Asks the file system at most once per `check_interval`; between that, a check is
/// one uncontended lock.
class DiskGuard {
 public:
  struct Options {
    std::uint64_t floor_bytes = 256 << 20;   ///< Below this, writes are refused.
    std::uint64_t resume_bytes = 512 << 20;  ///< And until there is this much again.
    DurationMs check_interval{1000};
  };

  /// `files` and `clock` must outlive it. `path` is any directory on the file system to watch.
  DiskGuard(FileSystem& files, const Clock& clock, Path path, Options options);

  /// Errors: Unavailable ("… has 100 MiB free, writes need 256 MiB (storage.disk_free_min) …").
  /// A file system that cannot say how much is free does not stop writes.
  Result<void> check();

  [[nodiscard]] bool accepts_writes();

  /// A write has met a full disk: refuse from now on until the resume mark is reached.
  void note_disk_full();

  /// Other marks, from the next check on, which asks the file system.
  void reconfigure(Options options);

  /// As of the last check.
  [[nodiscard]] std::uint64_t available_bytes() const;

 private:
  void refresh() GANTRY_REQUIRES(mutex_);

  FileSystem& files_;
  const Clock& clock_;
  const Path path_;
  mutable core::Mutex mutex_;
  Options options_ GANTRY_GUARDED_BY(mutex_);
  bool is_stopped_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_checked_ GANTRY_GUARDED_BY(mutex_) = false;
  std::uint64_t available_bytes_ GANTRY_GUARDED_BY(mutex_) = 0;
  TimestampMs checked_at_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::storage
