#include "promql/testing/plain_nodes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "promql/function_table.h"
#include "promql/histogram/arithmetic.h"
#include "promql/testing/plain_aggregate.h"
#include "promql/testing/plain_binary.h"
#include "promql/testing/plain_functions.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

using Id = FunctionId;

bool depends_on_time(Id function) {
  switch (function) {
    case Id::Time:
    case Id::Timestamp:
    case Id::PredictLinear:
    case Id::DaysInMonth:
    case Id::DayOfMonth:
    case Id::DayOfWeek:
    case Id::DayOfYear:
    case Id::Hour:
    case Id::Minute:
    case Id::Month:
    case Id::Year:
      return true;
    default:
      return false;
  }
}

bool is_stale(const PlainSample& sample) {
  return telemetry::is_stale_nan(sample.histogram ? sample.histogram->sum : sample.value);
}

/// Whether a selector lies below, sub-queries apart.
bool has_selector(const Expr& expr) {
  if (std::holds_alternative<Subquery>(expr.node)) return false;
  if (std::holds_alternative<VectorSelector>(expr.node) ||
      std::holds_alternative<MatrixSelector>(expr.node))
    return true;
  return std::ranges::any_of(children(expr),
                             [](const Expr* child) { return has_selector(*child); });
}

/// histogram_count and its kin give the histograms they read hints of their own, which show in the
/// notes of what lies between.
bool makes_hints(const Call& call) {
  const Id function = call.function->id;
  if (function != Id::HistogramCount && function != Id::HistogramSum &&
      function != Id::HistogramAvg)
    return false;
  const Expr& argument = strip_parens(*call.arguments[0]);
  return !std::holds_alternative<VectorSelector>(argument.node) && has_selector(argument);
}

bool takes_range(const Call& call) {
  return std::ranges::any_of(call.arguments, [](const ExprPtr& argument) {
    return argument->type() == ValueType::Matrix;
  });
}

}  // namespace

bool is_step_invariant(const Expr& expr) {
  if (const auto* selector = std::get_if<VectorSelector>(&expr.node))
    return selector->time.at != AtKind::None;
  if (const auto* range = std::get_if<MatrixSelector>(&expr.node))
    return range->selector.time.at != AtKind::None;
  if (const auto* subquery = std::get_if<Subquery>(&expr.node))
    return subquery->time.at != AtKind::None;
  const auto* call = std::get_if<Call>(&expr.node);
  if (call != nullptr && call->function->id == Id::Timestamp) {
    const Expr& argument = strip_parens(*call->arguments[0]);
    return std::holds_alternative<VectorSelector>(argument.node) && is_step_invariant(argument);
  }
  if (call != nullptr && depends_on_time(call->function->id)) return false;
  return std::ranges::all_of(children(expr),
                             [](const Expr* child) { return is_step_invariant(*child); });
}

std::int64_t PlainEvaluator::reference_ms(const TimeModifiers& time, std::int64_t step_ms) const {
  switch (time.at) {
    case AtKind::None:
      return step_ms - time.offset_ms;
    case AtKind::Timestamp:
      return time.at_ms - time.offset_ms;
    case AtKind::Start:
      return context_.query_start_ms - time.offset_ms;
    case AtKind::End:
      return context_.query_end_ms - time.offset_ms;
  }
  return 0;
}

Result<PlainSteps> PlainEvaluator::vectors(const Expr& expr, const PlainGrid& grid) {
  if (grid.count <= 1 || !is_step_invariant(expr)) return fresh_vectors(expr, grid);
  GANTRY_TRY(const PlainSteps once,
             fresh_vectors(expr, {.start_ms = grid.start_ms, .step_ms = 0, .count = 1}));
  return PlainSteps(grid.count, once[0]);
}

Result<std::vector<double>> PlainEvaluator::scalars(const Expr& expr, const PlainGrid& grid) {
  if (grid.count <= 1 || !is_step_invariant(expr)) return fresh_scalars(expr, grid);
  GANTRY_TRY(const std::vector<double> once,
             fresh_scalars(expr, {.start_ms = grid.start_ms, .step_ms = 0, .count = 1}));
  return std::vector<double>(grid.count, once[0]);
}

