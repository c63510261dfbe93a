#pragma once

// Finds or makes the series of a batch.

#include <cstdint>
#include <string>
#include <vector>

#include "core/arena.h"
#include "metrics/append/label_check.h"
#include "metrics/append/series_budget.h"
#include "metrics/store_state.h"
#include "telemetry/metric_batch.h"

namespace gantry::metrics {

/// What became of the series of one batch.
struct BatchSeriesIds {
  static constexpr std::uint32_t kNone = SeriesRegistry::kNone;

  std::vector<std::uint32_t> ids;  ///< kNone: not wanted or refused.
  /// Empty, or for each series of the batch the first one with the same labels.
  std::vector<std::uint32_t> aliases;

  struct Refused {
    std::uint32_t batch_series = 0;
    LabelProblem problem;
  };

  std::vector<Refused> refused;  ///< Ascending by series.
  std::size_t created_count = 0;
};

/// One request; one thread.
class SeriesLookup {
 public:
  SeriesLookup(StoreState& state, const Limits& limits, SeriesBudget& budget, TimestampMs now)
      : state_(state), limits_(limits), budget_(budget), now_(now) {}

  /// Series for which `is_wanted` is false are looked up but never made. Hot: per series.
  BatchSeriesIds find_or_add(const telemetry::MetricBatch& batch,
                             const std::vector<char>& is_wanted);

 private:
  struct Miss {
    std::uint32_t batch_series = 0;
    std::size_t label_begin = 0;
    std::size_t label_end = 0;
  };

  void resolve(const telemetry::MetricBatch& batch, const std::vector<char>& is_wanted,
               BatchSeriesIds& out);
  void add_misses(const telemetry::MetricBatch& batch, BatchSeriesIds& out);
  LabelProblem limit_problem(std::span<const telemetry::LabelView> labels, bool is_rate) const;

  StoreState& state_;
  const Limits& limits_;
  SeriesBudget& budget_;
  TimestampMs now_;
  core::Arena arena_;
  std::vector<telemetry::LabelView> labels_;
  std::vector<Miss> misses_;
};

}  // namespace gantry::metrics
