#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "pipeline/aggregation_state_internal.h"
#include "pipeline/label_set_internal.h"
#include "promql/histogram/arithmetic.h"
#include "telemetry/sample.h"

namespace gantry::pipeline {
namespace {

using telemetry::FloatHistogram;
using telemetry::Label;
using telemetry::Labels;

constexpr std::string_view kOther = "other";
/// How far samples may be behind where two intervals are less: what Prometheus looks back.
constexpr std::int64_t kLateAfterMs = 300'000;

Labels with_label(const Labels& labels, std::string_view name, std::string_view value) {
  Labels changed = labels;
  const auto place = std::ranges::lower_bound(changed, name, {}, &Label::name);
  if (place != changed.end() && place->name == name)
    place->value = value;
  else
    changed.insert(place, {.name = std::string(name), .value = std::string(value)});
  return changed;
}

core::Hash128 key_of(std::string_view name, const Labels& labels) {
  return label_set_key(with_label(labels, telemetry::kMetricNameLabel, name));
}

void add_to(std::optional<FloatHistogram>& into, const FloatHistogram& histogram) {
  // Where exponential and custom buckets meet, what came first stays.
  if (into)
    static_cast<void>(promql::histogram::add(*into, histogram));
  else
    into = histogram;
}

double count_of(const std::optional<FloatHistogram>& histogram) {
  return histogram ? histogram->count : 0;
}

/// What `current` counted that `previous` had not; null: it began anew.
std::optional<FloatHistogram> growth(const FloatHistogram& current,
                                     const FloatHistogram& previous) {
  if (promql::histogram::is_counter_reset(current, previous)) return std::nullopt;
  FloatHistogram grown = current;
  if (!promql::histogram::subtract(grown, previous).is_possible) return std::nullopt;
  return grown;
}

/// By which a value of the top label is ranked; the lowest of all where it has nothing.
double score(const WindowSums& sums, double ever, AggregationOutput rank_by) {
  double ranked = -std::numeric_limits<double>::infinity();
  if (rank_by == AggregationOutput::Total)
    ranked = ever;
  else if (rank_by == AggregationOutput::Increase)
    ranked = sums.increase + count_of(sums.histogram_increase);
  else if (rank_by == AggregationOutput::SumSamples && sums.histogram_sum)
    ranked = sums.histogram_sum->count;
  else if (const std::optional<double> value = sums.value(rank_by))
    ranked = *value;
  return std::isnan(ranked) ? -std::numeric_limits<double>::infinity() : ranked;
}

}  // namespace

void WindowSums::add(double value, std::int64_t at_ms) {
  min = samples == 0 ? value : std::min(min, value);
  max = samples == 0 ? value : std::max(max, value);
  if (samples == 0 || at_ms >= last_at_ms) {
    last = value;
    last_at_ms = at_ms;
  }
  sum += value;
  ++samples;
}

void WindowSums::add(const FloatHistogram& histogram) {
  add_to(histogram_sum, histogram);
}

void WindowSums::add_increase(const FloatHistogram& histogram) {
  add_to(histogram_increase, histogram);
}

void WindowSums::merge(const WindowSums& other) {
  series += other.series;
  increase += other.increase;
  if (other.histogram_sum) add_to(histogram_sum, *other.histogram_sum);
  if (other.histogram_increase) add_to(histogram_increase, *other.histogram_increase);
  if (other.samples == 0) return;
  min = samples == 0 ? other.min : std::min(min, other.min);
  max = samples == 0 ? other.max : std::max(max, other.max);
  last += other.last;
  sum += other.sum;
  samples += other.samples;
}

std::optional<double> WindowSums::value(AggregationOutput output) const {
  if (output == AggregationOutput::Increase) return increase;
  if (samples == 0) return std::nullopt;
  switch (output) {
    case AggregationOutput::Total:
      return std::nullopt;
    case AggregationOutput::Increase:
      return increase;
    case AggregationOutput::SumSamples:
      return sum;
    case AggregationOutput::CountSamples:
      return static_cast<double>(samples);
    case AggregationOutput::CountSeries:
      return static_cast<double>(series);
    case AggregationOutput::Avg:
      return sum / static_cast<double>(samples);
    case AggregationOutput::Min:
      return min;
    case AggregationOutput::Max:
      return max;
    case AggregationOutput::Last:
      return last;
  }
  return std::nullopt;
}

AggregationState::AggregationState(const AggregationRule& rule, TimestampMs started_at,
                                   std::size_t groups_max)
    : rule_(rule),
      started_at_(started_at),
      groups_max_(groups_max),
      window_(window_of(started_at)) {}

std::int64_t AggregationState::window_of(TimestampMs at) const {
  return at.since_epoch / rule_.interval.count;
}

bool AggregationState::is_late(std::int64_t at_ms, TimestampMs now) const {
  return at_ms < now.since_epoch - std::max(rule_.staleness().count, kLateAfterMs);
}

bool AggregationState::is_new_since_start(std::int64_t start_ms, TimestampMs now) const {
  if (start_ms == 0) return now >= started_at_ + rule_.staleness();
  return start_ms >= started_at_.since_epoch && TimestampMs{start_ms} > now - rule_.staleness();
}

std::shared_ptr<AggregationGroup> AggregationState::find_group(const Labels& series) {
  auto group = std::make_shared<AggregationGroup>();
  group->name = rule_.group_name(telemetry::find_label(series, telemetry::kMetricNameLabel));
  group->labels = rule_.group_labels(series);
  group->key = key_of(group->name, group->labels);
  const auto found = groups_.find(group->key);
  return found == groups_.end() ? group : found->second;
}

AggregationState::Taken AggregationState::enter(AggregationMember& member, bool is_histogram) {
  if (!member.group->is_active) {
    const auto found = groups_.find(member.group->key);
    if (found != groups_.end()) {
      member.group = found->second;
    } else {
      if (groups_.size() >= groups_max_) return Taken::NoRoom;
      member.group->is_active = true;
      member.group->has_histograms = is_histogram;
      member.group->window = {};
      member.group->ever = 0;
      groups_.emplace(member.group->key, member.group);
    }
  }
  AggregationGroup& group = *member.group;
  if (group.has_histograms != is_histogram) return Taken::OtherType;
  if (member.last_window != window_ || !member.has_last) ++group.window.series;
  member.last_window = window_;
  group.last_window = window_;
  return Taken::Yes;
}

// Hot: per sample and rule.
AggregationState::Taken AggregationState::take(AggregationMember& member, double value,
                                               std::int64_t at_ms, std::int64_t start_ms,
                                               TimestampMs now) {
  if (is_late(at_ms, now)) return Taken::Late;
  if (const Taken taken = enter(member, false); taken != Taken::Yes) return taken;
  WindowSums& window = member.group->window;
  window.add(value, at_ms);
  double increase = 0;
  if (!member.has_last) {
    increase = is_new_since_start(start_ms, now) ? value : 0;
  } else if (at_ms > member.last_at_ms) {
    const bool began_anew = value < member.last_value || start_ms > member.last_at_ms;
    increase = began_anew ? value : value - member.last_value;
  } else {
    return Taken::Yes;  // Out of order: what lies between is in the increase already.
  }
  window.increase += increase;
  member.group->ever += increase;
  member.has_last = true;
  member.last_at_ms = at_ms;
  member.last_value = value;
  return Taken::Yes;
}

AggregationState::Taken AggregationState::take(AggregationMember& member,
                                               const FloatHistogram& histogram, std::int64_t at_ms,
                                               std::int64_t start_ms, TimestampMs now) {
  if (is_late(at_ms, now)) return Taken::Late;
  if (std::ranges::none_of(rule_.outputs, merges_histograms)) return Taken::NotForHistograms;
  if (const Taken taken = enter(member, true); taken != Taken::Yes) return taken;
  WindowSums& window = member.group->window;
  window.add(histogram);
  if (member.has_last && at_ms <= member.last_at_ms) return Taken::Yes;
  FloatHistogram increase = histogram;
  if (member.last_histogram && start_ms <= member.last_at_ms) {
    if (auto grown = growth(histogram, *member.last_histogram)) increase = *std::move(grown);
  } else if (!member.last_histogram && !is_new_since_start(start_ms, now)) {
    promql::histogram::multiply(increase, 0);
  }
  window.add_increase(increase);
  member.group->ever += increase.count;
  member.has_last = true;
  member.last_at_ms = at_ms;
  member.last_histogram = std::make_unique<FloatHistogram>(histogram);
  const bool is_whole = std::ranges::all_of(rule_.outputs, merges_histograms);
  return is_whole ? Taken::Yes : Taken::NotForHistograms;
}

void AggregationState::end_windows(TimestampMs now, std::vector<FinishedSample>& out) {
  const std::int64_t target = window_of(now);
  while (window_ < target) {
    if (groups_.empty() && series_.empty()) {
      window_ = target;
      return;
    }
    end_window({(window_ + 1) * rule_.interval.count}, out);
    ++window_;
  }
}

void AggregationState::flush(TimestampMs now, std::vector<FinishedSample>& out) {
  end_window(now, out);
}

void AggregationState::end_window(TimestampMs at, std::vector<FinishedSample>& out) {
  end_idle_groups();
  rank_groups();
  gather();
  for (auto it = series_.begin(); it != series_.end();) {
    Series& series = it->second;
    if (series.is_touched) {
      write(series, at, out);
      series.last_window = window_;
      series.is_touched = false;
      series.window = {};
    } else {
      write_stale(series, at, out);
    }
    // Who leaves the top for a moment comes back to the same counter.
    it = window_ - series.last_window >= 2 ? series_.erase(it) : std::next(it);
  }
}

void AggregationState::end_idle_groups() {
  std::erase_if(groups_, [&](const auto& entry) {
    AggregationGroup& group = *entry.second;
    group.is_active = window_ - group.last_window < 2;
    return !group.is_active;
  });
}

void AggregationState::rank_groups() {
  top_values_.clear();
  other_ratio_ = 0;
  if (!rule_.top) return;

  struct Candidate {
    WindowSums sums;
    double ever = 0;
  };

  std::map<std::string_view, std::map<std::string_view, Candidate>> candidates;
  for (const auto& [key, group] : groups_) {
    const std::string_view value = telemetry::find_label(group->labels, rule_.top->label);
    Candidate& candidate = candidates[group->name][value];
    candidate.sums.merge(group->window);
    candidate.ever += group->ever;
  }
  double all = 0;
  double others = 0;
  for (const auto& [name, by_value] : candidates) {
    std::vector<std::pair<double, std::string_view>> ranking;
    for (const auto& [value, candidate] : by_value)
      ranking.emplace_back(-score(candidate.sums, candidate.ever, rule_.top->rank_by), value);
    std::ranges::sort(ranking);  // the highest first, equal ones by the text
    std::vector<std::string>& top = top_values_[std::string(name)];
    for (const auto& [negated, value] : ranking) {
      const bool is_top = top.size() < rule_.top->n && value != kOther && std::isfinite(negated);
      if (is_top) top.emplace_back(value);
      if (!std::isfinite(negated)) continue;
      all -= negated;
      if (!is_top) others -= negated;
    }
  }
  if (all > 0) other_ratio_ = others / all;
}

Labels AggregationState::labels_of(const AggregationGroup& group) const {
  if (!rule_.top) return group.labels;
  const std::string_view value = telemetry::find_label(group.labels, rule_.top->label);
  const auto found = top_values_.find(group.name);
  if (found != top_values_.end() && std::ranges::find(found->second, value) != found->second.end())
    return group.labels;
  return with_label(group.labels, rule_.top->label, kOther);
}

void AggregationState::gather() {
  for (const auto& [key, group] : groups_) {
    Labels labels = labels_of(*group);
    const core::Hash128 series_key = rule_.top ? key_of(group->name, labels) : key;
    const auto [place, is_new] = series_.try_emplace(series_key);
    Series& series = place->second;
    if (is_new) {
      series.name = group->name;
      series.labels = std::move(labels);
      series.has_histograms = group->has_histograms;
    } else if (series.has_histograms != group->has_histograms) {
      ++mixed_count_;
      group->window = {};
      continue;
    }
    series.is_touched = true;
    series.window.merge(group->window);
    series.total += group->window.increase;
    if (group->window.histogram_increase)
      add_to(series.histogram_total, *group->window.histogram_increase);
    group->window = {};
  }
}

void AggregationState::write(Series& series, TimestampMs at,
                             std::vector<FinishedSample>& out) const {
  for (const AggregationOutput output : rule_.outputs) {
    FinishedSample sample{
        .metric = AggregationRule::output_name(series.name, output), .at = at, .output = output};
    if (series.has_histograms && merges_histograms(output)) {
      const auto& from = output == AggregationOutput::Total      ? series.histogram_total
                         : output == AggregationOutput::Increase ? series.window.histogram_increase
                                                                 : series.window.histogram_sum;
      if (!from) continue;
      sample.histogram = from;
      sample.histogram->hint = output == AggregationOutput::Total
                                   ? telemetry::CounterResetHint::Unknown
                                   : telemetry::CounterResetHint::Gauge;
      promql::histogram::compact(*sample.histogram);
    } else {
      const std::optional<double> value =
          output == AggregationOutput::Total ? series.total : series.window.value(output);
      if (!value) continue;
      sample.value = *value;
    }
    sample.labels = series.labels;
    series.is_shown.at(static_cast<std::size_t>(output)) = true;
    out.push_back(std::move(sample));
  }
}

void AggregationState::write_stale(Series& series, TimestampMs at,
                                   std::vector<FinishedSample>& out) const {
  for (const AggregationOutput output : rule_.outputs) {
    bool& is_shown = series.is_shown.at(static_cast<std::size_t>(output));
    if (!is_shown) continue;
    is_shown = false;
    out.push_back({.metric = AggregationRule::output_name(series.name, output),
                   .labels = series.labels,
                   .at = at,
                   .output = output,
                   .value = telemetry::stale_nan()});
  }
}

}  // namespace gantry::pipeline