Result<std::vector<double>> PlainEvaluator::fresh_scalars(const Expr& expr, const PlainGrid& grid) {
  if (const auto* number = std::get_if<NumberLiteral>(&expr.node))
    return std::vector<double>(grid.count, number->value);
  if (const auto* paren = std::get_if<Paren>(&expr.node)) return scalars(*paren->expr, grid);
  if (const auto* unary = std::get_if<Unary>(&expr.node)) {
    GANTRY_TRY(std::vector<double> values, scalars(*unary->expr, grid));
    if (unary->op == UnaryOp::Minus) {
      for (double& value : values) value = -value;
    }
    return values;
  }
  if (const auto* binary = std::get_if<Binary>(&expr.node)) {
    GANTRY_TRY(std::vector<double> left, scalars(*binary->left, grid));
    GANTRY_TRY(const std::vector<double> right, scalars(*binary->right, grid));
    for (std::size_t i = 0; i < grid.count; ++i)
      left[i] = scalar_operation(binary->op, left[i], right[i]);
    return left;
  }
  return scalar_call(std::get<Call>(expr.node), grid);
}

Result<std::vector<double>> PlainEvaluator::scalar_call(const Call& call, const PlainGrid& grid) {
  const auto seconds = [](std::int64_t ms) { return static_cast<double>(ms) / 1000; };
  std::vector<double> values(grid.count);
  if (call.function->id == Id::Scalar) {
    GANTRY_TRY(const PlainSteps steps, vectors(*call.arguments[0], grid));
    for (std::size_t i = 0; i < grid.count; ++i) {
      PlainVector floats = steps[i];
      std::erase_if(floats,
                    [](const PlainElement& element) { return element.histogram != nullptr; });
      values[i] = floats.size() == 1 ? floats[0].value : std::nan("");
    }
    return values;
  }
  if (call.function->id == Id::MaxOf || call.function->id == Id::MinOf) {
    GANTRY_TRY(const std::vector<double> left, scalars(*call.arguments[0], grid));
    GANTRY_TRY(const std::vector<double> right, scalars(*call.arguments[1], grid));
    for (std::size_t i = 0; i < grid.count; ++i) {
      values[i] =
          call.function->id == Id::MaxOf ? larger(left[i], right[i]) : smaller(left[i], right[i]);
    }
    return values;
  }
  for (std::size_t i = 0; i < grid.count; ++i) {
    switch (call.function->id) {
      case Id::Time:
        values[i] = seconds(grid.time_ms(i));
        break;
      case Id::Start:
        values[i] = seconds(context_.query_start_ms);
        break;
      case Id::End:
        values[i] = seconds(context_.query_end_ms);
        break;
      case Id::Range:
        values[i] = seconds(context_.query_end_ms - context_.query_start_ms);
        break;
      case Id::Step:
        values[i] =
            context_.query_start_ms == context_.query_end_ms ? 0 : seconds(context_.query_step_ms);
        break;
      default:
        values[i] = std::numbers::pi;
    }
  }
  return values;
}

Result<PlainSteps> PlainEvaluator::fresh_vectors(const Expr& expr, const PlainGrid& grid) {
  if (const auto* selector = std::get_if<VectorSelector>(&expr.node))
    return select(*selector, grid);
  if (const auto* paren = std::get_if<Paren>(&expr.node)) return vectors(*paren->expr, grid);
  if (const auto* unary = std::get_if<Unary>(&expr.node)) return negate(*unary, grid);
  if (std::holds_alternative<Binary>(expr.node)) return binary(expr, grid);
  if (std::holds_alternative<Aggregate>(expr.node)) return aggregate(expr, grid);
  return call(expr, grid);
}

