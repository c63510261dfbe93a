#include "metrics/query/store_series_set.h"

#include <algorithm>
#include <utility>

namespace gantry::metrics {

StoreSeriesSet::StoreSeriesSet(std::shared_ptr<StoreState> state, QueryMoment moment,
                               TimedSeries timed, TimeRange range, bool is_truncated)
    : state_(std::move(state)),
      moment_(std::move(moment)),
      range_(range),
      is_truncated_(is_truncated) {
  original_.head_drops = timed.head_drops;
  original_.view = std::move(timed.view);
  {
    const SeriesRegistry::Reader registry(state_->registry);
    epoch_ = registry.epoch();
    labels_.reserve(timed.series.size());
    for (const std::uint32_t series : timed.series) {
      labels_.push_back(state_->registry.record(series).label_span());
    }
  }
  // A series that was collected since it was found has lost its labels, and with them its samples.
  if (std::ranges::any_of(labels_, [](const auto& labels) { return labels.empty(); })) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      if (labels_[i].empty()) continue;
      labels_[kept] = labels_[i];
      timed.series[kept] = timed.series[i];
      timed.head_ends[kept] = timed.head_ends[i];
      for (PartColumn& column : timed.parts) column.ordinals[kept] = column.ordinals[i];
      ++kept;
    }
    labels_.resize(kept);
    timed.series.resize(kept);
    timed.head_ends.resize(kept);
    for (PartColumn& column : timed.parts) column.ordinals.resize(kept);
  }
  series_ = std::move(timed.series);
  head_ends_ = std::move(timed.head_ends);
  original_.parts = std::move(timed.parts);
  const core::Lock lock(mutex_);
  warnings_ = std::move(timed.warnings);
}

std::unique_ptr<StoreSeriesSet::Scratch> StoreSeriesSet::take_scratch() const {
  std::unique_ptr<Scratch> scratch;
  std::shared_ptr<const Sources> flushed;
  {
    const core::Lock lock(mutex_);
    flushed = flushed_;
    if (!scratches_.empty()) {
      scratch = std::move(scratches_.back());
      scratches_.pop_back();
    }
  }
  if (scratch == nullptr) {
    scratch = std::make_unique<Scratch>();
    scratch->parts.resize(original_.parts.size());
  }
  use_flushed(*scratch, std::move(flushed));
  return scratch;
}

void StoreSeriesSet::give_back(std::unique_ptr<Scratch> scratch) const {
  const core::Lock lock(mutex_);
  scratches_.push_back(std::move(scratch));
}

void StoreSeriesSet::use_flushed(Scratch& scratch, std::shared_ptr<const Sources> flushed) {
  if (scratch.flushed == flushed) return;
  scratch.flushed_parts.clear();
  scratch.flushed_parts.resize(flushed->parts.size());
  scratch.flushed = std::move(flushed);
}

/// Looks for the parts that have what the head no longer has. `seen_drops` is newer than what the
/// scratch knows.
void StoreSeriesSet::find_flushed(Scratch& scratch, std::uint64_t seen_drops) const {
  std::shared_ptr<const Sources> flushed;
  {
    const core::Lock lock(mutex_);
    if (flushed_ == nullptr || flushed_->head_drops < seen_drops) {
      auto sources = std::make_shared<Sources>();
      sources->head_drops = state_->head_drops.load(std::memory_order_acquire);
      sources->view = state_->view();
      sources->parts = locate(*sources->view, series_, range_);
      std::erase_if(sources->parts, [&](const PartColumn& column) {
        return std::ranges::find(original_.parts, column.part, &PartColumn::part) !=
               original_.parts.end();
      });
      flushed_ = std::move(sources);
    }
    flushed = flushed_;
  }
  use_flushed(scratch, std::move(flushed));
}

Result<void> StoreSeriesSet::read_parts(const Sources& sources, std::size_t series, TimeRange range,
                                        std::span<PartScratch> scratch,
                                        ColumnMerge<promql::SampleColumns>& merge,
                                        promql::SampleColumns& out) const {
  for (std::size_t i = 0; i < sources.parts.size(); ++i) {
    const PartColumn& column = sources.parts[i];
    if (column.ordinals[series] == Part::kNone ||
        !column.part->overlaps(range.start_ms, range.end_ms)) {
      continue;
    }
    const auto read = read_part(*sources.view, *column.part, series_[series],
                                column.ordinals[series], range, scratch[i], out);
    if (!read) {
      GANTRY_TRY(std::string warning, note_damage(*state_, *column.part, read.error()));
      const core::Lock lock(mutex_);
      if (std::ranges::find(warnings_, warning) == warnings_.end()) {
        warnings_.push_back(std::move(warning));
      }
      continue;
    }
    merge.note_source();
  }
  return {};
}

/// First the parts there were at the moment; then, up to the newest sample that the head had then,
/// the head or whatever parts its samples have gone to. What came late since then is undone.
Result<void> StoreSeriesSet::read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                                  promql::SampleColumns& out) const {
  const TimeRange range{.start_ms = start_ms, .end_ms = end_ms};
  const std::int64_t head_end = head_ends_[series];
  const bool reads_head = head_end != kNoTime && head_end >= start_ms;
  const TimeRange head_range{.start_ms = start_ms, .end_ms = std::min(end_ms, head_end)};
  std::unique_ptr<Scratch> scratch = take_scratch();
  while (true) {
    out.clear();
    ColumnMerge<promql::SampleColumns> merge(out);
    GANTRY_CHECK(read_parts(original_, series, range, scratch->parts, merge, out));
    std::uint64_t known_drops = original_.head_drops;
    std::uint64_t drops = known_drops;
    if (reads_head) {
      if (scratch->flushed != nullptr) {
        GANTRY_CHECK(
            read_parts(*scratch->flushed, series, head_range, scratch->flushed_parts, merge, out));
        known_drops = scratch->flushed->head_drops;
      }
      GANTRY_CHECK(state_->head.with_series(
          series_[series], [&](const SeriesRecord& record, HeadContext& context) -> Result<void> {
            // Under the lock: samples that are missing here were dropped after the count went up.
            drops = state_->head_drops.load(std::memory_order_acquire);
            context.late_log.find(series_[series], moment_.mark(), head_range.start_ms,
                                  head_range.end_ms, scratch->changes);
            return read_head(record, head_range.start_ms, head_range.end_ms, merge, out);
          }));
    }
    if (drops == known_drops) {
      merge.finish();
      if (reads_head) undo_changes(scratch->changes, out);
      break;
    }
    find_flushed(*scratch, drops);
  }
  give_back(std::move(scratch));
  return {};
}

std::vector<std::string> StoreSeriesSet::warnings() const {
  const core::Lock lock(mutex_);
  return warnings_;
}

}  // namespace gantry::metrics
