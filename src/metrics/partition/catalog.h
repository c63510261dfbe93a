#pragma once

// Which parts a store has: the manifest, the open parts, and the view that queries get. Every
// change goes through here: on disk first, then published.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/mutex.h"
#include "metrics/partition/manifest.h"
#include "metrics/partition/part_view.h"
#include "metrics/store_state.h"
#include "storage/file.h"

namespace gantry::metrics {

/// Thread-safe.
class Catalog {
 public:
  Catalog(storage::FileSystem& files, storage::Path directory, StoreState& state)
      : files_(files), directory_(std::move(directory)), state_(state) {}

  /// Reads the manifest, opens its parts, sets aside those that are damaged, removes directories
  /// that nothing refers to, and publishes the view. Tombstones are resolved against the series of
  /// the parts. Errors: DataLoss (the manifest), FailedPrecondition (a newer format), those of
  /// File.
  Result<void> open();

  /// A number for a part that is about to be written.
  [[nodiscard]] std::uint64_t next_part_number();

  [[nodiscard]] std::uint64_t tombstone_sequence() const;
  [[nodiscard]] storage::LogPosition log_start() const;
  [[nodiscard]] std::uint64_t annotations_number() const;

  [[nodiscard]] storage::Path part_path(const PartEntry& entry) const {
    return directory_ / entry.path();
  }

  [[nodiscard]] storage::Path annotations_path(std::uint64_t number) const;

  /// Opens a part that has been written, so that it can be committed.
  Result<std::shared_ptr<const Part>> open_part(const PartEntry& entry);

  struct Flushed {
    std::vector<std::shared_ptr<const Part>> parts;
    storage::LogPosition log_start;
    std::uint64_t annotations_number = 0;
  };

  Result<void> commit_flush(const Flushed& flushed);

  /// Replaces neighbours of one day by one part, or by nothing.
  Result<void> commit_merge(std::span<const std::shared_ptr<const Part>> inputs,
                            std::shared_ptr<const Part> output);

  /// Removes parts for good.
  Result<void> commit_removal(std::span<const std::shared_ptr<const Part>> parts);

  /// Hides samples in all parts there are.
  Result<void> commit_tombstone(TombstoneEntry entry, std::vector<std::uint32_t> series);

  /// Drops tombstones that no part is subject to.
  Result<void> forget_tombstones();

  /// Moves a damaged part's directory to the quarantine folder.
  Result<void> quarantine(std::uint64_t part_number);

  /// Deletes directories of removed parts that nobody reads any more.
  void remove_retired();

 private:
  Result<void> open_parts() GANTRY_REQUIRES(mutex_);
  Result<void> remove_unknown() GANTRY_REQUIRES(mutex_);
  Result<void> set_aside(const PartEntry& entry, TimeRange range, std::string_view why)
      GANTRY_REQUIRES(mutex_);
  void resolve_tombstones() GANTRY_REQUIRES(mutex_);
  Result<void> commit(Manifest next, std::vector<std::shared_ptr<const Part>> parts)
      GANTRY_REQUIRES(mutex_);
  void publish() GANTRY_REQUIRES(mutex_);
  void retire(const std::shared_ptr<const Part>& part) GANTRY_REQUIRES(mutex_);

  storage::FileSystem& files_;
  const storage::Path directory_;
  StoreState& state_;
  mutable core::Mutex mutex_;
  Manifest manifest_ GANTRY_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const Part>> parts_
      GANTRY_GUARDED_BY(mutex_);  ///< As manifest_.parts.
  std::vector<std::shared_ptr<const Tombstone>> tombstones_ GANTRY_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const Part>> retired_ GANTRY_GUARDED_BY(mutex_);
  std::uint64_t version_ GANTRY_GUARDED_BY(mutex_) = 0;
};

}  // namespace gantry::metrics
