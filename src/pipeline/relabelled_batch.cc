#include "pipeline/relabelled_batch.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "core/arena.h"
#include "pipeline/label_set_internal.h"

namespace gantry::pipeline {
namespace {

using telemetry::LabelView;
using telemetry::MetricBatch;

constexpr std::uint32_t kDropped = std::numeric_limits<std::uint32_t>::max();

}  // namespace

std::size_t Relabeller::KeyHash::operator()(const core::Hash128& key) const {
  return key.low;  // a hash already
}

Relabeller::Relabeller(RelabelRules rules, std::size_t series_max)
    : rules_(std::move(rules)), series_max_(series_max) {}

std::vector<std::optional<Relabeller::Outcome>> Relabeller::look_up(
    const MetricBatch& batch) const {
  std::vector<std::optional<Outcome>> known(batch.series.size());
  const core::Lock lock(mutex_);
  for (std::size_t i = 0; i < known.size(); ++i)
    if (const auto found = outcomes_.find(batch.series[i].key); found != outcomes_.end())
      known[i] = found->second;
  return known;
}

void Relabeller::remember(const std::vector<std::pair<core::Hash128, Outcome>>& outcomes) {
  const core::Lock lock(mutex_);
  if (outcomes_.size() + outcomes.size() > series_max_) outcomes_.clear();
  for (const auto& [key, outcome] : outcomes) {
    if (outcomes_.size() == series_max_) return;
    outcomes_.insert_or_assign(key, outcome);
  }
}

/// Relabels again what a store does not know by its key.
class RelabelledBatch::Resolver final : public telemetry::SeriesResolver {
 public:
  explicit Resolver(const RelabelledBatch& owner) : owner_(owner) {}

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<LabelView>& labels) const override {
    std::vector<LabelView> came;
    GANTRY_CHECK(owner_.in_.resolver->resolve(owner_.origins_[series], arena, came));
    auto changed = own_labels(came);
    if (!changed || !owner_.rules_.apply(*changed)) {
      labels.insert(labels.end(), came.begin(), came.end());
      return {};
    }
    for (const telemetry::Label& label : *changed)
      labels.push_back({.name = arena.copy(label.name), .value = arena.copy(label.value)});
    return {};
  }

 private:
  const RelabelledBatch& owner_;
};

RelabelledBatch::RelabelledBatch(Relabeller& relabeller, const MetricBatch& in)
    : in_(in),
      rules_(relabeller.rules()),
      places_(in.series.size(), kDropped),
      resolver_(std::make_unique<Resolver>(*this)) {
  batch_.resolver = resolver_.get();
  batch_.metadata = in.metadata;
  batch_.body_bytes = in.body_bytes;
  decide_series(relabeller);
  copy_samples();
}

RelabelledBatch::~RelabelledBatch() = default;

Relabeller::Outcome RelabelledBatch::relabel(std::uint32_t series) {
  core::Arena arena;
  std::vector<LabelView> views;
  const core::Hash128 as_it_came = in_.series[series].key;
  // The store asks again, and words the refusal.
  if (!in_.resolver->resolve(series, arena, views)) return {.key = as_it_came};
  auto labels = own_labels(views);
  if (!labels) return {.key = as_it_came};
  if (!rules_.apply(*labels)) return {.is_dropped = true, .key = {}};
  return {.key = label_set_key(*labels)};
}

void RelabelledBatch::decide_series(Relabeller& relabeller) {
  const std::vector<std::optional<Relabeller::Outcome>> known = relabeller.look_up(in_);
  std::vector<std::pair<core::Hash128, Relabeller::Outcome>> learnt;
  for (std::uint32_t i = 0; i < in_.series.size(); ++i) {
    const Relabeller::Outcome outcome = known[i] ? *known[i] : relabel(i);
    if (!known[i]) learnt.emplace_back(in_.series[i].key, outcome);
    if (outcome.is_dropped) continue;
    places_[i] = static_cast<std::uint32_t>(origins_.size());
    origins_.push_back(i);
    batch_.series.push_back(in_.series[i]);
    batch_.series.back().key = outcome.key;
  }
  if (!learnt.empty()) relabeller.remember(learnt);
}

// Hot: per sample.
void RelabelledBatch::copy_samples() {
  for (std::uint32_t i = 0; i < in_.samples.size(); ++i) {
    telemetry::FloatSample sample = in_.samples[i];
    sample.series = places_[sample.series];
    if (sample.series == kDropped) continue;
    batch_.samples.push_back(sample);
    samples_.push_back(i);
    if (!in_.start_timestamps_ms.empty())
      batch_.start_timestamps_ms.push_back(in_.start_timestamps_ms[i]);
  }
  for (std::uint32_t i = 0; i < in_.histograms.size(); ++i) {
    const std::uint32_t place = places_[in_.histograms[i].series];
    if (place == kDropped) continue;
    batch_.histograms.push_back(in_.histograms[i]);
    batch_.histograms.back().series = place;
    histograms_.push_back(i);
  }
  for (const telemetry::Exemplar& exemplar : in_.exemplars) {
    const std::uint32_t place = places_[exemplar.series];
    if (place == kDropped) continue;
    batch_.exemplars.push_back(exemplar);
    batch_.exemplars.back().series = place;
  }
}

std::uint64_t RelabelledBatch::dropped_count() const {
  return in_.samples.size() - batch_.samples.size() + in_.histograms.size() -
         batch_.histograms.size();
}

telemetry::AppendResult RelabelledBatch::of_input(telemetry::AppendResult result) const {
  result.samples_written += in_.samples.size() - batch_.samples.size();
  result.histograms_written += in_.histograms.size() - batch_.histograms.size();
  result.exemplars_written += in_.exemplars.size() - batch_.exemplars.size();
  for (std::uint32_t& position : result.refused_samples) position = samples_[position];
  for (std::uint32_t& position : result.refused_histograms) position = histograms_[position];
  return result;
}

}  // namespace gantry::pipeline
