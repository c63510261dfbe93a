#pragma once

// One rule of a stream aggregation as it was written, checked.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/time.h"
#include "promql/matcher.h"
#include "telemetry/labels.h"

namespace gantry::pipeline {

enum class AggregationOutput : std::uint8_t {
  Total,
  Increase,
  SumSamples,
  CountSamples,
  CountSeries,
  Avg,
  Min,
  Max,
  Last,
};
inline constexpr std::size_t kAggregationOutputCount = 9;

/// "sum_samples"
[[nodiscard]] std::string_view aggregation_output_name(AggregationOutput output);

/// Whether native histograms have it.
[[nodiscard]] bool merges_histograms(AggregationOutput output);

/// Only the values of a label that rank highest stay apart.
struct AggregationTop {
  std::size_t n = 0;
  std::string label;
  AggregationOutput rank_by = AggregationOutput::Total;
};

enum class AggregationGrouping : std::uint8_t { AllLabels, By, Without };

struct AggregationRule {
  std::vector<std::vector<promql::Matcher>> selectors;  ///< One of them is to match.
  DurationMs interval;
  AggregationGrouping grouping = AggregationGrouping::AllLabels;
  std::vector<std::string> labels;  ///< Of `by` or `without`.
  std::vector<AggregationOutput> outputs;
  std::optional<AggregationTop> top;
  bool keeps_input = true;
  std::string name;  ///< With <metric>, <interval> and <output>.

  /// A group without samples for so long ends.
  [[nodiscard]] DurationMs staleness() const { return {2 * interval.count}; }

  [[nodiscard]] bool matches(std::span<const telemetry::Label> series) const;

  /// The labels that series of one group share, without the name.
  [[nodiscard]] telemetry::Labels group_labels(std::span<const telemetry::Label> series) const;

  /// `name` but for <output>.
  [[nodiscard]] std::string group_name(std::string_view metric) const;

  /// What `group_name` gave, for one output.
  [[nodiscard]] static std::string output_name(std::string_view group_name,
                                               AggregationOutput output);
};

/// Errors: as StreamAggregation::parse.
[[nodiscard]] Result<std::vector<AggregationRule>> parse_aggregation_rules(std::string_view json);

}  // namespace gantry::pipeline
