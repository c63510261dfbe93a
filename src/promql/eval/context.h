#pragma once

// What every part of one query's evaluation shares.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "promql/engine.h"
#include "promql/eval/annotations.h"
#include "promql/eval/label_table.h"
#include "promql/eval/matrix.h"
#include "promql/kernels/range_functions.h"
#include "promql/series_source.h"

namespace gantry::promql::eval {

/// The evaluation times of a node: start, start + step, ….
struct Grid {
  std::int64_t start_ms = 0;
  std::int64_t step_ms = 0;
  std::size_t count = 1;

  [[nodiscard]] std::int64_t time_ms(std::size_t step) const {
    return start_ms + (static_cast<std::int64_t>(step) * step_ms);
  }

  [[nodiscard]] std::int64_t last_ms() const { return time_ms(count - 1); }

  /// Only the first time.
  [[nodiscard]] Grid first() const { return {.start_ms = start_ms, .step_ms = 0, .count = 1}; }
};

/// Scratch memory of one lane of a parallel loop, and what its current batch has to report.
struct BatchScratch {
  SampleColumns columns;
  std::vector<std::int64_t>
      last_timestamps_ms;  ///< Those that `windows` or `newest` was built for.
  std::vector<kernels::Window> windows;
  std::vector<std::uint32_t> newest;  ///< Instant selectors: per step, sample index + 1; 0: none.
  std::vector<std::int64_t> histogram_times_ms;
  std::vector<kernels::Window> histogram_windows;
  std::uint64_t windows_samples = 0;  ///< Sum of the windows' sizes.
  kernels::RangeScratch range;

  /// Of the histograms in the rows that were produced; whoever had them produced takes it over.
  Reservation held;

  AnnotationSet annotations;
  std::uint64_t samples_total = 0;
  std::uint64_t samples_read = 0;
};

struct QueryContext {
  const EngineOptions& options;
  const SeriesSource& source;
  const CancelToken& cancel;
  std::int64_t lookback_ms = 0;
  /// First and last evaluation time of the query as asked for: @ start(), @ end().
  std::int64_t query_start_ms = 0;
  std::int64_t query_end_ms = 0;
  std::int64_t query_step_ms = 0;  ///< 0 for an instant query.
  bool is_range_query = false;
  std::int64_t row_span_ms = 0;  ///< The longest time that a row's samples can cover.

  Budget budget;
  LabelTable labels;
  AnnotationSet annotations;
  std::vector<std::string> source_warnings;
  std::uint64_t samples_total = 0;
  std::uint64_t samples_read = 0;
  std::unordered_map<const Expr*, bool> is_invariant;  ///< Filled by the planner.
  /// Selectors of whose histograms only count and sum are asked for. Filled by the planner.
  std::unordered_set<const VectorSelector*> statistics_only;

  /// Cancelled or DeadlineExceeded with Prometheus's texts.
  [[nodiscard]] Result<void> check() const;

  /// The labels that dropping the metric name leaves, at once or (delayed) at the end of the query.
  [[nodiscard]] bool drops_names_at_once() const { return !options.delayed_name_removal; }

  /// One step on its own: an instant, or a range of one time only, which is as good as one.
  [[nodiscard]] bool is_one_time(const Grid& grid) const {
    return grid.step_ms == 0 || (grid.count == 1 && query_start_ms == query_end_ms);
  }
};

/// Rows of a batch at most: small enough to spread over the workers, large enough to pay for the
/// visit.
inline constexpr std::size_t kBatchRows = 128;

/// Rows of a batch where `rows` are to be worked on: fewer when each covers a long time, so that a
/// few long series keep all workers busy, but never so few that batches outnumber their use.
[[nodiscard]] std::size_t batch_rows(const QueryContext& context, std::size_t rows);

/// How many batches run_batches makes of them.
[[nodiscard]] std::size_t batch_count(const QueryContext& context, std::size_t rows);

/// One batch of rows [first, first + count); batches of one lane run one after the other.
struct Batch {
  std::size_t index = 0;
  std::size_t first = 0;
  std::size_t count = 0;
};

using BatchBody = std::function<Result<void>(const Batch& batch, BatchScratch& scratch)>;

/// Runs `body` for every batch of `rows` rows on the workers and the calling thread. What the
/// batches report is merged in batch order, and of several errors the first batch's is returned, so
/// that the outcome does not depend on the workers. Cancellation is looked at before each batch.
Result<void> run_batches(QueryContext& context, std::size_t rows, const BatchBody& body);

/// Some of the batches that `rows` rows make, with a size of their own.
struct BatchRange {
  std::size_t rows = 0;
  std::size_t batch_rows = kBatchRows;
  std::size_t first = 0;  ///< Batches [first, first + count).
  std::size_t count = 0;
};

Result<void> run_batches(QueryContext& context, const BatchRange& range, const BatchBody& body);

/// How many lanes a parallel loop has at most.
[[nodiscard]] std::size_t lane_count(const QueryContext& context);

}  // namespace gantry::promql::eval
