#include "pipeline/stream_aggregation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "pipeline/aggregation_state_internal.h"
#include "pipeline/label_set_internal.h"
#include "telemetry/sample.h"

namespace gantry::pipeline {
namespace {

using telemetry::Labels;
using telemetry::MetricBatch;

/// A series that has been quiet for so long is forgotten.
constexpr std::int64_t kInputKeptMs = 3'600'000;
constexpr std::int64_t kSweepEveryMs = 60'000;

/// What matches a series: by rule.
struct Membership {
  std::size_t rule = 0;
  AggregationMember member;
};

struct Input {
  std::vector<Membership> memberships;
  bool is_left_out = false;  ///< A rule that does not keep its input matches.
  std::int64_t seen_ms = 0;
};

using InputPointer = std::shared_ptr<Input>;  ///< Null: no rule matches.

/// Counters by what went wrong, all there from the start.
class Refusals {
 public:
  explicit Refusals(core::MetricRegistry& registry) {
    constexpr std::array kReasons = {"series_limit", "input_limit", "pending_limit", "histogram",
                                     "mixed_types"};
    for (std::size_t i = 0; i < kReasons.size(); ++i)
      counters_.at(i) = &registry.counter(
          "gantry_pipeline_refused_total", "Observations that a limit of the pipeline refused.",
          {{"processor", "stream_aggregation"}, {"reason", kReasons.at(i)}});
  }

  void series_limit(std::uint64_t by = 1) { counters_[0]->add(by); }

  void input_limit(std::uint64_t by) { counters_[1]->add(by); }

  void pending_limit(std::uint64_t by) { counters_[2]->add(by); }

  void histogram() { counters_[3]->add(); }

  void mixed_types(std::uint64_t by = 1) { counters_[4]->add(by); }

 private:
  std::array<core::Counter*, 5> counters_{};
};

/// A rule's metrics. What they show is taken back with the rule.
class RuleMetrics {
 public:
  RuleMetrics(const StreamAggregationOptions& options, std::size_t rule) {
    core::MetricLabels labels = options.labels;
    labels.emplace_back("rule", std::to_string(rule));
    series_ = &options.registry.gauge("gantry_aggregation_series",
                                      "Series that a rule of stream aggregation writes.", labels);
    other_ratio_ = &options.registry.gauge(
        "gantry_aggregation_other_ratio",
        "Part of the ranked output of the last window that went under `other`.", labels);
    late_ = &options.registry.counter("gantry_aggregation_late_dropped_total",
                                      "Samples too old for stream aggregation.", labels);
  }

  void show(double series, double other_ratio) {
    series_->set(series);
    other_ratio_->set(other_ratio);
  }

  void late() { late_->add(); }

