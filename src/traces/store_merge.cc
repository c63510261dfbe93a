// What the store does with the blocks it has: merging, retention.

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "core/log.h"
#include "storage/directory.h"
#include "traces/block/block_merge.h"
#include "traces/block/merge_policy.h"
#include "traces/store_impl.h"

namespace gantry::traces {
namespace {

/// How often a merge looks at what else there is to do.
constexpr std::int64_t kTendIntervalNs = 1'000'000'000;
/// Merged blocks are read more often than they are written.
constexpr int kMergedCompressionLevel = 3;

std::int64_t ns_of(TimestampMs time) {
  return time.since_epoch * 1'000'000;
}

}  // namespace

bool StoreImpl::take_seal_wanted() {
  const core::Lock lock(wake_mutex_);
  return std::exchange(is_seal_wanted_, false);
}

/// Waits as long as the merge should. What else the background thread does is not held up by a
/// long merge.
void StoreImpl::give_way(storage::MergePacer& pacer, std::uint64_t bytes_written,
                         std::int64_t& tended_ns) {
  const auto has_call = [&]() GANTRY_REQUIRES(wake_mutex_) {
    return cancel_.is_cancelled() || is_seal_wanted_;
  };
  while (!cancel_.is_cancelled()) {
    const std::int64_t now_ns = monotonic_ns();
    const bool is_seal_wanted = take_seal_wanted();
    if (is_seal_wanted || now_ns - tended_ns >= kTendIntervalNs) {
      seal_if_due();
      update_gauges();
      tended_ns = now_ns;
    }
    const bool has_queries = state_->queries_running.load(std::memory_order_relaxed) > 0;
    const std::int64_t wait_ns =
        std::min(pacer.wait_ns(bytes_written, has_queries, now_ns), kTendIntervalNs);
    if (wait_ns == 0) return;
    core::Lock lock(wake_mutex_);
    wake_.wait_for(lock, std::chrono::nanoseconds(wait_ns), has_call);
  }
}

Result<void> StoreImpl::commit_merge(std::span<const std::shared_ptr<const Block>> inputs,
                                     std::shared_ptr<const Block> output) {
  const core::Lock lock(commit_mutex_);
  return state_->catalog.commit_merge(inputs, std::move(output));
}

/// Writes what is not deleted in `inputs` to one block in their place.
Result<void> StoreImpl::merge(std::span<const std::shared_ptr<const Block>> inputs, Pace pace) {
  const std::int64_t started_ns = monotonic_ns();
  storage::FileSystem& files = environment_.files;
  // In this order: the view has every deletion up to the sequence.
  const std::uint64_t clean_sequence = state_->catalog.deletion_sequence();
  const std::shared_ptr<const BlockView> view = state_->catalog.view();
  std::vector<const BlockReader*> readers;
  BlockWriterOptions writer_options{.compression_level = kMergedCompressionLevel};
  for (const auto& block : inputs) {
    readers.push_back(block->reader.get());
    writer_options.level = std::max(writer_options.level, block->reader->summary().level + 1);
  }
  storage::MergePacer pacer(options()->merge_bytes_per_second_max, started_ns);
  std::int64_t tended_ns = started_ns;
  BlockMergeOptions merge_options{.cancel = cancel_};
  merge_options.is_deleted = [&](const telemetry::TraceId& id, std::size_t input) {
    return view->deleted->hides(id, inputs[input]->entry.clean_sequence);
  };
  if (pace == Pace::GivesWay) {
    merge_options.progress = [&](std::uint64_t bytes) { give_way(pacer, bytes, tended_ns); };
  }
  const std::uint64_t number = state_->catalog.next_block_number();
  const storage::Path path = state_->catalog.block_path(number);
  GANTRY_TRY(const storage::Path temporary, storage::prepare_directory(files, path));
  const auto write = [&]() -> Result<BlockSummary> {
    GANTRY_TRY(const auto writer, BlockWriter::create(files, temporary, writer_options));
    GANTRY_CHECK(merge_blocks(readers, merge_options, *writer));
    return writer->finish();
  };
  const Result<BlockSummary> summary = write();
  if (!summary) {
    static_cast<void>(files.remove_all(temporary));
    return std::unexpected(summary.error());
  }
  if (summary->spans == 0) {
    GANTRY_CHECK(files.remove_all(temporary));
    GANTRY_CHECK(commit_merge(inputs, nullptr));
  } else {
    GANTRY_CHECK(storage::publish_directory(files, temporary, path, storage::FilesSynced::Yes));
    GANTRY_TRY(auto output,
               state_->catalog.open_block({.number = number, .clean_sequence = clean_sequence}));
    GANTRY_CHECK(commit_merge(inputs, std::move(output)));
  }
  metrics_.merged_bytes.add(summary->bytes);
  metrics_.merge_seconds.observe(seconds_since(started_ns));
  return state_->catalog.forget_deletions();
}

Result<bool> StoreImpl::merge_one() {
  const std::shared_ptr<const BlockView> view = state_->catalog.view();
  std::vector<BlockSize> sizes;
  for (const auto& block : view->blocks) {
    const BlockSummary& summary = block->reader->summary();
    sizes.push_back({.bytes = summary.bytes, .start_ns_max = summary.start_ns_max});
  }
  const auto choice = choose_merge(sizes, MergePolicy(), ns_of(environment_.clock.now()));
  if (!choice) return false;
  Blocks inputs;
  for (const std::size_t block : *choice) inputs.push_back(view->blocks[block]);
  GANTRY_CHECK(merge(inputs, Pace::GivesWay));
  return true;
}

Result<void> StoreImpl::merge_all() {
  const core::Lock lock(merge_mutex_);
  const std::shared_ptr<const BlockView> view = state_->catalog.view();
  if (view->blocks.size() > 1 || (!view->blocks.empty() && !view->deleted->empty())) {
    GANTRY_CHECK(merge(view->blocks, Pace::Full));
  }
  state_->catalog.remove_retired();
  return {};
}

Result<bool> StoreImpl::apply_retention() {
  const std::shared_ptr<const StoreOptions> settings = options();
  Blocks blocks = state_->catalog.view()->blocks;
  std::ranges::stable_sort(blocks, {},
                           [](const auto& block) { return block->reader->summary().end_ns_max; });
  std::uint64_t total_bytes = 0;
  for (const auto& block : blocks) total_bytes += block->reader->summary().bytes;
  const std::int64_t oldest_ns =
      ns_of(environment_.clock.now() + DurationMs{-settings->retention.count});

  Blocks removed;
  for (const auto& block : blocks) {
    const BlockSummary& summary = block->reader->summary();
    const bool is_old = settings->retention.count > 0 && summary.end_ns_max < oldest_ns;
    const bool is_over = settings->retention_bytes > 0 && total_bytes > settings->retention_bytes &&
                         removed.size() + 1 < blocks.size();
    if (!is_old && !is_over) break;
    total_bytes -= summary.bytes;
    removed.push_back(block);
    metrics_.dropped_blocks.add();
    log::info("trace block dropped",
              {{"block", block->entry.path().string()}, {"reason", is_old ? "age" : "size"}});
  }
  if (removed.empty()) return false;
  GANTRY_CHECK(state_->catalog.commit_removal(removed));
  GANTRY_CHECK(state_->catalog.forget_deletions());
  return true;
}

}  // namespace gantry::traces
