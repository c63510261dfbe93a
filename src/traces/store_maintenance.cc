// What the store does besides appending and answering: seal, deletion, the background thread.

#include <chrono>
#include <string>
#include <utility>

#include "core/log.h"
#include "storage/directory.h"
#include "traces/block/block_merge.h"
#include "traces/store_impl.h"

namespace gantry::traces {
namespace {

constexpr std::int64_t kRetryMs = 10'000;
/// A segment is sealed before it could run out of rows.
constexpr std::uint32_t kSealRows = SpanTable::kRowsMax / 4;

}  // namespace

Result<void> StoreImpl::flush() {
  const core::Lock lock(flush_mutex_);
  return seal();
}

/// What an earlier attempt left is written first.
Result<void> StoreImpl::seal() {
  GANTRY_CHECK(write_sealed());
  if (state_->live()->mark().table.counts.spans == 0) return {};
  {
    const storage::ClosedGate closed(gate_);
    begin_seal();
  }
  return write_sealed();
}

/// With the gate closed: everything in the log before `log_end` is in the segment or in blocks.
void StoreImpl::begin_seal() {
  state_->live()->log_end = log_->rotate();
  state_->begin_seal();
  budget_.clear();
  last_seal_ms_ = environment_.clock.now().since_epoch;
}

Result<void> StoreImpl::write_sealed() {
  const std::shared_ptr<Segment> segment = state_->sealing();
  if (!segment) return {};
  const std::int64_t started_ns = monotonic_ns();
  GANTRY_TRY(auto block, write_block(*segment));
  {
    const core::Lock lock(commit_mutex_);
    GANTRY_CHECK(
        state_->catalog.commit_flush(std::move(block), segment->log_end, segment->adopted()));
    state_->end_seal();
  }
  metrics_.seal_seconds.observe(seconds_since(started_ns));
  return log_->truncate_before(segment->log_end);
}

Result<std::shared_ptr<const Block>> StoreImpl::write_block(Segment& segment) {
  storage::FileSystem& files = environment_.files;
  const std::uint64_t number = state_->catalog.next_block_number();
  const storage::Path path = state_->catalog.block_path(number);
  GANTRY_TRY(const storage::Path temporary, storage::prepare_directory(files, path));
  const auto write = [&]() -> Result<void> {
    GANTRY_TRY(const auto writer, BlockWriter::create(files, temporary, {.level = 0}));
    GANTRY_CHECK(write_traces(*segment.table().snapshot(), {}, *writer));
    GANTRY_CHECK(writer->finish());
    return {};
  };
  if (auto written = write(); !written) {
    static_cast<void>(files.remove_all(temporary));
    return std::unexpected(std::move(written).error());
  }
  GANTRY_CHECK(storage::publish_directory(files, temporary, path, storage::FilesSynced::Yes));
  segment.block_number = number;
  // No deletion comes in between: they hold flush_mutex_ too. If the segment has adopted traces,
  // one deletion more hides them in older blocks, and does not apply to this one.
  const std::uint64_t own_deletion = segment.adopted().empty() ? 0 : 1;
  return state_->catalog.open_block(
      {.number = number, .clean_sequence = state_->catalog.deletion_sequence() + own_deletion});
}

Result<bool> StoreImpl::is_in_blocks(const telemetry::TraceId& id) const {
  const std::shared_ptr<const BlockView> view = state_->catalog.view();
  for (const auto& block : view->blocks) {
    if (view->deleted->hides(id, block->entry.clean_sequence)) continue;
    GANTRY_TRY(const std::optional<TracePlace> place, block->reader->find_trace(id));
    if (place) return true;
  }
  return false;
}

Result<bool> StoreImpl::delete_trace(const telemetry::TraceId& id) {
  const core::Lock lock(flush_mutex_);
  GANTRY_CHECK(write_sealed());
  // Appends wait, so that spans are either before the deletion, in a block, or after it, and then
  // nothing that is deleted is adopted.
  const storage::ClosedGate closed(gate_);
  if (state_->live()->has_appended(id)) {
    begin_seal();
    GANTRY_CHECK(write_sealed());
  }
  GANTRY_TRY(const bool is_there, is_in_blocks(id));
  if (!is_there) return false;
  GANTRY_CHECK(state_->catalog.commit_deletion(id));
  return true;
}

/// Readers mark the blocks in which they find wrong bytes.
void StoreImpl::quarantine_damaged() {
  const std::shared_ptr<const BlockView> view = state_->catalog.view();
  for (const auto& block : view->blocks) {
    if (!block->reader->is_damaged()) continue;
    const core::Lock lock(merge_mutex_);
    const auto done = state_->catalog.quarantine(block->entry.number);
    if (done) {
      metrics_.quarantined_blocks.add();
    } else {
      log::error("a damaged trace block could not be set aside", {{"error", done.error().message}});
    }
  }
}

void StoreImpl::seal_if_due() {
  const std::shared_ptr<const StoreOptions> settings = options();
  const core::Lock lock(flush_mutex_);
  const std::int64_t now_ms = environment_.clock.now().since_epoch;
  const std::shared_ptr<const Segment> live = state_->live();
  const traceql::GroupCounts counts = live->mark().table.counts;
  const bool is_due = state_->sealing() != nullptr ||
                      now_ms - last_seal_ms_.load() >= settings->seal_interval.count ||
                      live->table().memory_bytes() >= settings->live_bytes_max ||
                      counts.spans >= kSealRows || counts.events >= kSealRows ||
                      counts.links >= kSealRows;
  if (!is_due || now_ms < retry_seal_ms_) return;
  if (const auto done = seal(); !done) {
    metrics_.seal_failures.add();
    retry_seal_ms_ = now_ms + kRetryMs;
    log::warn("the live trace segment could not be made a block",
              {{"error", done.error().message}});
  }
}

void StoreImpl::maintain() {
  quarantine_damaged();
  seal_if_due();
  {
    const core::Lock lock(merge_mutex_);
    const std::int64_t now_ms = environment_.clock.now().since_epoch;
    if (now_ms >= retry_merge_ms_) {
      Result<bool> more = apply_retention();
      more = more ? merge_one() : more;
      while (more && *more && !cancel_.is_cancelled()) more = merge_one();
      if (!more && more.error().code != Code::Cancelled) {
        metrics_.merge_failures.add();
        retry_merge_ms_ = now_ms + kRetryMs;
        log::warn("traces merge failed", {{"error", more.error().message}});
      }
    }
  }
  state_->catalog.remove_retired();
}

void StoreImpl::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    maintain();
    update_gauges();
    core::Lock lock(wake_mutex_);
    wake_.wait_for(lock, std::chrono::seconds(1), [&]() GANTRY_REQUIRES(wake_mutex_) {
      return stop.stop_requested() || is_seal_wanted_;
    });
    is_seal_wanted_ = false;
  }
}

void StoreImpl::update_gauges() {
  const auto set = [](core::GaugeShare& gauge, auto value) {
    gauge.set(static_cast<double>(value));
  };
  const StoreStatistics statistics = this->statistics();
  std::uint64_t block_bytes = 0;
  for (const BlockStatistics& block : statistics.blocks) block_bytes += block.bytes;
  set(metrics_.live_spans, statistics.live_spans);
  set(metrics_.live_traces, statistics.live_traces);
  set(metrics_.live_bytes, statistics.live_bytes);
  set(metrics_.log_bytes, statistics.wal_bytes);
  set(metrics_.block_count, statistics.blocks.size());
  set(metrics_.block_bytes, block_bytes);
  set(metrics_.cache_bytes, state_->cache.statistics().bytes);
}

}  // namespace gantry::traces