 private:
  core::Gauge* series_;
  core::Gauge* other_ratio_;
  core::Counter* late_;
};

}  // namespace

struct FinishedWindows::Parts {
  std::vector<FinishedSample> samples;
  std::vector<std::size_t> origins;  ///< By series of the batch: a sample with its labels.
};

FinishedWindows::FinishedWindows(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {
  batch_.resolver = this;
  std::unordered_map<core::Hash128, std::uint32_t, Hash128Hash> places;
  std::map<std::string_view, bool> is_counter;
  for (std::size_t i = 0; i < parts_->samples.size(); ++i) {
    const FinishedSample& sample = parts_->samples[i];
    Labels labels = sample.labels;
    labels.push_back({.name = std::string(telemetry::kMetricNameLabel), .value = sample.metric});
    std::ranges::sort(labels);
    const core::Hash128 key = label_set_key(labels);
    const auto [place, is_new] =
        places.try_emplace(key, static_cast<std::uint32_t>(batch_.series.size()));
    if (is_new) {
      batch_.series.push_back({.key = key});
      parts_->origins.push_back(i);
    }
    is_counter.emplace(sample.metric, sample.output == AggregationOutput::Total);
    if (sample.histogram)
      batch_.histograms.push_back({.series = place->second,
                                   .timestamp_ms = sample.at.since_epoch,
                                   .start_timestamp_ms = 0,
                                   .histogram = *sample.histogram});
    else
      batch_.samples.push_back(
          {.series = place->second, .timestamp_ms = sample.at.since_epoch, .value = sample.value});
  }
  for (const auto& [family, counts] : is_counter)
    batch_.metadata.push_back(
        {.family = family,
         .type = counts ? telemetry::MetricType::Counter : telemetry::MetricType::Gauge,
         .help = "",
         .unit = ""});
}

FinishedWindows::~FinishedWindows() = default;

Result<void> FinishedWindows::resolve(std::uint32_t series, core::Arena&,
                                      std::vector<telemetry::LabelView>& labels) const {
  const FinishedSample& sample = parts_->samples[parts_->origins[series]];
  labels.push_back({.name = telemetry::kMetricNameLabel, .value = sample.metric});
  for (const telemetry::Label& label : sample.labels)
    labels.push_back({.name = label.name, .value = label.value});
  return {};
}

struct StreamAggregation::Impl {
  Impl(std::vector<AggregationRule> parsed, const StreamAggregationOptions& given)
      : rules(std::move(parsed)), options(given), refusals(given.registry) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      states.emplace_back(rules[i], options.started_at, options.series_max);
      metrics.emplace_back(options, i);
    }
  }

  /// A series whose labels are known, with the rules that match it.
  struct Learnt {
    std::uint32_t series = 0;
    core::Hash128 key;  ///< Of its labels.
    Labels labels;
    std::vector<std::size_t> rules;
  };

  std::optional<Learnt> learn(const MetricBatch& batch, std::uint32_t series) const;
  void look_up(const MetricBatch& batch, std::vector<InputPointer>& inputs,
               std::vector<std::uint32_t>& unknown) GANTRY_REQUIRES(mutex);
  bool enter(const MetricBatch& batch, const Learnt& learnt, InputPointer& input)
      GANTRY_REQUIRES(mutex);
  bool make_room() GANTRY_REQUIRES(mutex);
  void take(const MetricBatch& batch, const std::vector<InputPointer>& inputs, TimestampMs now)
      GANTRY_REQUIRES(mutex);
  void count(AggregationState::Taken taken, std::size_t rule) GANTRY_REQUIRES(mutex);
  void end_windows(TimestampMs now) GANTRY_REQUIRES(mutex);
  void show() GANTRY_REQUIRES(mutex);
  void sweep(TimestampMs now) GANTRY_REQUIRES(mutex);
  std::unique_ptr<const FinishedWindows> hand_out() GANTRY_REQUIRES(mutex);

  const std::vector<AggregationRule> rules;
  const StreamAggregationOptions options;
  Refusals refusals;

  core::Mutex mutex;
  std::deque<AggregationState> states GANTRY_GUARDED_BY(mutex);  ///< By rule.
  std::vector<RuleMetrics> metrics GANTRY_GUARDED_BY(mutex);
  /// By the key that the codec gave, and by labels: a series may come in several ways.
  std::unordered_map<core::Hash128, InputPointer, Hash128Hash> known GANTRY_GUARDED_BY(mutex);
  std::unordered_map<core::Hash128, InputPointer, Hash128Hash> inputs_by_labels
      GANTRY_GUARDED_BY(mutex);
  std::vector<FinishedSample> pending GANTRY_GUARDED_BY(mutex);
  TimestampMs swept_at GANTRY_GUARDED_BY(mutex){0};
};