Result<std::vector<PlainSeries>> PlainEvaluator::read(const VectorSelector& selector) {
  if (selector.mode != RangeMode::Plain) return fail(Code::Unimplemented, "anchored and smoothed");
  constexpr std::int64_t kFar = std::int64_t{1} << 60;
  const SelectRequest request{
      .matchers = selector.matchers, .start_ms = -kFar, .end_ms = kFar, .hints = {}};
  GANTRY_TRY(const auto set, context_.source.select(request, CancelToken{}));
  std::vector<PlainSeries> all;
  for (std::size_t i = 0; i < set->size(); ++i) {
    PlainSeries series;
    for (const LabelSymbols& label : set->labels(i))
      series.labels[std::string(set->symbol(label.name))] = set->symbol(label.value);
    SampleColumns columns;
    GANTRY_CHECK(set->read(i, -kFar, kFar, columns));
    for (std::size_t k = 0; k < columns.values.size(); ++k) {
      const std::int64_t start =
          columns.start_timestamps_ms.empty() ? 0 : columns.start_timestamps_ms[k];
      series.samples.push_back({.time_ms = columns.timestamps_ms[k],
                                .start_ms = start,
                                .value = columns.values[k],
                                .histogram = nullptr});
    }
    for (const auto& point : columns.histograms) {
      series.samples.push_back({.time_ms = point.timestamp_ms,
                                .start_ms = point.start_timestamp_ms,
                                .value = 0,
                                .histogram = point.histogram});
    }
    std::ranges::sort(series.samples, {}, &PlainSample::time_ms);
    all.push_back(std::move(series));
  }
  return all;
}

namespace {

/// The newest sample in (reference - lookback, reference], unless it is a stale marker.
const PlainSample* newest(const PlainSeries& series, std::int64_t reference_ms,
                          std::int64_t lookback_ms) {
  const auto after =
      std::ranges::upper_bound(series.samples, reference_ms, {}, &PlainSample::time_ms);
  if (after == series.samples.begin()) return nullptr;
  const PlainSample& sample = *(after - 1);
  if (sample.time_ms <= reference_ms - lookback_ms || is_stale(sample)) return nullptr;
  return &sample;
}

}  // namespace

Result<PlainSteps> PlainEvaluator::select(const VectorSelector& selector, const PlainGrid& grid) {
  GANTRY_TRY(const std::vector<PlainSeries> all, read(selector));
  PlainSteps steps(grid.count);
  for (std::size_t i = 0; i < grid.count; ++i) {
    for (const PlainSeries& series : all) {
      const PlainSample* sample =
          newest(series, reference_ms(selector.time, grid.time_ms(i)), context_.lookback_ms);
      if (sample == nullptr) continue;
      steps[i].push_back({.labels = series.labels,
                          .drops_name = false,
                          .value = sample->value,
                          .histogram = sample->histogram});
    }
  }
  return steps;
}

Result<void> PlainEvaluator::check(PlainSteps& steps, const PlainGrid& grid) {
  // One step with delayed removal may hold equal labels until the end.
  if (is_instant(grid) && context_.options.delayed_name_removal) return {};
  std::map<PlainLabels, bool> drops_name;
  for (PlainVector& vector : steps) {
    GANTRY_CHECK(check_unique(vector));
    for (PlainElement& element : vector) {
      element.drops_name = drops_name.try_emplace(element.labels, element.drops_name).first->second;
    }
  }
  return {};
}

Result<PlainSteps> PlainEvaluator::negate(const Unary& unary, const PlainGrid& grid) {
  GANTRY_TRY(PlainSteps steps, vectors(*unary.expr, grid));
  if (unary.op == UnaryOp::Plus) return steps;
  for (PlainVector& vector : steps) {
    for (PlainElement& element : vector) {
      drop_name(context_, element);
      element.value = -element.value;
      if (!element.histogram) continue;
      telemetry::FloatHistogram negative = *element.histogram;
      histogram::multiply(negative, -1);
      element.histogram = share(std::move(negative));
    }
    if (!context_.options.delayed_name_removal) GANTRY_CHECK(check_unique(vector));
  }
  return steps;
}

