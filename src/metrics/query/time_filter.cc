#include "metrics/query/time_filter.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace gantry::metrics {
namespace {

constexpr std::size_t kCancelInterval = 4096;

template <class T>
void keep_marked(std::vector<T>& values, const std::vector<char>& marks) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (marks[i] != 0) values[kept++] = values[i];
  }
  values.resize(kept);
}

std::string lost_text(std::string_view name, std::int64_t min_ms, std::int64_t max_ms) {
  return fmt::format(
      "part {} is damaged and was set aside: samples between {} and {} (Unix milliseconds) may be "
      "missing",
      name, min_ms, max_ms);
}

/// Marks the series that a part has samples of.
Result<void> mark_present(StoreState& state, TimedSeries& timed, const PartColumn& column,
                          TimeRange range, const CancelToken& cancel, std::vector<char>& marks) {
  PartPresence presence(*timed.view, *column.part, range);
  PartScratch scratch;
  for (std::size_t i = 0; i < timed.series.size(); ++i) {
    if (i % kCancelInterval == 0) GANTRY_CHECK(cancel.check());
    if (marks[i] != 0 || column.ordinals[i] == Part::kNone) continue;
    const auto has = presence.has_sample(timed.series[i], column.ordinals[i], scratch);
    if (!has) {
      GANTRY_TRY(std::string warning, note_damage(state, *column.part, has.error()));
      timed.warnings.push_back(std::move(warning));
      return {};
    }
    marks[i] = *has ? 1 : 0;
  }
  return {};
}

}  // namespace

std::vector<std::string> quarantine_warnings(const PartView& view, TimeRange range) {
  std::vector<std::string> warnings;
  for (const QuarantinedPart& part : view.quarantined) {
    if (part.time_ms_min > range.end_ms || part.time_ms_max < range.start_ms) continue;
    warnings.push_back(lost_text(part.name, part.time_ms_min, part.time_ms_max));
  }
  return warnings;
}

Result<std::string> note_damage(StoreState& state, const Part& part, const Error& error) {
  if (error.code != Code::DataLoss) return std::unexpected(error);
  state.report_damage(part.entry().number);
  return lost_text(part.entry().path().string(), part.summary().time_ms_min,
                   part.summary().time_ms_max);
}

std::vector<PartColumn> locate(const PartView& view, std::span<const std::uint32_t> series,
                               TimeRange range) {
  std::vector<PartColumn> columns;
  for (const std::shared_ptr<const Part>& part : view.parts) {
    if (!part->overlaps(range.start_ms, range.end_ms)) continue;
    const std::span<const std::uint32_t> ids = part->series();
    std::vector<std::uint32_t> ordinals(series.size(), Part::kNone);
    bool has_any = false;
    std::size_t at = 0;
    for (std::size_t i = 0; i < series.size(); ++i) {
      // Gallop: a few series of a large part, or neighbours in both.
      std::size_t step = 1;
      while (at + step < ids.size() && ids[at + step] < series[i]) {
        at += step;
        step *= 2;
      }
      const std::size_t end = std::min(at + step + 1, ids.size());
      at = static_cast<std::size_t>(std::lower_bound(ids.begin() + static_cast<std::ptrdiff_t>(at),
                                                     ids.begin() + static_cast<std::ptrdiff_t>(end),
                                                     series[i]) -
                                    ids.begin());
      if (at == ids.size()) break;
      if (ids[at] != series[i]) continue;
      ordinals[i] = part->ordinal(at);
      has_any = true;
    }
    if (has_any) columns.push_back({.part = part, .ordinals = std::move(ordinals)});
  }
  return columns;
}

Result<TimedSeries> filter_by_time(StoreState& state, std::vector<std::uint32_t> candidates,
                                   TimeRange range, const CancelToken& cancel) {
  TimedSeries timed;
  timed.series = std::move(candidates);
  timed.head_ends.resize(timed.series.size(), kNoTime);
  std::vector<char> marks(timed.series.size());
  std::size_t marked = 0;
  state.head.for_each_series(timed.series,
                             [&](std::size_t i, const SeriesRecord& record, const HeadContext&) {
                               if (!has_data(record)) return;
                               timed.head_ends[i] = record.last_ms;
                               if (record.last_ms < range.start_ms) return;
                               marks[i] = has_sample(record, range.start_ms, range.end_ms) ? 1 : 0;
                               marked += static_cast<std::size_t>(marks[i]);
                             });
  // The head was looked at first: what has been flushed since then is in the view taken now.
  timed.head_drops = state.head_drops.load(std::memory_order_acquire);
  timed.view = state.view();
  timed.warnings = quarantine_warnings(*timed.view, range);
  timed.parts = locate(*timed.view, timed.series, range);
  for (const PartColumn& column : timed.parts) {
    if (marked == timed.series.size()) break;
    GANTRY_CHECK(mark_present(state, timed, column, range, cancel, marks));
    marked = static_cast<std::size_t>(std::ranges::count(marks, 1));
  }
  if (marked == timed.series.size()) return timed;
  keep_marked(timed.series, marks);
  keep_marked(timed.head_ends, marks);
  for (PartColumn& column : timed.parts) keep_marked(column.ordinals, marks);
  return timed;
}

}  // namespace gantry::metrics
