#include "traces/block/catalog.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/log.h"
#include "storage/directory.h"

namespace gantry::traces {
namespace {

constexpr std::string_view kManifestName = "manifest";
constexpr std::string_view kBlocks = "blocks";
constexpr std::string_view kQuarantine = "quarantine";

using BlockPtr = std::shared_ptr<const Block>;

bool is_in(std::span<const BlockPtr> blocks, std::uint64_t number) {
  return std::ranges::any_of(blocks,
                             [&](const auto& block) { return block->entry.number == number; });
}

std::vector<BlockEntry> entries_of(std::span<const BlockPtr> blocks) {
  std::vector<BlockEntry> entries;
  for (const auto& block : blocks) {
    BlockEntry& entry = entries.emplace_back(block->entry);
    entry.start_ns_min = block->reader->summary().start_ns_min;
    entry.end_ns_max = block->reader->summary().end_ns_max;
  }
  return entries;
}

/// Moves the block's directory, if it is there, to the quarantine folder and says so in the log.
Result<void> set_aside(storage::FileSystem& files, const storage::Path& directory,
                       const BlockEntry& entry, std::string_view why) {
  const storage::Path path = directory / entry.path();
  std::string place = "nowhere: it is missing";
  GANTRY_TRY(const bool exists, files.exists(path));
  if (exists) {
    GANTRY_TRY(const storage::Path moved,
               storage::move_to_quarantine(files, path, directory / kQuarantine));
    place = moved.string();
  }
  log::error("trace block set aside",
             {{"block", entry.path().string()}, {"reason", why}, {"now_at", place}});
  return {};
}

/// Whether some block may have what the deletion hides. A block that cannot say may.
bool may_hide(const TraceDeletion& deletion, std::span<const BlockPtr> blocks) {
  return std::ranges::any_of(blocks, [&](const BlockPtr& block) {
    if (block->entry.clean_sequence >= deletion.sequence) return false;
    const auto may_contain = block->reader->may_contain(deletion.id);
    return !may_contain || *may_contain;
  });
}

}  // namespace

DeletedTraces::DeletedTraces(std::span<const TraceDeletion> deletions)
    : deletions_(deletions.begin(), deletions.end()) {
  // Of several deletions of one trace the newest says all.
  std::ranges::sort(deletions_, [](const TraceDeletion& a, const TraceDeletion& b) {
    return a.id != b.id ? a.id < b.id : a.sequence > b.sequence;
  });
  const auto repeated = std::ranges::unique(deletions_, {}, &TraceDeletion::id);
  deletions_.erase(repeated.begin(), repeated.end());
}

const TraceDeletion* DeletedTraces::find(const telemetry::TraceId& id) const {
  const auto found = std::ranges::lower_bound(deletions_, id, {}, &TraceDeletion::id);
  return found == deletions_.end() || found->id != id ? nullptr : &*found;
}

bool DeletedTraces::hides(const telemetry::TraceId& id, std::uint64_t clean_sequence) const {
  const TraceDeletion* const deletion = find(id);
  return deletion != nullptr && deletion->sequence > clean_sequence;
}

Catalog::Catalog(storage::FileSystem& files, storage::Path directory, storage::ItemCache& cache)
    : files_(files),
      directory_(std::move(directory)),
      cache_(cache),
      deleted_(std::make_shared<const DeletedTraces>()) {
  const core::Lock lock(mutex_);
  publish();
}

Result<void> Catalog::open() {
  const core::Lock lock(mutex_);
  GANTRY_CHECK(files_.create_directories(directory_ / kBlocks));
  GANTRY_CHECK(files_.sync_directory(directory_));
  GANTRY_CHECK(storage::remove_temporaries(files_, directory_));
  GANTRY_TRY(manifest_, read_manifest(files_, directory_ / kManifestName));
  GANTRY_CHECK(open_blocks());
  GANTRY_CHECK(remove_unknown());
  deleted_ = std::make_shared<const DeletedTraces>(manifest_.deletions);
  publish();
  return {};
}

Result<void> Catalog::open_blocks() {
  Manifest next = manifest_;
  std::vector<BlockPtr> blocks;
  for (const BlockEntry& entry : manifest_.blocks) {
    auto block = open_block(entry);
    if (block) {
      blocks.push_back(*std::move(block));
      continue;
    }
    if (block.error().code != Code::DataLoss) return std::unexpected(std::move(block).error());
    GANTRY_CHECK(set_aside(files_, directory_, entry, block.error().message));
    next.quarantined.push_back({.name = entry.path().string(),
                                .start_ns_min = entry.start_ns_min,
                                .end_ns_max = entry.end_ns_max});
  }
  if (blocks.size() == manifest_.blocks.size()) {
    blocks_ = std::move(blocks);
    return {};
  }
  return commit(std::move(next), std::move(blocks));
}

Result<void> Catalog::remove_unknown() {
  std::set<std::string> known;
  for (const BlockEntry& entry : manifest_.blocks) known.insert(entry.path().filename().string());
  GANTRY_TRY(const auto entries, files_.list(directory_ / kBlocks));
  for (const storage::DirectoryEntry& entry : entries) {
    if (known.contains(entry.name)) continue;
    GANTRY_CHECK(files_.remove_all(directory_ / kBlocks / entry.name));
  }
  return {};
}

std::shared_ptr<const BlockView> Catalog::view() const {
  const core::Lock lock(mutex_);
  return view_;
}

std::uint64_t Catalog::next_block_number() {
  const core::Lock lock(mutex_);
  return manifest_.next_block_number++;
}

storage::Path Catalog::block_path(std::uint64_t number) const {
  return directory_ / BlockEntry{.number = number}.path();
}

Result<BlockPtr> Catalog::open_block(const BlockEntry& entry) const {
  auto block = std::make_shared<Block>();
  block->entry = entry;
  GANTRY_TRY(block->reader, BlockReader::open(files_, directory_ / entry.path(), cache_));
  return block;
}

std::uint64_t Catalog::deletion_sequence() const {
  const core::Lock lock(mutex_);
  return manifest_.deletion_sequence;
}

storage::LogPosition Catalog::log_start() const {
  const core::Lock lock(mutex_);
  return manifest_.log_start;
}

Result<void> Catalog::commit(Manifest next, std::vector<BlockPtr> blocks) {
  next.blocks = entries_of(blocks);
  GANTRY_CHECK(write_manifest(files_, directory_ / kManifestName, next));
  manifest_ = std::move(next);
  blocks_ = std::move(blocks);
  publish();
  return {};
}

void Catalog::publish() {
  auto view = std::make_shared<BlockView>();
  view->blocks = blocks_;
  view->deleted = deleted_;
  view->quarantined = manifest_.quarantined;
  view->version = ++version_;
  view_ = std::move(view);
}

Result<void> Catalog::commit_flush(BlockPtr block, storage::LogPosition log_start,
                                   std::span<const telemetry::TraceId> replaced) {
  const core::Lock lock(mutex_);
  std::vector<BlockPtr> blocks = blocks_;
  if (block) blocks.push_back(block);
  Manifest next = manifest_;
  next.log_start = log_start;
  if (replaced.empty()) return commit(std::move(next), std::move(blocks));
  const std::uint64_t sequence = ++next.deletion_sequence;
  GANTRY_ASSERT(block && block->entry.clean_sequence == sequence,
                "what replaces a trace is not hidden by it");
  // An older deletion of the same trace says nothing more.
  const std::set<telemetry::TraceId> ids(replaced.begin(), replaced.end());
  std::erase_if(next.deletions,
                [&](const TraceDeletion& deletion) { return ids.contains(deletion.id); });
  for (const telemetry::TraceId& id : ids) {
    next.deletions.push_back({.id = id, .sequence = sequence});
  }
  return commit_deletions(std::move(next), std::move(blocks));
}

Result<void> Catalog::commit_merge(std::span<const BlockPtr> inputs, BlockPtr output) {
  const core::Lock lock(mutex_);
  std::vector<BlockPtr> blocks;
  std::vector<BlockPtr> gone;
  for (const BlockPtr& block : blocks_) {
    if (!is_in(inputs, block->entry.number)) {
      blocks.push_back(block);
      continue;
    }
    if (gone.empty() && output) blocks.push_back(output);
    gone.push_back(block);
  }
  if (gone.size() != inputs.size()) {
    return fail(Code::FailedPrecondition, "a trace block was removed while it was merged");
  }
  GANTRY_CHECK(commit(manifest_, std::move(blocks)));
  retired_.insert(retired_.end(), gone.begin(), gone.end());
  return {};
}

Result<void> Catalog::commit_removal(std::span<const BlockPtr> removed) {
  const core::Lock lock(mutex_);
  std::vector<BlockPtr> blocks;
  std::vector<BlockPtr> gone;
  for (const BlockPtr& block : blocks_) {
    (is_in(removed, block->entry.number) ? gone : blocks).push_back(block);
  }
  Manifest next = manifest_;
  // What was set aside stops mattering when all that was as old is gone.
  std::int64_t oldest = std::numeric_limits<std::int64_t>::max();
  for (const BlockPtr& block : blocks) {
    oldest = std::min(oldest, block->reader->summary().start_ns_min);
  }
  std::erase_if(next.quarantined, [&](const QuarantinedBlock& block) {
    return !blocks.empty() && block.end_ns_max < oldest;
  });
  GANTRY_CHECK(commit(std::move(next), std::move(blocks)));
  retired_.insert(retired_.end(), gone.begin(), gone.end());
  return {};
}

Result<std::uint64_t> Catalog::commit_deletion(const telemetry::TraceId& id) {
  const core::Lock lock(mutex_);
  Manifest next = manifest_;
  const std::uint64_t sequence = ++next.deletion_sequence;
  // An older deletion of the same trace says nothing more.
  std::erase_if(next.deletions, [&](const TraceDeletion& deletion) { return deletion.id == id; });
  next.deletions.push_back({.id = id, .sequence = sequence});
  GANTRY_CHECK(commit_deletions(std::move(next), blocks_));
  return sequence;
}

Result<void> Catalog::commit_deletions(Manifest next, std::vector<BlockPtr> blocks) {
  auto deleted = std::make_shared<const DeletedTraces>(next.deletions);
  std::swap(deleted, deleted_);
  auto committed = commit(std::move(next), std::move(blocks));
  if (!committed) std::swap(deleted, deleted_);
  return committed;
}

Result<void> Catalog::forget_deletions() {
  std::vector<BlockPtr> blocks;
  std::vector<TraceDeletion> deletions;
  {
    const core::Lock lock(mutex_);
    blocks = blocks_;
    deletions = manifest_.deletions;
  }
  // Without the lock: filters may have to be read.
  std::erase_if(deletions,
                [&](const TraceDeletion& deletion) { return may_hide(deletion, blocks); });
  if (deletions.empty()) return {};
  const core::Lock lock(mutex_);
  Manifest next = manifest_;
  const DeletedTraces obsolete(deletions);
  std::erase_if(next.deletions, [&](const TraceDeletion& deletion) {
    const TraceDeletion* const found = obsolete.find(deletion.id);
    return found != nullptr && found->sequence == deletion.sequence;
  });
  return commit_deletions(std::move(next), blocks_);
}

Result<void> Catalog::quarantine(std::uint64_t block_number) {
  const core::Lock lock(mutex_);
  const auto found = std::ranges::find_if(
      blocks_, [&](const auto& block) { return block->entry.number == block_number; });
  if (found == blocks_.end()) return {};
  const BlockPtr block = *found;
  std::vector<BlockPtr> blocks = blocks_;
  blocks.erase(blocks.begin() + (found - blocks_.begin()));
  // The directory moves first: after a crash in between the block is found missing and noted.
  GANTRY_CHECK(set_aside(files_, directory_, block->entry, "it failed a check while it was read"));
  Manifest next = manifest_;
  next.quarantined.push_back({.name = block->entry.path().string(),
                              .start_ns_min = block->reader->summary().start_ns_min,
                              .end_ns_max = block->reader->summary().end_ns_max});
  return commit(std::move(next), std::move(blocks));
}

void Catalog::remove_retired() {
  std::vector<BlockPtr> unused;
  {
    const core::Lock lock(mutex_);
    std::erase_if(retired_, [&](const BlockPtr& block) {
      // Nobody can get a new reference: no published view has the block.
      if (block.use_count() > 1) return false;
      unused.push_back(block);
      return true;
    });
  }
  for (BlockPtr& block : unused) {
    const storage::Path path = directory_ / block->entry.path();
    block.reset();
    const auto removed = files_.remove_all(path);
    if (!removed) {
      log::warn("removal of a merged trace block failed",
                {{"path", path.string()}, {"error", removed.error().message}});
    }
  }
}

}  // namespace gantry::traces