Result<PlainSteps> PlainEvaluator::binary(const Expr& expr, const PlainGrid& grid) {
  const auto& node = std::get<Binary>(expr.node);
  PlainSteps result;
  if (node.left->type() == ValueType::Scalar) {
    GANTRY_TRY(const std::vector<double> left, scalars(*node.left, grid));
    GANTRY_TRY(const PlainSteps right, vectors(*node.right, grid));
    for (std::size_t i = 0; i < grid.count; ++i)
      result.push_back(
          scalar_vector_operation(context_, expr, right[i], left[i], ScalarSide::Left));
  } else if (node.right->type() == ValueType::Scalar) {
    GANTRY_TRY(const PlainSteps left, vectors(*node.left, grid));
    GANTRY_TRY(const std::vector<double> right, scalars(*node.right, grid));
    for (std::size_t i = 0; i < grid.count; ++i)
      result.push_back(
          scalar_vector_operation(context_, expr, left[i], right[i], ScalarSide::Right));
  } else {
    GANTRY_TRY(const PlainSteps left, vectors(*node.left, grid));
    GANTRY_TRY(const PlainSteps right, vectors(*node.right, grid));
    for (std::size_t i = 0; i < grid.count; ++i) {
      GANTRY_TRY(PlainVector vector, vector_operation(context_, expr, left[i], right[i]));
      result.push_back(std::move(vector));
    }
  }
  GANTRY_CHECK(check(result, grid));
  return result;
}

Result<PlainSteps> PlainEvaluator::aggregate(const Expr& expr, const PlainGrid& grid) {
  const auto& node = std::get<Aggregate>(expr.node);
  std::vector<double> parameters;
  if (node.parameter && node.parameter->type() == ValueType::Scalar) {
    GANTRY_TRY(parameters, scalars(*node.parameter, grid));
  }
  GANTRY_TRY(const PlainSteps steps, vectors(*node.expr, grid));
  return aggregate_steps(context_, expr, steps, parameters);
}

Result<PlainSteps> PlainEvaluator::timestamps(const Call& call, const PlainGrid& grid) {
  const Expr& argument = strip_parens(*call.arguments[0]);
  const bool wants_start = call.function->id == Id::StartTimestamp;
  PlainSteps steps(grid.count);
  if (const auto* selector = std::get_if<VectorSelector>(&argument.node)) {
    GANTRY_TRY(const std::vector<PlainSeries> all, read(*selector));
    for (std::size_t i = 0;
         i < grid.count && (!wants_start || context_.options.use_start_timestamps); ++i) {
      for (const PlainSeries& series : all) {
        const PlainSample* sample =
            newest(series, reference_ms(selector->time, grid.time_ms(i)), context_.lookback_ms);
        if (sample == nullptr) continue;
        const std::int64_t time = wants_start ? sample->start_ms : sample->time_ms;
        steps[i].push_back({.labels = series.labels,
                            .drops_name = false,
                            .value = static_cast<double>(time) / 1000,
                            .histogram = nullptr});
      }
    }
  } else {
    GANTRY_TRY(steps, vectors(argument, grid));
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (wants_start) steps[i].clear();
      for (PlainElement& element : steps[i]) {
        element.value = static_cast<double>(grid.time_ms(i)) / 1000;
        element.histogram = nullptr;
      }
    }
  }
  for (PlainVector& vector : steps) {
    for (PlainElement& element : vector) drop_name(context_, element);
  }
  GANTRY_CHECK(check(steps, grid));
  return steps;
}

Result<PlainSteps> PlainEvaluator::call(const Expr& expr, const PlainGrid& grid) {
  const auto& node = std::get<Call>(expr.node);
  const Id function = node.function->id;
  if (function == Id::Info) return fail(Code::Unimplemented, "info()");
  if (makes_hints(node)) return fail(Code::Unimplemented, "hints made on the fly");
  if (takes_range(node)) return range_call(expr, grid);
  if (function == Id::Timestamp || function == Id::StartTimestamp) return timestamps(node, grid);
  const bool is_sort = function == Id::Sort || function == Id::SortDesc ||
                       function == Id::SortByLabel || function == Id::SortByLabelDesc;
  std::vector<PlainSteps> vector_arguments(node.arguments.size(), PlainSteps(grid.count));
  std::vector<std::vector<double>> scalar_arguments(node.arguments.size(),
                                                    std::vector<double>(grid.count));
  PlainArguments arguments{.call = node,
                           .position = expr.position,
                           .step_ms = 0,
                           .is_instant = is_instant(grid),
                           .vectors = std::vector<PlainVector>(node.arguments.size()),
                           .scalars = std::vector<double>(node.arguments.size()),
                           .texts = std::vector<std::string>(node.arguments.size())};
  for (std::size_t i = 0; i < node.arguments.size(); ++i) {
    const Expr& argument = strip_parens(*node.arguments[i]);
    if (argument.type() == ValueType::String) {
      arguments.texts[i] = std::get<StringLiteral>(argument.node).value;
    } else if (argument.type() == ValueType::Scalar) {
      GANTRY_TRY(scalar_arguments[i], scalars(argument, grid));
    } else {
      GANTRY_TRY(vector_arguments[i], vectors(argument, grid));
    }
  }
  if (is_sort && !is_instant(grid)) {
    context_.notes.warn(
        "sort is ineffective for range queries since results are always ordered by labels",
        expr.position);
  }
  const bool is_of_labels = function == Id::LabelReplace || function == Id::LabelJoin;
  PlainSteps result;
  for (std::size_t step = 0; step < grid.count; ++step) {
    arguments.step_ms = grid.time_ms(step);
    for (std::size_t i = 0; i < node.arguments.size(); ++i) {
      arguments.vectors[i] = vector_arguments[i][step];
      arguments.scalars[i] = scalar_arguments[i][step];
    }
    GANTRY_TRY(PlainVector vector,
               is_of_labels ? label_call(arguments) : call_step(context_, arguments));
    if (is_of_labels) GANTRY_CHECK(check_unique(vector));
    result.push_back(std::move(vector));
  }
  GANTRY_CHECK(check(result, grid));
  return result;
}

