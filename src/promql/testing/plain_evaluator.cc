#include "promql/testing/plain_evaluator.h"

#include <algorithm>

#include "promql/durations.h"
#include "promql/function_table.h"
#include "promql/parser.h"
#include "promql/testing/plain_nodes.h"

namespace gantry::promql::promqltest {

namespace {

LabelPairs pairs_of(const PlainLabels& labels) {
  return {labels.begin(), labels.end()};
}

/// What delayed removal has put off.
Result<void> finish_names(PlainContext& context, PlainSteps& steps) {
  for (PlainVector& vector : steps) {
    for (PlainElement& element : vector) {
      if (element.drops_name) element.labels = without_metadata(element.labels);
    }
    if (context.options.delayed_name_removal) GANTRY_CHECK(check_unique(vector));
  }
  return {};
}

bool is_sorted_by_query(const Expr& root) {
  const Expr& inside = strip_parens(root);
  if (const auto* aggregate = std::get_if<Aggregate>(&inside.node)) {
    return aggregate->op == AggregateOp::TopK || aggregate->op == AggregateOp::BottomK;
  }
  const auto* call = std::get_if<Call>(&inside.node);
  if (call == nullptr) return false;
  switch (call->function->id) {
    case FunctionId::Sort:
    case FunctionId::SortDesc:
    case FunctionId::SortByLabel:
    case FunctionId::SortByLabelDesc:
      return true;
    default:
      return false;
  }
}

std::vector<VectorElement> vector_answer(const Expr& root, const PlainVector& vector,
                                         std::int64_t time_ms) {
  std::vector<VectorElement> answer;
  for (const PlainElement& element : vector) {
    answer.push_back({.labels = pairs_of(element.labels),
                      .timestamp_ms = time_ms,
                      .value = element.value,
                      .histogram = element.histogram});
  }
  if (!is_sorted_by_query(root)) std::ranges::stable_sort(answer, {}, &VectorElement::labels);
  return answer;
}

std::vector<ResultSeries> matrix_answer(const PlainSteps& steps, const PlainGrid& grid) {
  std::map<PlainLabels, ResultSeries> by_labels;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const PlainElement& element : steps[i]) {
      ResultSeries& series = by_labels[element.labels];
      if (element.histogram) {
        series.histograms.push_back(
            {.timestamp_ms = grid.time_ms(i), .histogram = element.histogram});
      } else {
        series.points.push_back({.timestamp_ms = grid.time_ms(i), .value = element.value});
      }
    }
  }
  std::vector<ResultSeries> answer;
  for (auto& [labels, series] : by_labels) {
    series.labels = pairs_of(labels);
    answer.push_back(std::move(series));
  }
  std::ranges::sort(answer, {}, &ResultSeries::labels);
  return answer;
}

Result<std::vector<ResultSeries>> range_vector_answer(const std::vector<PlainSeries>& all) {
  std::vector<ResultSeries> answer;
  for (const PlainSeries& series : all) {
    ResultSeries one{
        .labels = pairs_of(series.drops_name ? without_metadata(series.labels) : series.labels),
        .points = {},
        .histograms = {}};
    for (const PlainSample& sample : series.samples) {
      if (sample.histogram) {
        one.histograms.push_back({.timestamp_ms = sample.time_ms, .histogram = sample.histogram});
      } else {
        one.points.push_back({.timestamp_ms = sample.time_ms, .value = sample.value});
      }
    }
    const auto equal = std::ranges::find(answer, one.labels, &ResultSeries::labels);
    if (equal == answer.end()) {
      answer.push_back(std::move(one));
      continue;
    }
    std::ranges::copy(one.points, std::back_inserter(equal->points));
    std::ranges::copy(one.histograms, std::back_inserter(equal->histograms));
    std::ranges::sort(equal->points, {}, &Point::timestamp_ms);
    std::ranges::sort(equal->histograms, {}, &HistogramPoint::timestamp_ms);
    const auto is_same_time = [](const auto& a, const auto& b) {
      return a.timestamp_ms == b.timestamp_ms;
    };
    if (std::ranges::adjacent_find(equal->points, is_same_time) != equal->points.end() ||
        std::ranges::adjacent_find(equal->histograms, is_same_time) != equal->histograms.end()) {
      return same_labelset();
    }
  }
  std::ranges::sort(answer, {}, &ResultSeries::labels);
  return answer;
}