std::optional<StreamAggregation::Impl::Learnt> StreamAggregation::Impl::learn(
    const MetricBatch& batch, std::uint32_t series) const {
  core::Arena arena;
  std::vector<telemetry::LabelView> views;
  // What a store refuses is left to it, words and all.
  if (!batch.resolver->resolve(series, arena, views)) return std::nullopt;
  auto labels = own_labels(views);
  if (!labels) return std::nullopt;
  Learnt learnt{.series = series, .key = label_set_key(*labels), .labels = *std::move(labels)};
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (rules[i].matches(learnt.labels)) learnt.rules.push_back(i);
  return learnt;
}

void StreamAggregation::Impl::look_up(const MetricBatch& batch, std::vector<InputPointer>& inputs,
                                      std::vector<std::uint32_t>& unknown) {
  for (std::uint32_t i = 0; i < batch.series.size(); ++i) {
    const auto found = known.find(batch.series[i].key);
    if (found == known.end())
      unknown.push_back(i);
    else
      inputs[i] = found->second;
  }
}

bool StreamAggregation::Impl::make_room() {
  if (known.size() < options.inputs_max) return true;
  // That no rule matches a series can be found out again.
  std::erase_if(known, [](const auto& entry) { return entry.second == nullptr; });
  return known.size() < options.inputs_max;
}

bool StreamAggregation::Impl::enter(const MetricBatch& batch, const Learnt& learnt,
                                    InputPointer& input) {
  if (!make_room()) return false;
  if (!learnt.rules.empty()) {
    InputPointer& same = inputs_by_labels[learnt.key];
    if (!same) {
      same = std::make_shared<Input>();
      for (const std::size_t rule : learnt.rules) {
        same->memberships.push_back({.rule = rule, .member = {}});
        same->memberships.back().member.group = states[rule].find_group(learnt.labels);
        same->is_left_out = same->is_left_out || !rules[rule].keeps_input;
      }
    }
    input = same;
  }
  known.insert_or_assign(batch.series[learnt.series].key, input);
  return true;
}

void StreamAggregation::Impl::count(AggregationState::Taken taken, std::size_t rule) {
  using enum AggregationState::Taken;
  switch (taken) {
    case Yes:
      return;
    case Late:
      return metrics[rule].late();
    case NoRoom:
      return refusals.series_limit();
    case OtherType:
      return refusals.mixed_types();
    case NotForHistograms:
      return refusals.histogram();
  }
}

// Hot: per sample.
void StreamAggregation::Impl::take(const MetricBatch& batch,
                                   const std::vector<InputPointer>& inputs, TimestampMs now) {
  for (std::size_t i = 0; i < batch.samples.size(); ++i) {
    const telemetry::FloatSample& sample = batch.samples[i];
    Input* const input = inputs[sample.series].get();
    if (input == nullptr || std::isnan(sample.value)) continue;
    const std::int64_t start_ms =
        batch.start_timestamps_ms.empty() ? 0 : batch.start_timestamps_ms[i];
    input->seen_ms = now.since_epoch;
    for (Membership& membership : input->memberships)
      count(states[membership.rule].take(membership.member, sample.value, sample.timestamp_ms,
                                         start_ms, now),
            membership.rule);
  }
  for (const telemetry::HistogramSample& sample : batch.histograms) {
    Input* const input = inputs[sample.series].get();
    if (input == nullptr || telemetry::is_stale(sample.histogram) ||
        !telemetry::validate(sample.histogram))
      continue;
    input->seen_ms = now.since_epoch;
    const telemetry::FloatHistogram histogram = telemetry::to_float(sample.histogram);
    for (Membership& membership : input->memberships)
      count(states[membership.rule].take(membership.member, histogram, sample.timestamp_ms,
                                         sample.start_timestamp_ms, now),
            membership.rule);
  }
}

void StreamAggregation::Impl::end_windows(TimestampMs now) {
  std::vector<FinishedSample> finished;
  for (AggregationState& state : states) state.end_windows(now, finished);
  if (finished.empty()) return;
  show();
  if (pending.size() + finished.size() > options.pending_max) {
    refusals.pending_limit(finished.size());
    return;
  }
  pending.insert(pending.end(), std::make_move_iterator(finished.begin()),
                 std::make_move_iterator(finished.end()));
}

