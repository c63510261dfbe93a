#include "pipeline/relabelled_batch.h"

#include <span>
#include <string>
#include <utility>

#include "core/arena.h"
#include "pipeline/label_set_internal.h"

namespace gantry::pipeline {

using telemetry::LabelView;
using telemetry::MetricBatch;

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
    GANTRY_CHECK(owner_.in_.resolver->resolve(owner_.part_.origin(series), arena, came));
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
    : in_(in), rules_(relabeller.rules()), resolver_(std::make_unique<Resolver>(*this)), part_(in) {
  part_.set_resolver(*resolver_);
  decide_series(relabeller);
  part_.copy_samples();
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
    if (!outcome.is_dropped) part_.keep(i, outcome.key);
  }
  if (!learnt.empty()) relabeller.remember(learnt);
}

}  // namespace gantry::pipeline