Result<Value> evaluate(PlainContext& context, const Expr& root, const PlainGrid& grid) {
  PlainEvaluator evaluator(context);
  switch (root.type()) {
    case ValueType::Scalar: {
      GANTRY_TRY(const std::vector<double> values, evaluator.scalars(root, grid));
      if (!context.is_range_query)
        return ScalarValue{.timestamp_ms = grid.start_ms, .value = values[0]};
      ResultSeries series;
      for (std::size_t i = 0; i < values.size(); ++i)
        series.points.push_back({.timestamp_ms = grid.time_ms(i), .value = values[i]});
      return std::vector{series};
    }
    case ValueType::Vector: {
      GANTRY_TRY(PlainSteps steps, evaluator.vectors(root, grid));
      GANTRY_CHECK(finish_names(context, steps));
      if (context.is_range_query) return matrix_answer(steps, grid);
      return vector_answer(root, steps[0], grid.start_ms);
    }
    case ValueType::Matrix: {
      GANTRY_TRY(const std::vector<PlainSeries> all, evaluator.matrix(root, grid.start_ms));
      GANTRY_TRY(std::vector<ResultSeries> answer, range_vector_answer(all));
      return answer;
    }
    default:
      return StringValue{.timestamp_ms = grid.start_ms,
                         .value = std::get<StringLiteral>(strip_parens(root).node).value};
  }
}

struct Span {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;
  bool is_range = false;
};

Result<Answer> run(const EngineOptions& options, std::string_view query, const Span& span,
                   std::optional<std::int64_t> lookback_ms, const SeriesSource& source) {
  GANTRY_TRY(const ExprPtr root, parse(query, options.parser));
  GANTRY_CHECK(resolve_durations(*root, span.start_ms, span.end_ms, span.step_ms));
  if (span.is_range && root->type() != ValueType::Scalar && root->type() != ValueType::Vector) {
    return fail(Code::InvalidArgument, "invalid expression type \"" +
                                           std::string(value_type_text(root->type())) +
                                           "\" for range query, must be Scalar or instant Vector");
  }
  PlainContext context{.options = options,
                       .source = source,
                       .lookback_ms = lookback_ms.value_or(options.lookback_ms),
                       .query_start_ms = span.start_ms,
                       .query_end_ms = span.end_ms,
                       .query_step_ms = span.step_ms,
                       .is_range_query = span.is_range,
                       .notes = {}};
  PlainGrid grid{.start_ms = span.start_ms, .step_ms = span.step_ms, .count = 1};
  if (span.is_range)
    grid.count = static_cast<std::size_t>((span.end_ms - span.start_ms) / span.step_ms) + 1;
  GANTRY_TRY(Value value, evaluate(context, *root, grid));
  return Answer{
      .value = std::move(value), .annotations = context.notes.finish(query), .statistics = {}};
}

}  // namespace

Result<Answer> plain_instant(const EngineOptions& options, const InstantRequest& request,
                             const SeriesSource& source) {
  return run(options, request.query, {.start_ms = request.time_ms, .end_ms = request.time_ms},
             request.lookback_ms, source);
}

Result<Answer> plain_range(const EngineOptions& options, const RangeRequest& request,
                           const SeriesSource& source) {
  return run(options, request.query,
             {.start_ms = request.start_ms,
              .end_ms = request.end_ms,
              .step_ms = request.step_ms,
              .is_range = true},
             request.lookback_ms, source);
}

}  // namespace gantry::promql::promqltest
