#include "metrics/append/series_lookup.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace gantry::metrics {
namespace {

/// For each position the first one with the same id; empty if all ids differ. Hot: per series.
std::vector<std::uint32_t> find_aliases(std::span<const std::uint32_t> ids) {
  const std::size_t slot_count = std::bit_ceil(ids.size() * 2 + 1);
  std::vector<std::uint32_t> slots(slot_count, BatchSeriesIds::kNone);
  std::vector<std::uint32_t> aliases;
  for (std::uint32_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == BatchSeriesIds::kNone) continue;
    std::size_t slot = (ids[i] * 0x9e3779b1U) & (slot_count - 1);
    while (slots[slot] != BatchSeriesIds::kNone && ids[slots[slot]] != ids[i]) {
      slot = (slot + 1) & (slot_count - 1);
    }
    if (slots[slot] == BatchSeriesIds::kNone) {
      slots[slot] = i;
      continue;
    }
    if (aliases.empty()) {
      aliases.resize(ids.size());
      for (std::uint32_t n = 0; n < ids.size(); ++n) aliases[n] = n;
    }
    aliases[i] = slots[slot];
  }
  return aliases;
}

}  // namespace

BatchSeriesIds SeriesLookup::find_or_add(const telemetry::MetricBatch& batch,
                                         const std::vector<char>& is_wanted) {
  BatchSeriesIds out;
  out.ids.resize(batch.series.size());
  state_.series_cache.find(batch.series, out.ids);
  if (std::ranges::find(out.ids, BatchSeriesIds::kNone) != out.ids.end()) {
    resolve(batch, is_wanted, out);
    add_misses(batch, out);
    std::ranges::sort(out.refused, {}, &BatchSeriesIds::Refused::batch_series);
  }
  out.aliases = find_aliases(out.ids);
  return out;
}

void SeriesLookup::resolve(const telemetry::MetricBatch& batch, const std::vector<char>& is_wanted,
                           BatchSeriesIds& out) {
  std::vector<telemetry::LabelView> labels;
  for (std::uint32_t i = 0; i < out.ids.size(); ++i) {
    if (out.ids[i] != BatchSeriesIds::kNone || is_wanted[i] == 0) continue;
    labels.clear();
    LabelProblem problem;
    const auto resolved = batch.resolver->resolve(i, arena_, labels);
    if (!resolved) {
      problem.message = resolved.error().message;
      out.refused.push_back({.batch_series = i, .problem = std::move(problem)});
      continue;
    }
    if (!canonicalise(labels, limits_, problem)) {
      out.refused.push_back({.batch_series = i, .problem = std::move(problem)});
      continue;
    }
    misses_.push_back({.batch_series = i,
                       .label_begin = labels_.size(),
                       .label_end = labels_.size() + labels.size()});
    labels_.insert(labels_.end(), labels.begin(), labels.end());
  }
}

LabelProblem SeriesLookup::limit_problem(std::span<const telemetry::LabelView> labels,
                                         bool is_rate) const {
  telemetry::Labels copy;
  for (const telemetry::LabelView& label : labels) {
    copy.push_back({.name = std::string(label.name), .value = std::string(label.value)});
  }
  const std::string series = telemetry::format_series(copy);
  std::string text = is_rate
                         ? fmt::format(
                               "too many new series in this minute, the limit is {} "
                               "(limits.new_series_per_minute_max): series {}",
                               limits_.new_series_per_minute_max, series)
                         : fmt::format(
                               "{} active series, the limit is {} (limits.active_series_max): new "
                               "series {}",
                               state_.head.active_count(), limits_.active_series_max, series);
  return {.reason = telemetry::RejectReason::SeriesLimit, .message = std::move(text)};
}

void SeriesLookup::add_misses(const telemetry::MetricBatch& batch, BatchSeriesIds& out) {
  std::vector<SeriesRegistry::Lookup> lookups;
  for (const Miss& miss : misses_) {
    lookups.push_back({.labels = std::span(labels_).subspan(miss.label_begin,
                                                            miss.label_end - miss.label_begin)});
  }
  state_.registry.find(lookups);
  const auto unknown = static_cast<std::uint64_t>(
      std::ranges::count(lookups, SeriesRegistry::kNone, &SeriesRegistry::Lookup::series));

  if (unknown > 0) {
    const std::uint64_t active = state_.head.active_count();
    const std::uint64_t room =
        limits_.active_series_max == 0
            ? std::numeric_limits<std::uint64_t>::max()
            : limits_.active_series_max - std::min(limits_.active_series_max, active);
    const std::uint64_t granted =
        budget_.take(std::min(unknown, room), limits_.new_series_per_minute_max, now_);
    std::vector<SeriesRegistry::Lookup> added;
    std::vector<std::size_t> positions;
    for (std::size_t i = 0; i < lookups.size(); ++i) {
      if (lookups[i].series != SeriesRegistry::kNone) continue;
      if (added.size() == granted) {
        out.refused.push_back({.batch_series = misses_[i].batch_series,
                               .problem = limit_problem(lookups[i].labels, granted < room)});
        continue;
      }
      added.push_back(lookups[i]);
      positions.push_back(i);
    }
    out.created_count = state_.registry.add(std::span(added));
    for (std::size_t i = 0; i < added.size(); ++i) lookups[positions[i]].series = added[i].series;
  }

  std::vector<SeriesCache::Entry> entries;
  for (std::size_t i = 0; i < lookups.size(); ++i) {
    if (lookups[i].series == SeriesRegistry::kNone) continue;
    out.ids[misses_[i].batch_series] = lookups[i].series;
    entries.push_back(
        {.key = batch.series[misses_[i].batch_series].key, .series = lookups[i].series});
  }
  state_.series_cache.insert(entries, state_.registry.id_count());
}

}  // namespace gantry::metrics
