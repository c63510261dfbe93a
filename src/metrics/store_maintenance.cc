// What the store does besides appending and answering: flush, deletion, the background thread.

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "core/log.h"
#include "metrics/annotations/annotations_file.h"
#include "metrics/flush.h"
#include "metrics/store_impl.h"
#include "storage/directory.h"

namespace gantry::metrics {
namespace {

constexpr std::int64_t kRetryMs = 10'000;
constexpr std::int64_t kSaveDayBytesMs = 10'000;
constexpr std::uint64_t kDayBytesFileMax = 4096;

}  // namespace

Result<void> StoreImpl::flush() {
  const core::Lock lock(flush_mutex_);
  return flush_locked();
}

Result<void> StoreImpl::flush_locked() {
  const std::int64_t started_ns = monotonic_ns();
  Catalog::Flushed flushed;
  std::uint32_t generation = 0;
  std::uint32_t id_count = 0;
  std::uint64_t clean_sequence = 0;
  std::vector<std::byte> annotations;
  {
    const storage::ClosedGate closed(gate_);
    flushed.log_start = log_->rotate();
    generation = state_->head.begin_generation();
    id_count = state_->registry.id_count();
    clean_sequence = catalog_.tombstone_sequence();
    encode_annotations(state_->registry, state_->exemplars, state_->metadata, annotations);
  }
  HeadFlush head_flush(environment_.files, catalog_, *state_, generation, clean_sequence);
  GANTRY_TRY(flushed.parts, head_flush.write(label_order_.update(id_count)));

  const std::uint64_t old_annotations = catalog_.annotations_number();
  flushed.annotations_number = old_annotations + 1;
  GANTRY_CHECK(write_annotations(annotations, flushed.annotations_number));
  GANTRY_CHECK(catalog_.commit_flush(flushed));
  drop_flushed(head_flush.series(), generation);
  last_flush_ms_ = environment_.clock.now().since_epoch;
  metrics_.flush_seconds.observe(seconds_since(started_ns));

  // The manifest no longer needs these. What cannot be removed now is at the next start or flush.
  if (old_annotations != 0) {
    static_cast<void>(environment_.files.remove(catalog_.annotations_path(old_annotations)));
  }
  return log_->truncate_before(flushed.log_start);
}

Result<void> StoreImpl::write_annotations(std::span<const std::byte> bytes, std::uint64_t number) {
  return storage::write_file_atomically(environment_.files, catalog_.annotations_path(number),
                                        bytes);
}

void StoreImpl::drop_flushed(std::span<const std::uint32_t> series, std::uint32_t generation) {
  // Before the first sample goes: a reader that misses it under the shard's lock sees the count.
  state_->head_drops.fetch_add(1, std::memory_order_acq_rel);
  for (const std::uint32_t id : series) {
    state_->head.with_series(id, [&](SeriesRecord& record, HeadContext& context) {
      drop_sealed(record, context, generation);
      state_->head.deactivate_if_empty(record, context);
    });
  }
}

Result<void> StoreImpl::erase_from_head(std::span<const std::uint32_t> series,
                                        std::int64_t start_ms, std::int64_t end_ms) {
  const std::uint32_t generation = state_->head.generation();
  for (const std::uint32_t id : series) {
    GANTRY_CHECK(state_->head.with_series(
        id, [&](SeriesRecord& record, HeadContext& context) -> Result<void> {
          GANTRY_CHECK(erase_samples(record, context, generation, start_ms, end_ms));
          state_->head.deactivate_if_empty(record, context);
          return {};
        }));
  }
  return {};
}

Result<void> StoreImpl::delete_series(std::span<const promql::Matcher> matchers,
                                      std::int64_t start_ms, std::int64_t end_ms) {
  if (matchers.empty()) {
    return fail(Code::InvalidArgument, "a deletion needs at least one matcher");
  }
  if (start_ms > end_ms) {
    return fail(Code::InvalidArgument, "a deletion's start is after its end");
  }
  // No flush may run: what it writes could not be told from what is hidden.
  const core::Lock lock(flush_mutex_);
  const storage::ClosedGate closed(gate_);
  std::vector<std::uint32_t> series;
  {
    const SeriesRegistry::Reader registry(state_->registry);
    GANTRY_TRY(series, match_series(registry, state_->regexes, matchers, CancelToken()));
  }
  if (series.empty()) return {};
  std::vector<std::byte> payload;
  encode_delete(matchers, start_ms, end_ms, payload);
  auto ticket = log_->enqueue(kDeleteRecord, payload);
  if (!ticket) return std::unexpected(log_error(ticket.error()));
  const storage::LogTicket tickets[] = {*ticket};
  GANTRY_CHECK(wait_for(tickets));

  const std::shared_ptr<const PartView> view = state_->view();
  const bool hits_parts = std::ranges::any_of(
      view->parts, [&](const auto& part) { return part->overlaps(start_ms, end_ms); });
  if (hits_parts) {
    TombstoneEntry entry{
        .start_ms = start_ms, .end_ms = end_ms, .matchers = {matchers.begin(), matchers.end()}};
    GANTRY_CHECK(catalog_.commit_tombstone(std::move(entry), series));
  }
  must_collect_ = true;
  return erase_from_head(series, start_ms, end_ms);
}

void StoreImpl::collect_series() {
  std::vector<std::uint32_t> dead;
  const storage::ClosedGate closed(gate_);
  const std::uint32_t count = state_->registry.id_count();
  for (std::uint32_t series = 0; series < count; ++series) {
    const bool is_dead =
        state_->head.with_series(series, [&](SeriesRecord& record, HeadContext& context) {
          state_->head.deactivate_if_empty(record, context);
          return record.label_count > 0 && !has_data(record) &&
                 record.part_count().load(std::memory_order_relaxed) == 0;
        });
    if (is_dead) dead.push_back(series);
  }
  must_collect_ = false;
  if (dead.empty()) return;
  state_->exemplars.remove(dead);
  state_->series_cache.clear();
  state_->registry.collect(dead);
  label_order_.remove_dead();
  metrics_.series_collected.add(dead.size());
}

void StoreImpl::quarantine_damaged() {
  for (const std::uint64_t number : state_->take_damaged()) {
    const core::Lock lock(merge_mutex_);
    const auto done = catalog_.quarantine(number);
    if (done) {
      metrics_.quarantined_parts.add();
    } else {
      log::error("a damaged part could not be set aside", {{"error", done.error().message}});
    }
  }
}

void StoreImpl::flush_if_due() {
  const std::shared_ptr<const StoreOptions> settings = options();
  const core::Lock lock(flush_mutex_);
  const std::int64_t now_ms = environment_.clock.now().since_epoch;
  const bool is_due = now_ms - last_flush_ms_ >= settings->flush_interval.count ||
                      log_->size_bytes() >= settings->wal_bytes_max;
  if (!is_due || now_ms < retry_flush_ms_) return;
  if (const auto done = flush_locked(); !done) {
    metrics_.flush_failures.add();
    retry_flush_ms_ = now_ms + kRetryMs;
    log::warn("metrics flush failed", {{"error", done.error().message}});
  }
}

std::filesystem::path StoreImpl::day_bytes_path() const {
  return directory_ / "day-bytes";
}

Result<void> StoreImpl::load_day_bytes() {
  GANTRY_TRY(const bool exists, environment_.files.exists(day_bytes_path()));
  if (!exists) return {};
  const auto bytes = storage::read_file(environment_.files, day_bytes_path(), kDayBytesFileMax);
  const Result<DayBytes::Count> count =
      bytes ? decode_day_bytes(*bytes) : Result<DayBytes::Count>(std::unexpected(bytes.error()));
  if (!count) {
    if (count.error().code == Code::FailedPrecondition) return std::unexpected(count.error());
    log::error("the count of the day's bytes was lost", {{"error", count.error().message}});
    return {};
  }
  day_bytes_.restore(*count);
  const core::Lock lock(flush_mutex_);
  saved_day_bytes_ = *count;
  return {};
}

Result<void> StoreImpl::save_day_bytes() {
  const DayBytes::Count count = day_bytes_.count();
  if (options()->limits.bytes_per_day_max == 0 || count == saved_day_bytes_) return {};
  GANTRY_CHECK(storage::write_file_atomically(environment_.files, day_bytes_path(),
                                              encode_day_bytes(count)));
  saved_day_bytes_ = count;
  return {};
}

void StoreImpl::save_day_bytes_if_due() {
  const core::Lock lock(flush_mutex_);
  const std::int64_t now_ms = environment_.clock.now().since_epoch;
  if (now_ms < day_bytes_due_ms_) return;
  day_bytes_due_ms_ = now_ms + kSaveDayBytesMs;
  if (const auto saved = save_day_bytes(); !saved) {
    log::warn("the count of the day's bytes was not saved", {{"error", saved.error().message}});
  }
}

void StoreImpl::maintain() {
  if (state_->has_damage.load(std::memory_order_acquire)) quarantine_damaged();
  flush_if_due();
  save_day_bytes_if_due();
  const core::Lock lock(merge_mutex_);
  const std::int64_t now_ms = environment_.clock.now().since_epoch;
  if (now_ms >= retry_merge_ms_) {
    Result<bool> more = apply_retention();
    const bool has_dropped = more && *more;
    more = more ? merge_one() : more;
    while (more && *more && !cancel_.is_cancelled()) more = merge_one();
    if (!more && more.error().code != Code::Cancelled) {
      metrics_.merge_failures.add();
      retry_merge_ms_ = now_ms + kRetryMs;
      log::warn("metrics merge failed", {{"error", more.error().message}});
    }
    const core::Lock flush_lock(flush_mutex_);
    if (has_dropped || must_collect_) collect_series();
  }
  catalog_.remove_retired();
}

void StoreImpl::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    maintain();
    update_gauges();
    core::Lock lock(wake_mutex_);
    wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stop.stop_requested(); });
  }
}

