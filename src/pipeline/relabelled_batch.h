#pragma once

// Samples whose series have other labels, or are left out: relabelling over a batch on its way to a
// store.
//
//   Relabeller relabeller(rules);                       // one for each set of rules
//   const RelabelledBatch relabelled(relabeller, batch);
//   store.append(relabelled.batch(), options);

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/mutex.h"
#include "pipeline/batch_part.h"
#include "pipeline/relabel.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::pipeline {

/// Rules that remember what became of a series, so that each is relabelled once and not with every
/// request. Thread-safe.
class Relabeller {
 public:
  /// Of more series all are forgotten.
  explicit Relabeller(RelabelRules rules, std::size_t series_max = 1 << 18);
  Relabeller(const Relabeller&) = delete;
  Relabeller& operator=(const Relabeller&) = delete;

  /// A series after the rules.
  struct Outcome {
    bool is_dropped = false;
    core::Hash128 key;  ///< Of its new labels, unless it is dropped.
  };

  [[nodiscard]] const RelabelRules& rules() const { return rules_; }

  /// What is remembered of the series of a batch; null where nothing is.
  [[nodiscard]] std::vector<std::optional<Outcome>> look_up(
      const telemetry::MetricBatch& batch) const;

  void remember(const std::vector<std::pair<core::Hash128, Outcome>>& outcomes);

 private:
  struct KeyHash {
    std::size_t operator()(const core::Hash128& key) const;
  };

  const RelabelRules rules_;
  const std::size_t series_max_;
  mutable core::Mutex mutex_;
  std::unordered_map<core::Hash128, Outcome, KeyHash> outcomes_ GANTRY_GUARDED_BY(mutex_);
};

/// One batch. Series whose labels a store refuses (one without a name, the same name twice) stay
/// as they came, so that their sender hears of it.
class RelabelledBatch {
 public:
  /// Shares views with `in`, which must outlive this, and uses its resolver.
  RelabelledBatch(Relabeller& relabeller, const telemetry::MetricBatch& in);
  ~RelabelledBatch();
  RelabelledBatch(const RelabelledBatch&) = delete;
  RelabelledBatch& operator=(const RelabelledBatch&) = delete;

  [[nodiscard]] const telemetry::MetricBatch& batch() const { return part_.batch(); }

  /// Float samples and histograms of series that are left out.
  [[nodiscard]] std::uint64_t dropped_count() const { return part_.dropped_count(); }

  /// The verdict on `batch()` as one on the batch that it was made of: what was left out counts as
  /// written, positions are those that the sender knows.
  [[nodiscard]] telemetry::AppendResult of_input(telemetry::AppendResult result) const {
    return part_.of_input(std::move(result));
  }

 private:
  class Resolver;

  [[nodiscard]] Relabeller::Outcome relabel(std::uint32_t series);
  void decide_series(Relabeller& relabeller);

  const telemetry::MetricBatch& in_;
  const RelabelRules& rules_;
  std::unique_ptr<Resolver> resolver_;
  BatchPart part_;
};

}  // namespace gantry::pipeline
