// What the store does with the parts it has: merging, deletion made physical, retention.

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "core/log.h"
#include "metrics/flush.h"
#include "metrics/partition/merge_policy.h"
#include "metrics/store_impl.h"
#include "storage/directory.h"

namespace gantry::metrics {
namespace {

/// A day takes late samples for a while before it counts as closed.
constexpr std::int64_t kDayClosesAfterMs = 2LL * 60 * 60 * 1000;
/// How often a merge looks at what else there is to do.
constexpr std::int64_t kTendIntervalNs = 1'000'000'000;

using PartList = std::vector<std::shared_ptr<const Part>>;

std::map<std::int64_t, PartList> by_day(const PartView& view) {
  std::map<std::int64_t, PartList> days;
  for (const auto& part : view.parts) days[part->entry().day].push_back(part);
  return days;
}

}  // namespace

Result<void> StoreImpl::clean_tombstones() {
  const core::Lock lock(merge_mutex_);
  const Deletions deletions = deletions_now();
  for (const auto& part : deletions.view->parts) {
    if (!deletions.view->has_tombstones(*part)) continue;
    GANTRY_CHECK(rewrite({&part, 1}, deletions, Pace::Full));
  }
  GANTRY_CHECK(catalog_.forget_tombstones());
  catalog_.remove_retired();
  const core::Lock flush_lock(flush_mutex_);
  collect_series();
  return {};
}

StoreImpl::Deletions StoreImpl::deletions_now() const {
  // In this order: the view has every deletion up to the sequence.
  const std::uint64_t sequence = catalog_.tombstone_sequence();
  return {.sequence = sequence, .view = state_->view()};
}

/// Waits as long as the merge should. What else the background thread does is not held up by a
/// long merge.
void StoreImpl::give_way(storage::MergePacer& pacer, std::uint64_t bytes_written,
                         std::int64_t& tended_ns) {
  while (!cancel_.is_cancelled()) {
    const std::int64_t now_ns = monotonic_ns();
    if (now_ns - tended_ns >= kTendIntervalNs) {
      flush_if_due();
      save_day_bytes_if_due();
      update_gauges();
      tended_ns = now_ns;
    }
    const bool has_queries = state_->queries_running.load(std::memory_order_relaxed) > 0;
    const std::int64_t wait_ns =
        std::min(pacer.wait_ns(bytes_written, has_queries, now_ns), kTendIntervalNs);
    if (wait_ns == 0) return;
    core::Lock lock(wake_mutex_);
    wake_.wait_for(lock, std::chrono::nanoseconds(wait_ns), [&] { return cancel_.is_cancelled(); });
  }
}

/// Writes the samples of `inputs` that are not deleted to one part in their place.
Result<void> StoreImpl::rewrite(std::span<const std::shared_ptr<const Part>> inputs,
                                const Deletions& deletions, Pace pace) {
  const std::int64_t started_ns = monotonic_ns();
  storage::FileSystem& files = environment_.files;
  const PartEntry entry{.number = catalog_.next_part_number(),
                        .day = inputs.front()->entry().day,
                        .clean_sequence = deletions.sequence};
  const PartView* const view = deletions.view.get();

  std::vector<const PartReader*> readers;
  std::uint32_t level = 0;
  for (const auto& part : inputs) {
    readers.push_back(&part->reader());
    level = std::max(level, part->summary().level + 1);
  }
  MergeOptions options{.cancel = cancel_};
  storage::MergePacer pacer(this->options()->merge_bytes_per_second_max, started_ns);
  std::int64_t tended_ns = started_ns;
  if (pace == Pace::GivesWay) {
    options.progress = [&](std::uint64_t bytes) { give_way(pacer, bytes, tended_ns); };
  }
  if (inputs.size() == 1 && view->has_tombstones(*inputs.front())) {
    options.tombstones = [&](std::span<const telemetry::LabelView> labels,
                             std::vector<TimeRange>& deleted) {
      SeriesRegistry::Lookup lookup{.labels = labels};
      state_->registry.find({&lookup, 1});
      if (lookup.series == SeriesRegistry::kNone) return;
      const PartSummary& summary = inputs.front()->summary();
      view->deleted_ranges(*inputs.front(), lookup.series, summary.time_ms_min, summary.time_ms_max,
                           deleted);
    };
  }
  const storage::Path path = catalog_.part_path(entry);
  GANTRY_TRY(const storage::Path temporary, prepare_part(files, path));
  const auto write = [&]() -> Result<PartSummary> {
    GANTRY_TRY(const auto writer, PartWriter::create(files, temporary, {.level = level}));
    GANTRY_CHECK(merge_parts(readers, options, *writer));
    return writer->finish();
  };
  const Result<PartSummary> summary = write();
  if (!summary) {
    static_cast<void>(files.remove_all(temporary));
    for (const auto& part : inputs) {
      if (part->reader().is_damaged()) state_->report_damage(part->entry().number);
    }
    return std::unexpected(summary.error());
  }
  if (summary->series_count == 0) {
    GANTRY_CHECK(files.remove_all(temporary));
    return catalog_.commit_merge(inputs, nullptr);
  }
  GANTRY_CHECK(storage::publish_directory(files, temporary, path, storage::FilesSynced::Yes));
  GANTRY_TRY(auto output, catalog_.open_part(entry));
  GANTRY_CHECK(catalog_.commit_merge(inputs, std::move(output)));
  metrics_.merged_bytes.add(summary->data_bytes + summary->index_bytes);
  metrics_.merge_seconds.observe(seconds_since(started_ns));
  return {};
}

/// One part of several neighbours of a day. Those with deletions are rewritten one by one first: a
/// deletion must not hit what was written again later.
Result<void> StoreImpl::merge_parts_once(std::int64_t day,
                                         std::span<const std::shared_ptr<const Part>> in,
                                         Pace pace) {
  const Deletions deletions = deletions_now();
  bool has_cleaned = false;
  for (const auto& part : in) {
    if (!deletions.view->has_tombstones(*part)) continue;
    GANTRY_CHECK(rewrite({&part, 1}, deletions, pace));
    has_cleaned = true;
  }
  if (has_cleaned) return catalog_.forget_tombstones();
  GANTRY_ASSERT(std::ranges::all_of(in, [&](const auto& p) { return p->entry().day == day; }),
                "only parts of one day are merged");
  return in.size() < 2 ? Result<void>() : rewrite(in, deletions, pace);
}

Result<bool> StoreImpl::merge_one() {
  const std::shared_ptr<const PartView> view = state_->view();
  const std::int64_t now_ms = environment_.clock.now().since_epoch;
  for (const auto& [day, parts] : by_day(*view)) {
    std::vector<std::uint64_t> sizes;
    for (const auto& part : parts) sizes.push_back(part->bytes());
    const DayState day_state =
        (day + 1) * kDayMs + kDayClosesAfterMs < now_ms ? DayState::Closed : DayState::Growing;
    const auto choice = choose_merge(sizes, day_state);
    if (!choice) continue;
    GANTRY_CHECK(merge_parts_once(day, std::span(parts).subspan(choice->first, choice->count),
                                  Pace::GivesWay));
    return true;
  }
  return false;
}

Result<void> StoreImpl::merge_all() {
  const core::Lock lock(merge_mutex_);
  bool has_merged = true;
  while (has_merged) {
    has_merged = false;
    const std::shared_ptr<const PartView> view = state_->view();
    for (const auto& [day, parts] : by_day(*view)) {
      const bool has_tombstones =
          std::ranges::any_of(parts, [&](const auto& part) { return view->has_tombstones(*part); });
      if (parts.size() < 2 && !has_tombstones) continue;
      GANTRY_CHECK(merge_parts_once(day, parts, Pace::Full));
      has_merged = true;
      break;
    }
  }
  catalog_.remove_retired();
  return {};
}

Result<bool> StoreImpl::apply_retention() {
  const std::shared_ptr<const StoreOptions> settings = options();
  const std::shared_ptr<const PartView> view = state_->view();
  const std::map<std::int64_t, PartList> days = by_day(*view);
  std::uint64_t total_bytes = 0;
  for (const auto& part : view->parts) total_bytes += part->bytes();
  const std::int64_t oldest_ms = environment_.clock.now().since_epoch - settings->retention.count;

  PartList removed;
  std::size_t left = days.size();
  for (const auto& [day, parts] : days) {
    const bool is_old = settings->retention.count > 0 && (day + 1) * kDayMs <= oldest_ms;
    const bool is_over =
        settings->retention_bytes > 0 && total_bytes > settings->retention_bytes && left > 1;
    if (!is_old && !is_over) break;
    for (const auto& part : parts) total_bytes -= part->bytes();
    removed.insert(removed.end(), parts.begin(), parts.end());
    --left;
    metrics_.dropped_partitions.add();
    log::info("metrics partition dropped",
              {{"day", day_name(day)}, {"reason", is_old ? "age" : "size"}});
  }
  if (removed.empty()) return false;
  GANTRY_CHECK(catalog_.commit_removal(removed));
  GANTRY_CHECK(catalog_.forget_tombstones());
  return true;
}

}  // namespace gantry::metrics
