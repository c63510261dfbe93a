#pragma once

// One pass over a group's columns for every function but compare(): spans to cells, a cell being
// one series in one interval. No span object is ever built.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "traceql/metrics/aggregation.h"
#include "traceql/metrics/exemplar_choice.h"

namespace gantry::traceql::metrics {

/// What is kept per cell.
enum class Measure : std::uint8_t {
  Count,
  Min,
  Max,
  Sum,  ///< And the count.
};

[[nodiscard]] Measure measure_of(MetricsOp op);

/// histogram_over_time and quantile_over_time: a bucket of powers of two is part of the series.
[[nodiscard]] bool has_buckets(MetricsOp op);

/// Buckets of these are shown in seconds.
[[nodiscard]] bool is_duration_intrinsic(Intrinsic intrinsic);

struct SeriesKey {
  std::vector<Static> labels;  ///< By by() attribute, as answers show them; Nil: no such label.
  std::uint8_t exponent = 0;   ///< Of the bucket; 0: no buckets.
};

struct Cell {
  std::uint32_t series = 0;
  std::uint32_t interval = 0;
};

struct FunctionPart final : Aggregation::Part {
  std::vector<SeriesKey> series;
  std::vector<Cell> cells;                   ///< Those with spans, each once.
  std::vector<std::uint64_t> counts;         ///< By cell.
  std::vector<double> numbers;               ///< By cell; of Min, Max and Sum. Durations in ns.
  std::vector<ExemplarCandidate> exemplars;  ///< Their series: indexes into `series`.
};

/// `exemplar_fields`: attributes that exemplars carry, from fields_of. They and `pipeline` must
/// outlive the evaluator. Errors: those of the evaluator.
Result<std::unique_ptr<FunctionPart>> observe_function(GroupEvaluator& evaluator,
                                                       const MetricsPipeline& pipeline,
                                                       std::span<const FieldExpr> exemplar_fields,
                                                       const AggregationOptions& options);

/// The attributes that a pipeline reads, each once, in order of appearance.
[[nodiscard]] std::vector<FieldExpr> fields_of(const MetricsPipeline& pipeline);

}  // namespace gantry::traceql::metrics
