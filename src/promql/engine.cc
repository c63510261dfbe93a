#include "promql/engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/time.h"
#include "promql/durations.h"
#include "promql/eval/context.h"
#include "promql/eval/evaluator.h"
#include "promql/eval/extended_range.h"
#include "promql/eval/planner.h"
#include "promql/eval/range_function.h"
#include "promql/eval/result_conversion.h"
#include "promql/eval/series_input.h"
#include "promql/histogram/size.h"

namespace gantry::promql {
namespace {

/// The times of a query, an instant one being a range of one step.
struct QuerySpan {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;  ///< 0 for an instant query.
  bool is_range = false;

  [[nodiscard]] eval::Grid grid() const {
    if (step_ms == 0) return {.start_ms = start_ms, .step_ms = 0, .count = 1};
    const auto count =
        (static_cast<std::uint64_t>(end_ms - start_ms) / static_cast<std::uint64_t>(step_ms)) + 1;
    return {.start_ms = start_ms, .step_ms = step_ms, .count = count};
  }
};

/// Series of a sub-query that are equal once their names are dropped become one, unless they have
/// a time in common.
Result<void> merge_equal_series(std::vector<ResultSeries>& sorted) {
  const auto merge_points = [](auto& into, auto& from) {
    std::ranges::move(from, std::back_inserter(into));
    std::ranges::sort(into, {}, [](const auto& point) { return point.timestamp_ms; });
  };
  std::size_t kept = 0;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i].labels != sorted[kept].labels) {
      if (++kept != i) sorted[kept] = std::move(sorted[i]);
      continue;
    }
    merge_points(sorted[kept].points, sorted[i].points);
    merge_points(sorted[kept].histograms, sorted[i].histograms);
    std::vector<std::int64_t> times;
    for (const Point& point : sorted[kept].points) times.push_back(point.timestamp_ms);
    for (const HistogramPoint& point : sorted[kept].histograms) {
      times.push_back(point.timestamp_ms);
    }
    std::ranges::sort(times);
    if (std::ranges::adjacent_find(times) != times.end()) {
      return fail(Code::FailedPrecondition, "vector cannot contain metrics with the same labelset");
    }
  }
  if (!sorted.empty()) sorted.resize(kept + 1);
  return {};
}

/// A root that is a range selector: the raw samples of its one window.
Result<std::vector<ResultSeries>> read_range_selector(eval::QueryContext& context,
                                                      eval::Evaluator& evaluator, const Expr& root,
                                                      const eval::Grid& grid) {
  const MatrixSelector* extended = eval::find_extended_selector(root);
  Result<eval::RangeVector> read = extended == nullptr
                                       ? evaluator.range_vector(root, grid, "")
                                       : eval::select_extended(context, *extended, grid, "");
  if (!read) return std::unexpected(std::move(read).error());
  const eval::RangeVector& range = *read;
  std::vector<ResultSeries> series(range.input->count());
  std::vector<eval::Reservation> reservations(eval::batch_count(context, series.size()));
  for (eval::Reservation& reservation : reservations) {
    reservation = eval::Reservation(context.budget);
  }
  const std::int64_t start_ms = range.windows.start_ms(0);
  const std::int64_t end_ms = range.windows.end_ms(0);
  // An extended range has a sample at its start.
  const std::int64_t first_ms = start_ms + (extended == nullptr ? 1 : 0);
  const auto is_inside = [=](std::int64_t t) { return t >= first_ms && t <= end_ms; };
  GANTRY_CHECK(eval::run_batches(
      context, series.size(),
      [&](const eval::Batch& batch, eval::BatchScratch& scratch) -> Result<void> {
        for (std::size_t i = batch.first; i < batch.first + batch.count; ++i) {
          GANTRY_CHECK(range.input->read(i, scratch.columns));
          eval::remove_stale_markers(scratch.columns);
          if (extended != nullptr) {
            GANTRY_CHECK(
                eval::extend_samples(extended->selector.mode, start_ms, end_ms, scratch.columns));
          }
          const SampleColumns& columns = scratch.columns;
          for (std::size_t k = 0; k < columns.values.size(); ++k) {
            if (!is_inside(columns.timestamps_ms[k])) continue;
            series[i].points.push_back(
                {.timestamp_ms = columns.timestamps_ms[k], .value = columns.values[k]});
          }
          for (const SampleColumns::HistogramPoint& point : columns.histograms) {
            if (!is_inside(point.timestamp_ms)) continue;
            series[i].histograms.push_back(
                {.timestamp_ms = point.timestamp_ms, .histogram = point.histogram});
          }
          std::uint64_t samples = series[i].points.size();
          std::uint64_t bytes = samples * sizeof(Point);
          for (const HistogramPoint& point : series[i].histograms) {
            samples += histogram::count_samples(*point.histogram);
            bytes += sizeof(point) + histogram::size_bytes(*point.histogram);
          }
          scratch.samples_total += samples;
          scratch.samples_read += samples;
          GANTRY_CHECK(reservations[batch.index].grow(samples, bytes));
        }
        return {};
      }));
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (series[i].points.empty() && series[i].histograms.empty()) continue;
    eval::LabelSetId labels = range.input->labels(i);
    if (range.input->drops_name(i)) labels = context.labels.without_metadata(labels);
    series[i].labels = context.labels.to_pairs(labels);
  }
  std::erase_if(
      series, [](const ResultSeries& one) { return one.points.empty() && one.histograms.empty(); });
  std::ranges::sort(series, {}, &ResultSeries::labels);
  GANTRY_CHECK(merge_equal_series(series));
  return series;
}