void StoreImpl::update_gauges() {
  const auto set = [](core::GaugeShare& gauge, auto value) {
    gauge.set(static_cast<double>(value));
  };
  const SeriesRegistry::Memory index = state_->registry.memory();
  const Head::Memory head = state_->head.memory();
  const std::shared_ptr<const PartView> view = state_->view();
  set(metrics_.head_bytes.records, index.records);
  set(metrics_.head_bytes.labels, index.labels);
  set(metrics_.head_bytes.symbols, index.symbols);
  set(metrics_.head_bytes.postings, index.postings);
  set(metrics_.head_bytes.label_sets, index.label_sets);
  set(metrics_.head_bytes.series_cache, state_->series_cache.allocated_bytes());
  set(metrics_.head_bytes.open, head.open);
  set(metrics_.head_bytes.sealed, head.sealed);
  set(metrics_.head_bytes.extra, head.extra);
  set(metrics_.head_bytes.late_changes, head.late_changes);
  set(metrics_.head_bytes.exemplars, state_->exemplars.allocated_bytes());
  set(metrics_.head_bytes.metadata, state_->metadata.allocated_bytes());
  std::size_t part_index_bytes = 0;
  std::uint64_t part_bytes = 0;
  for (const auto& part : view->parts) {
    part_index_bytes += part->index_bytes();
    part_bytes += part->bytes();
  }
  set(metrics_.head_bytes.part_indexes, part_index_bytes);
  set(metrics_.active_series, state_->head.active_count());
  set(metrics_.known_series, SeriesRegistry::Reader(state_->registry).live_count());
  set(metrics_.log_bytes, log_->size_bytes());
  set(metrics_.part_count, view->parts.size());
  set(metrics_.part_bytes, part_bytes);
  set(metrics_.tombstones, view->tombstones.size());
  set(metrics_.exemplars, state_->exemplars.size());
  set(metrics_.day_bytes, day_bytes_.count().bytes);
}

}  // namespace gantry::metrics
