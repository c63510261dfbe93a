#include "metrics/query/store_series_set.h"

#include <algorithm>
#include <utility>

namespace gantry::metrics {

StoreSeriesSet::StoreSeriesSet(std::shared_ptr<StoreState> state, RunningQuery running,
                               TimedSeries timed, TimeRange range, bool is_truncated)
    : state_(std::move(state)),
      running_(std::move(running)),
      range_(range),
      is_truncated_(is_truncated) {
  auto sources = std::make_shared<Sources>();
  sources->head_drops = timed.head_drops;
  sources->view = std::move(timed.view);
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
  sources->parts = std::move(timed.parts);
  const core::Lock lock(mutex_);
  sources_ = std::move(sources);
  warnings_ = std::move(timed.warnings);
}

std::unique_ptr<StoreSeriesSet::Scratch> StoreSeriesSet::take_scratch() const {
  std::shared_ptr<const Sources> sources;
  {
    const core::Lock lock(mutex_);
    while (!scratches_.empty()) {
      std::unique_ptr<Scratch> scratch = std::move(scratches_.back());
      scratches_.pop_back();
      if (scratch->sources == sources_) return scratch;
    }
    sources = sources_;
  }
  auto scratch = std::make_unique<Scratch>();
  scratch->parts.resize(sources->parts.size());
  scratch->sources = std::move(sources);
  return scratch;
}

void StoreSeriesSet::give_back(std::unique_ptr<Scratch> scratch) const {
  const core::Lock lock(mutex_);
  scratches_.push_back(std::move(scratch));
}

void StoreSeriesSet::renew_sources(std::uint64_t seen_drops) const {
  const core::Lock lock(mutex_);
  if (sources_->head_drops == seen_drops) return;
  auto sources = std::make_shared<Sources>();
  sources->head_drops = state_->head_drops.load(std::memory_order_acquire);
  sources->view = state_->view();
  sources->parts = locate(*sources->view, series_, range_);
  sources->is_original = false;
  sources_ = std::move(sources);
}

Result<void> StoreSeriesSet::read_parts(std::size_t series, TimeRange range, Scratch& scratch,
                                        ColumnMerge<promql::SampleColumns>& merge,
                                        promql::SampleColumns& out) const {
  const Sources& sources = *scratch.sources;
  for (std::size_t i = 0; i < sources.parts.size(); ++i) {
    const PartColumn& column = sources.parts[i];
    if (column.ordinals[series] == Part::kNone ||
        !column.part->overlaps(range.start_ms, range.end_ms)) {
      continue;
    }
    const auto read = read_part(*sources.view, *column.part, series_[series],
                                column.ordinals[series], range, scratch.parts[i], out);
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

Result<void> StoreSeriesSet::read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                                  promql::SampleColumns& out) const {
  std::unique_ptr<Scratch> scratch = take_scratch();
  const std::int64_t head_end = head_ends_[series];
  while (true) {
    out.clear();
    ColumnMerge<promql::SampleColumns> merge(out);
    TimeRange range{.start_ms = start_ms, .end_ms = end_ms};
    if (!scratch->sources->is_original && head_end != kNoTime) {
      range.end_ms = std::min(range.end_ms, head_end);
    }
    GANTRY_CHECK(read_parts(series, range, *scratch, merge, out));
    std::uint64_t drops = scratch->sources->head_drops;
    if (head_end != kNoTime && head_end >= start_ms) {
      range.end_ms = std::min(end_ms, head_end);
      GANTRY_CHECK(state_->head.with_series(
          series_[series], [&](const SeriesRecord& record, HeadContext&) -> Result<void> {
            // Under the lock: samples that are missing here were dropped after the count went up.
            drops = state_->head_drops.load(std::memory_order_acquire);
            return read_head(record, range.start_ms, range.end_ms, merge, out);
          }));
    }
    if (drops == scratch->sources->head_drops) {
      merge.finish();
      break;
    }
    renew_sources(drops);
    scratch = take_scratch();
  }
  give_back(std::move(scratch));
  return {};
}

std::vector<std::string> StoreSeriesSet::warnings() const {
  const core::Lock lock(mutex_);
  return warnings_;
}

}  // namespace gantry::metrics