Result<Value> evaluate(eval::QueryContext& context, const Expr& root, const eval::Grid& grid) {
  eval::Evaluator evaluator(context);
  switch (root.type()) {
    case ValueType::Scalar: {
      GANTRY_TRY(const std::vector<double> values, evaluator.scalar(root, grid));
      if (!context.is_range_query) {
        return ScalarValue{.timestamp_ms = grid.start_ms, .value = values[0]};
      }
      ResultSeries series;
      series.points.reserve(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        series.points.push_back({.timestamp_ms = grid.time_ms(i), .value = values[i]});
      }
      std::vector<ResultSeries> result;
      result.push_back(std::move(series));
      return result;
    }
    case ValueType::Vector: {
      GANTRY_TRY(eval::Matrix matrix, evaluator.matrix(root, grid));
      GANTRY_CHECK(eval::finish_names(context, matrix));
      if (context.is_range_query) {
        GANTRY_TRY(std::vector<ResultSeries> series, eval::to_series(context, matrix, grid));
        return series;
      }
      return eval::to_vector(context, matrix, grid.start_ms);
    }
    case ValueType::Matrix:
      return read_range_selector(context, evaluator, root, grid);
    case ValueType::String:
      return StringValue{.timestamp_ms = grid.start_ms,
                         .value = std::get<StringLiteral>(strip_parens(root).node).value};
    case ValueType::None:
      break;
  }
  return fail(Code::Internal, "unexpected error: expression without a type");
}

/// What a request overrides of the engine's options.
struct Bounds {
  std::int64_t lookback_ms = 0;
  std::uint64_t samples_max = 0;
};

Result<Answer> run_query(const EngineOptions& options, std::string_view query, QuerySpan span,
                         const Bounds& bounds, const SeriesSource& source,
                         const CancelToken& cancel) {
  const std::int64_t started_ns = monotonic_ns();
  GANTRY_TRY(const ExprPtr root, parse(query, options.parser));
  GANTRY_CHECK(resolve_durations(
      *root,
      QueryTimes{.start_ms = span.start_ms, .end_ms = span.end_ms, .step_ms = span.step_ms}));
  const ValueType type = root->type();
  if (span.is_range && type != ValueType::Scalar && type != ValueType::Vector) {
    return fail(Code::InvalidArgument, "invalid expression type \"" +
                                           std::string(value_type_text(type)) +
                                           "\" for range query, must be Scalar or instant Vector");
  }
  const eval::Grid grid = span.grid();
  eval::QueryContext context{.options = options,
                             .source = source,
                             .cancel = cancel,
                             .lookback_ms = bounds.lookback_ms,
                             .query_start_ms = span.start_ms,
                             .query_end_ms = span.end_ms,
                             .query_step_ms = span.step_ms,
                             .is_range_query = span.is_range,
                             .row_span_ms = eval::row_span_ms(*root, span.end_ms - span.start_ms),
                             .budget = eval::Budget(bounds.samples_max, options.memory_bytes_max),
                             .labels = {},
                             .annotations = {},
                             .source_warnings = {},
                             .samples_total = 0,
                             .samples_read = 0,
                             .is_invariant = eval::find_invariants(*root),
                             .statistics_only = eval::find_statistics_only(*root)};
  GANTRY_CHECK(context.check());
  {
    // A row of the answer must fit before the first part of the query makes one.
    eval::Reservation row(context.budget);
    GANTRY_CHECK(row.grow(grid.count, grid.count * sizeof(double)));
  }
  const std::int64_t prepared_ns = monotonic_ns();
  GANTRY_TRY(Value value, evaluate(context, *root, grid));
  Answer answer{.value = std::move(value), .annotations = {}, .statistics = {}};
  answer.annotations = context.annotations.finish(query);
  std::ranges::move(context.source_warnings, std::back_inserter(answer.annotations.warnings));
  answer.statistics = {
      .samples_total = context.samples_total,
      .samples_read = context.samples_read,
      .samples_peak = context.budget.samples_peak(),
      .preparation_seconds = static_cast<double>(prepared_ns - started_ns) / 1e9,
      .evaluation_seconds = static_cast<double>(monotonic_ns() - prepared_ns) / 1e9};
  return answer;
}

template <class Request>
Bounds bounds_of(const Request& request, const EngineOptions& options) {
  return {.lookback_ms = request.lookback_ms.value_or(options.lookback_ms),
          .samples_max = request.samples_max.value_or(options.samples_max)};
}

}  // namespace

Engine::Engine(EngineOptions options) : options_(std::move(options)) {}

Engine::~Engine() = default;

Result<Answer> Engine::instant(const InstantRequest& request, const SeriesSource& source,
                               const CancelToken& cancel) const {
  return run_query(options_, request.query,
                   {.start_ms = request.time_ms, .end_ms = request.time_ms, .step_ms = 0},
                   bounds_of(request, options_), source, cancel);
}

Result<Answer> Engine::range(const RangeRequest& request, const SeriesSource& source,
                             const CancelToken& cancel) const {
  if (request.step_ms <= 0) {
    return fail(Code::InvalidArgument,
                "zero or negative query resolution step widths are not accepted. Try a positive "
                "integer");
  }
  if (request.end_ms < request.start_ms) {
    return fail(Code::InvalidArgument, "end timestamp must not be before start time");
  }
  return run_query(options_, request.query,
                   {.start_ms = request.start_ms,
                    .end_ms = request.end_ms,
                    .step_ms = request.step_ms,
                    .is_range = true},
                   bounds_of(request, options_), source, cancel);
}

}  // namespace gantry::promql
