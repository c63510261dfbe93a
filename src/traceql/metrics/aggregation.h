#pragma once

// One metrics pipeline of a query on its way from groups of spans to series. Groups are observed by
// several threads at once, each into a part of its own; parts are merged in the order of the
// groups, so that the answer has the same bits whatever the number of workers.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "traceql/ast.h"
#include "traceql/eval/group_evaluator.h"
#include "traceql/eval/row_set.h"
#include "traceql/metrics/intervals.h"
#include "traceql/metrics/series_table.h"

namespace gantry::traceql::metrics {

/// What a query's merged series and tables take. One thread.
class MemoryAccount {
 public:
  explicit MemoryAccount(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// Errors: ResourceExhausted (`bytes` more would pass the limit; nothing was taken), whose text
  /// says how many series of how many intervals wanted them.
  Result<void> take(std::uint64_t bytes, std::size_t series, std::uint32_t intervals);

  void give_back(std::uint64_t bytes) { bytes_ -= bytes; }

 private:
  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
};

/// What the pipeline left of one group, in range.
struct SelectedSpans {
  RowSet set;
  std::vector<std::uint32_t> rows;       ///< Ascending.
  std::vector<std::uint32_t> intervals;  ///< By position in `rows`.

  /// Keeps the positions for which `is_kept` is not 0.
  void keep(std::span<const std::uint8_t> is_kept);
};

/// Runs the pipeline. Spans count by their start. Errors: those of the evaluator.
Result<SelectedSpans> select_spans(GroupEvaluator& evaluator, const Pipeline& pipeline,
                                   const Intervals& intervals);

class Aggregation {
 public:
  /// What one group gave.
  struct Part {
    Part() = default;
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    virtual ~Part() = default;
  };

  Aggregation() = default;
  Aggregation(const Aggregation&) = delete;
  Aggregation& operator=(const Aggregation&) = delete;
  virtual ~Aggregation() = default;

  /// Thread-safe. Its memory is bounded by the group's spans, not by the range. Errors: those of
  /// the evaluator.
  virtual Result<std::unique_ptr<Part>> observe(GroupEvaluator& evaluator) const = 0;

  /// Takes the group's part into the whole; one thread, in the order of groups. `part` comes from
  /// this aggregation's `observe`. Errors: ResourceExhausted.
  virtual Result<void> merge(std::unique_ptr<Part> part, MemoryAccount& memory) = 0;

  /// The series, sorted, once all parts are merged. Errors: ResourceExhausted.
  virtual Result<SeriesTable> finish(MemoryAccount& memory) = 0;
};

struct AggregationOptions {
  Intervals intervals;
  std::uint32_t exemplars_max = 0;
};

/// For `pipeline`, which must outlive it.
std::unique_ptr<Aggregation> make_function_aggregation(const MetricsPipeline& pipeline,
                                                       const AggregationOptions& options);
std::unique_ptr<Aggregation> make_compare_aggregation(const MetricsPipeline& pipeline,
                                                      const AggregationOptions& options);

}  // namespace gantry::traceql::metrics
