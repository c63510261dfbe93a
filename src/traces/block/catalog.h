#pragma once

// Which blocks a store has: the manifest, the open blocks, and the view that queries get. Every
// change goes through here: on disk first, then published.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/mutex.h"
#include "storage/file.h"
#include "storage/item_cache.h"
#include "storage/write_ahead_log.h"
#include "telemetry/span_batch.h"
#include "traces/block/block_reader.h"
#include "traces/block/manifest.h"

namespace gantry::traces {

/// An open block. Immutable but for the mark of damage; thread-safe.
struct Block {
  BlockEntry entry;
  std::unique_ptr<BlockReader> reader;
};

/// Which traces were deleted, and when. Immutable.
class DeletedTraces {
 public:
  DeletedTraces() = default;
  explicit DeletedTraces(std::span<const TraceDeletion> deletions);

  [[nodiscard]] bool empty() const { return deletions_.empty(); }

  /// The trace's newest deletion; nothing: it has none.
  [[nodiscard]] const TraceDeletion* find(const telemetry::TraceId& id) const;

  /// Whether what a block with this clean_sequence has of the trace is deleted.
  [[nodiscard]] bool hides(const telemetry::TraceId& id, std::uint64_t clean_sequence) const;

 private:
  std::vector<TraceDeletion> deletions_;  ///< By id, each once.
};

/// The blocks as of one moment.
struct BlockView {
  std::vector<std::shared_ptr<const Block>> blocks;  ///< As Manifest::blocks.
  std::shared_ptr<const DeletedTraces> deleted;      ///< Never null.
  std::vector<QuarantinedBlock> quarantined;
  std::uint64_t version = 0;  ///< One more with each change.
};

/// Thread-safe.
class Catalog {
 public:
  /// `directory` exists; it will hold "manifest", "blocks" and "quarantine". `files` and `cache`
  /// must outlive the catalog.
  Catalog(storage::FileSystem& files, storage::Path directory, storage::ItemCache& cache);

  /// Reads the manifest, opens its blocks, sets aside those that are damaged, removes directories
  /// that nothing refers to, and publishes the view. Errors: DataLoss (the manifest),
  /// FailedPrecondition (a newer format), those of File.
  Result<void> open();

  /// Never null.
  [[nodiscard]] std::shared_ptr<const BlockView> view() const;

  /// A number for a block that is about to be written at block_path.
  [[nodiscard]] std::uint64_t next_block_number();
  [[nodiscard]] storage::Path block_path(std::uint64_t number) const;

  /// Opens a block that has been written, so that it can be committed.
  Result<std::shared_ptr<const Block>> open_block(const BlockEntry& entry) const;

  [[nodiscard]] std::uint64_t deletion_sequence() const;
  [[nodiscard]] storage::LogPosition log_start() const;

  /// Adds a block, if there is one; the log before `log_start` is no longer needed. The traces in
  /// `replaced` are whole in the block: a deletion hides what older blocks have of them. The block
  /// is clean of it: its clean_sequence is deletion_sequence() + 1.
  Result<void> commit_flush(std::shared_ptr<const Block> block, storage::LogPosition log_start,
                            std::span<const telemetry::TraceId> replaced = {});

  /// Replaces blocks by one, in the place of the first, or by nothing. FailedPrecondition: one of
  /// them is gone.
  Result<void> commit_merge(std::span<const std::shared_ptr<const Block>> inputs,
                            std::shared_ptr<const Block> output);

  /// Removes blocks for good.
  Result<void> commit_removal(std::span<const std::shared_ptr<const Block>> blocks);

  /// Hides what all blocks have of the trace. Returns the deletion's sequence.
  Result<std::uint64_t> commit_deletion(const telemetry::TraceId& id);

  /// Drops deletions that apply to no block. Not while blocks are merged.
  Result<void> forget_deletions();

  /// Moves a damaged block's directory to the quarantine folder.
  Result<void> quarantine(std::uint64_t block_number);

  /// Deletes directories of removed blocks that nobody reads any more.
  void remove_retired();

 private:
  Result<void> open_blocks() GANTRY_REQUIRES(mutex_);
  Result<void> remove_unknown() GANTRY_REQUIRES(mutex_);
  Result<void> commit(Manifest next, std::vector<std::shared_ptr<const Block>> blocks)
      GANTRY_REQUIRES(mutex_);
  Result<void> commit_deletions(Manifest next, std::vector<std::shared_ptr<const Block>> blocks)
      GANTRY_REQUIRES(mutex_);
  void publish() GANTRY_REQUIRES(mutex_);

  storage::FileSystem& files_;
  const storage::Path directory_;
  storage::ItemCache& cache_;
  mutable core::Mutex mutex_;
  Manifest manifest_ GANTRY_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const Block>> blocks_
      GANTRY_GUARDED_BY(mutex_);  ///< As manifest_.blocks.
  std::vector<std::shared_ptr<const Block>> retired_ GANTRY_GUARDED_BY(mutex_);
  std::shared_ptr<const DeletedTraces> deleted_ GANTRY_GUARDED_BY(mutex_);
  std::shared_ptr<const BlockView> view_ GANTRY_GUARDED_BY(mutex_);
  std::uint64_t version_ GANTRY_GUARDED_BY(mutex_) = 0;
};

}  // namespace gantry::traces