void StreamAggregation::Impl::show() {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    metrics[i].show(static_cast<double>(states[i].series_count()), states[i].other_ratio());
    refusals.mixed_types(states[i].take_mixed_count());
  }
}

void StreamAggregation::Impl::sweep(TimestampMs now) {
  if ((now - swept_at).count < kSweepEveryMs) return;
  swept_at = now;
  DurationMs longest{kInputKeptMs};
  for (const AggregationRule& rule : rules) longest = std::max(longest, rule.staleness());
  const std::int64_t forgotten_ms = (now - longest).since_epoch;
  const auto is_forgotten = [&](const auto& entry) {
    return entry.second != nullptr && entry.second->seen_ms < forgotten_ms;
  };
  std::erase_if(known, is_forgotten);
  std::erase_if(inputs_by_labels, is_forgotten);
}

std::unique_ptr<const FinishedWindows> StreamAggregation::Impl::hand_out() {
  if (pending.empty()) return nullptr;
  auto parts = std::make_unique<FinishedWindows::Parts>();
  parts->samples = std::exchange(pending, {});
  return std::make_unique<const FinishedWindows>(std::move(parts));
}

Result<void> check_stream_aggregation(std::string_view json) {
  GANTRY_CHECK(parse_aggregation_rules(json));
  return {};
}

Result<std::unique_ptr<StreamAggregation>> StreamAggregation::parse(
    std::string_view json, StreamAggregationOptions options) {
  GANTRY_TRY(std::vector<AggregationRule> rules, parse_aggregation_rules(json));
  return std::unique_ptr<StreamAggregation>(
      new StreamAggregation(std::make_unique<Impl>(std::move(rules), options)));
}

StreamAggregation::StreamAggregation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StreamAggregation::~StreamAggregation() {
  const core::Lock lock(impl_->mutex);
  for (RuleMetrics& metrics : impl_->metrics) metrics.show(0, 0);
}

bool StreamAggregation::empty() const {
  return impl_->rules.empty();
}

PartialBatch StreamAggregation::observe(const MetricBatch& batch, TimestampMs now) {
  if (empty()) return {batch, {}};
  std::vector<InputPointer> inputs(batch.series.size());
  std::vector<std::uint32_t> unknown;
  {
    const core::Lock lock(impl_->mutex);
    impl_->look_up(batch, inputs, unknown);
  }
  // Labels are resolved and matched without the lock: that is the slow part.
  std::vector<Impl::Learnt> learnt;
  for (const std::uint32_t series : unknown)
    if (auto one = impl_->learn(batch, series)) learnt.push_back(*std::move(one));
  std::vector<bool> leaves_out(batch.series.size());
  const core::Lock lock(impl_->mutex);
  impl_->end_windows(now);
  impl_->sweep(now);
  std::uint64_t refused = 0;
  for (const Impl::Learnt& one : learnt)
    refused += impl_->enter(batch, one, inputs[one.series]) ? 0 : 1;
  if (refused > 0) impl_->refusals.input_limit(refused);
  impl_->take(batch, inputs, now);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    leaves_out[i] = inputs[i] != nullptr && inputs[i]->is_left_out;
  return {batch, leaves_out};
}

std::unique_ptr<const FinishedWindows> StreamAggregation::collect(TimestampMs now) {
  const core::Lock lock(impl_->mutex);
  impl_->end_windows(now);
  return impl_->hand_out();
}

std::unique_ptr<const FinishedWindows> StreamAggregation::flush(TimestampMs now) {
  const core::Lock lock(impl_->mutex);
  impl_->end_windows(now);
  for (AggregationState& state : impl_->states) state.flush(now, impl_->pending);
  impl_->show();
  return impl_->hand_out();
}

}  // namespace gantry::pipeline