Result<PlainEvaluator::Range> PlainEvaluator::range(const Expr& expr, const PlainGrid& grid) {
  const Expr& inside = strip_parens(expr);
  if (const auto* selector = std::get_if<MatrixSelector>(&inside.node)) {
    GANTRY_TRY(std::vector<PlainSeries> all, read(selector->selector));
    return Range{.series = std::move(all),
                 .time = &selector->selector.time,
                 .range_ms = selector->range_ms,
                 .position = inside.position};
  }
  GANTRY_TRY(Range result, subquery(std::get<Subquery>(inside.node), grid));
  result.position = inside.position;
  return result;
}

Result<PlainEvaluator::Range> PlainEvaluator::subquery(const Subquery& subquery,
                                                       const PlainGrid& grid) {
  const std::int64_t step =
      subquery.step_ms != 0 ? subquery.step_ms : context_.options.default_subquery_step_ms;
  const std::int64_t after = reference_ms(subquery.time, grid.start_ms) - subquery.range_ms;
  const std::int64_t last = reference_ms(subquery.time, grid.last_ms());
  std::int64_t first = (after / step) * step;
  if (first <= after) first += step;
  Range result{.series = {}, .time = &subquery.time, .range_ms = subquery.range_ms, .position = {}};
  if (last < first) return result;
  const PlainGrid inner{.start_ms = first,
                        .step_ms = step,
                        .count = static_cast<std::size_t>((last - first) / step) + 1};
  GANTRY_TRY(const PlainSteps steps, vectors(*subquery.expr, inner));
  std::map<PlainLabels, PlainSeries> by_labels;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const PlainElement& element : steps[i]) {
      PlainSeries& series =
          by_labels
              .try_emplace(element.labels, PlainSeries{.labels = element.labels,
                                                       .drops_name = element.drops_name,
                                                       .samples = {}})
              .first->second;
      PlainSample sample{.time_ms = inner.time_ms(i),
                         .start_ms = 0,
                         .value = element.value,
                         .histogram = element.histogram};
      if (sample.histogram && sample.histogram->hint != telemetry::CounterResetHint::Gauge) {
        telemetry::FloatHistogram unknown = *sample.histogram;
        unknown.hint = telemetry::CounterResetHint::Unknown;
        sample.histogram = share(std::move(unknown));
      }
      series.samples.push_back(std::move(sample));
    }
  }
  for (auto& [labels, series] : by_labels) result.series.push_back(std::move(series));
  return result;
}

namespace {

PlainWindow window_of(const PlainSeries& series, std::int64_t start_ms, std::int64_t end_ms) {
  PlainWindow window{.floats = {}, .histograms = {}, .start_ms = start_ms, .end_ms = end_ms};
  auto sample = std::ranges::upper_bound(series.samples, start_ms, {}, &PlainSample::time_ms);
  for (; sample != series.samples.end() && sample->time_ms <= end_ms; ++sample) {
    if (is_stale(*sample)) continue;
    (sample->histogram ? window.histograms : window.floats).push_back(*sample);
  }
  return window;
}

bool ends_like_a_counter(const std::string& name) {
  return name.ends_with("_total") || name.ends_with("_sum") || name.ends_with("_count") ||
         name.ends_with("_bucket");
}

bool uses_start_times(Id function) {
  return function == Id::Rate || function == Id::Increase || function == Id::Irate ||
         function == Id::Resets;
}

}  // namespace

