#include "metrics/query/store_source.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "metrics/query/store_series_set.h"
#include "metrics/query/time_filter.h"

namespace gantry::metrics {
namespace {

/// Symbols as sorted texts. The registry's lock is held.
promql::LabelStrings texts_of(const SeriesRegistry::Reader& registry,
                              std::vector<std::uint32_t> symbols, std::size_t limit) {
  std::ranges::sort(symbols);
  const auto duplicates = std::ranges::unique(symbols);
  symbols.erase(duplicates.begin(), duplicates.end());
  std::vector<std::string_view> texts;
  texts.reserve(symbols.size());
  for (const std::uint32_t symbol : symbols) texts.push_back(registry.symbols().text(symbol));
  promql::LabelStrings out;
  out.is_truncated = limit > 0 && texts.size() > limit;
  if (out.is_truncated) {
    std::ranges::partial_sort(texts, texts.begin() + static_cast<std::ptrdiff_t>(limit));
    texts.resize(limit);
  } else {
    std::ranges::sort(texts);
  }
  out.values.assign(texts.begin(), texts.end());
  return out;
}

/// Whether the range covers every sample there could be, so that postings alone can answer.
bool covers_everything(StoreState& state, TimeRange range) {
  const std::shared_ptr<const PartView> view = state.view();
  for (const auto& part : view->parts) {
    if (part->summary().time_ms_min < range.start_ms ||
        part->summary().time_ms_max > range.end_ms || view->has_tombstones(*part)) {
      return false;
    }
  }
  const Head::Times head = state.head.times();
  return head.min_ms == kNoTime || (range.start_ms <= head.min_ms && head.max_ms <= range.end_ms);
}

}  // namespace

Result<std::vector<std::uint32_t>> StoreSource::match(std::span<const promql::Matcher> matchers,
                                                      const CancelToken& cancel) const {
  const SeriesRegistry::Reader registry(state_->registry);
  return match_series(registry, state_->regexes, matchers, cancel);
}

Result<std::unique_ptr<promql::SeriesSet>> StoreSource::select(const promql::SelectRequest& request,
                                                               const CancelToken& cancel) const {
  QueryMoment moment(*state_);
  const TimeRange range{.start_ms = request.start_ms, .end_ms = request.end_ms};
  GANTRY_TRY(std::vector<std::uint32_t> candidates, match(request.matchers, cancel));
  GANTRY_TRY(TimedSeries timed, filter_by_time(*state_, std::move(candidates), range, cancel));
  const bool is_over = request.series_limit > 0 && timed.series.size() > request.series_limit;
  if (is_over && !request.truncate) {
    return fail(Code::ResourceExhausted,
                fmt::format("the selector matches {} series, the limit is {}", timed.series.size(),
                            request.series_limit));
  }
  if (is_over) {
    timed.series.resize(request.series_limit);
    timed.head_ends.resize(request.series_limit);
    for (PartColumn& column : timed.parts) column.ordinals.resize(request.series_limit);
  }
  return std::make_unique<StoreSeriesSet>(state_, std::move(moment), std::move(timed), range,
                                          is_over);
}

Result<promql::LabelStrings> StoreSource::label_names(std::span<const promql::Matcher> matchers,
                                                      std::int64_t start_ms, std::int64_t end_ms,
                                                      std::size_t limit,
                                                      const CancelToken& cancel) const {
  const RunningQuery running(*state_);
  const TimeRange range{.start_ms = start_ms, .end_ms = end_ms};
  std::vector<std::uint32_t> names;
  if (matchers.empty() && covers_everything(*state_, range)) {
    const SeriesRegistry::Reader registry(state_->registry);
    registry.postings().for_each_name(
        [&](const LabelNameStatistics& entry) { names.push_back(entry.name); });
    return texts_of(registry, std::move(names), limit);
  }
  GANTRY_TRY(std::vector<std::uint32_t> candidates, match(matchers, cancel));
  GANTRY_TRY(const TimedSeries timed,
             filter_by_time(*state_, std::move(candidates), range, cancel));
  const SeriesRegistry::Reader registry(state_->registry);
  std::vector<char> seen(registry.symbols().id_count());
  for (const std::uint32_t series : timed.series) {
    for (const promql::LabelSymbols& label : state_->registry.record(series).label_span()) {
      if (seen[label.name] != 0) continue;
      seen[label.name] = 1;
      names.push_back(label.name);
    }
  }
  promql::LabelStrings out = texts_of(registry, std::move(names), limit);
  out.warnings = timed.warnings;
  return out;
}

Result<promql::LabelStrings> StoreSource::label_values(std::string_view name,
                                                       std::span<const promql::Matcher> matchers,
                                                       std::int64_t start_ms, std::int64_t end_ms,
                                                       std::size_t limit,
                                                       const CancelToken& cancel) const {
  const RunningQuery running(*state_);
  const TimeRange range{.start_ms = start_ms, .end_ms = end_ms};
  std::vector<std::uint32_t> values;
  if (matchers.empty() && covers_everything(*state_, range)) {
    const SeriesRegistry::Reader registry(state_->registry);
    registry.postings().for_each_value(
        registry.symbols().find(name),
        [&](std::uint32_t value, std::span<const std::uint32_t>) { values.push_back(value); });
    return texts_of(registry, std::move(values), limit);
  }
  // Only series that have the label matter.
  std::vector<promql::Matcher> all(matchers.begin(), matchers.end());
  GANTRY_TRY(promql::Matcher has_label,
             promql::Matcher::make(promql::MatchOp::NotEqual, std::string(name), ""));
  all.push_back(std::move(has_label));
  GANTRY_TRY(std::vector<std::uint32_t> candidates, match(all, cancel));
  GANTRY_TRY(const TimedSeries timed,
             filter_by_time(*state_, std::move(candidates), range, cancel));
  const SeriesRegistry::Reader registry(state_->registry);
  const std::uint32_t symbol = registry.symbols().find(name);
  std::vector<char> seen(registry.symbols().id_count());
  for (const std::uint32_t series : timed.series) {
    for (const promql::LabelSymbols& label : state_->registry.record(series).label_span()) {
      if (label.name != symbol || seen[label.value] != 0) continue;
      seen[label.value] = 1;
      values.push_back(label.value);
    }
  }
  promql::LabelStrings out = texts_of(registry, std::move(values), limit);
  out.warnings = timed.warnings;
  return out;
}

Result<std::vector<promql::ExemplarSeries>> StoreSource::exemplars(
    std::span<const std::vector<promql::Matcher>> selectors, std::int64_t start_ms,
    std::int64_t end_ms, const CancelToken& cancel) const {
  const RunningQuery running(*state_);
  const std::vector<std::uint32_t> with_exemplars = state_->exemplars.series();
  std::set<std::uint32_t> matched;
  for (const std::vector<promql::Matcher>& matchers : selectors) {
    GANTRY_TRY(const std::vector<std::uint32_t> series, match(matchers, cancel));
    std::ranges::set_intersection(series, with_exemplars, std::inserter(matched, matched.end()));
  }
  std::vector<promql::ExemplarSeries> out;
  for (const std::uint32_t series : matched) {
    promql::ExemplarSeries entry;
    state_->exemplars.for_each(series, start_ms, end_ms, [&](const StoredExemplar& exemplar) {
      promql::ExemplarSeries::Point point{
          .timestamp_ms = exemplar.timestamp_ms, .value = exemplar.value, .labels = {}};
      for (const telemetry::Label& label : exemplar.labels) {
        point.labels.emplace_back(label.name, label.value);
      }
      entry.points.push_back(std::move(point));
    });
    if (entry.points.empty()) continue;
    const SeriesRegistry::Reader registry(state_->registry);
    for (const promql::LabelSymbols& label : state_->registry.record(series).label_span()) {
      entry.labels.emplace_back(registry.symbols().text(label.name),
                                registry.symbols().text(label.value));
    }
    if (!entry.labels.empty()) out.push_back(std::move(entry));
  }
  std::ranges::sort(out, {}, &promql::ExemplarSeries::labels);
  return out;
}

}  // namespace gantry::metrics