Result<PlainSteps> PlainEvaluator::range_call(const Expr& expr, const PlainGrid& grid) {
  const auto& node = std::get<Call>(expr.node);
  const Id function = node.function->id;
  const auto argument = std::ranges::find_if(
      node.arguments, [](const ExprPtr& one) { return one->type() == ValueType::Matrix; });
  GANTRY_TRY(const Range input, range(**argument, grid));
  std::vector<std::vector<double>> scalar_arguments;
  for (const ExprPtr& one : node.arguments) {
    if (one->type() != ValueType::Scalar) continue;
    GANTRY_TRY(std::vector<double> values, scalars(*one, grid));
    scalar_arguments.push_back(std::move(values));
  }
  const bool keeps_name = function == Id::FirstOverTime || function == Id::LastOverTime;
  PlainSteps steps(grid.count);
  for (const PlainSeries& series : input.series) {
    bool has_float = false;
    PlainElement element{
        .labels = series.labels, .drops_name = series.drops_name, .value = 0, .histogram = nullptr};
    if (!keeps_name || (series.drops_name && !context_.options.delayed_name_removal))
      drop_name(context_, element);
    for (std::size_t step = 0; step < grid.count; ++step) {
      const std::int64_t end = reference_ms(*input.time, grid.time_ms(step));
      PlainWindow window = window_of(series, end - input.range_ms, end);
      if (window.floats.empty() && window.histograms.empty()) continue;
      window.step_ms = grid.time_ms(step);
      window.range_ms = input.range_ms;
      window.metric_name = label_of(series.labels, "__name__");
      window.position = input.position;
      window.first_argument = strip_parens(*node.arguments[0]).position;
      window.has_start_times = context_.options.use_start_timestamps && uses_start_times(function);
      std::vector<double> numbers;
      for (const auto& values : scalar_arguments) numbers.push_back(values[step]);
      GANTRY_TRY(const std::optional<PlainAnswer> answer,
                 over_time(context_.notes, function, window, numbers));
      if (!answer) continue;
      has_float = has_float || !answer->histogram;
      element.value = answer->histogram ? 0 : answer->value;
      element.histogram = answer->histogram;
      steps[step].push_back(element);
    }
    const std::string name = label_of(series.labels, "__name__");
    if ((function == Id::Rate || function == Id::Increase) && has_float && !name.empty() &&
        !ends_like_a_counter(name)) {
      context_.notes.info(
          "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: " +
              go_quoted(name),
          input.position);
    }
  }
  if (function == Id::AbsentOverTime) return absent_over(**argument, steps);
  if (!context_.options.delayed_name_removal) {
    for (const PlainVector& vector : steps) GANTRY_CHECK(check_unique(vector));
  }
  return steps;
}

PlainSteps PlainEvaluator::absent_over(const Expr& argument, const PlainSteps& steps) {
  PlainSteps result(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!steps[i].empty()) continue;
    result[i].push_back(
        {.labels = absent_labels(argument), .drops_name = true, .value = 1, .histogram = nullptr});
  }
  return result;
}

Result<std::vector<PlainSeries>> PlainEvaluator::matrix(const Expr& expr, std::int64_t step_ms) {
  GANTRY_TRY(Range input, range(expr, {.start_ms = step_ms, .step_ms = 0, .count = 1}));
  const std::int64_t end = reference_ms(*input.time, step_ms);
  for (PlainSeries& series : input.series) {
    std::erase_if(series.samples, [&](const PlainSample& sample) {
      return sample.time_ms <= end - input.range_ms || sample.time_ms > end || is_stale(sample);
    });
  }
  std::erase_if(input.series, [](const PlainSeries& series) { return series.samples.empty(); });
  return std::move(input.series);
}

}  // namespace gantry::promql::promqltest
