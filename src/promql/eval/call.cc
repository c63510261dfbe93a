// Function calls.

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <optional>
#include <utility>
#include <variant>

#include "promql/eval/evaluator.h"
#include "promql/eval/extended_range.h"
#include "promql/eval/info.h"
#include "promql/eval/instant_selector.h"
#include "promql/eval/label_functions.h"
#include "promql/eval/range_function.h"
#include "promql/function_table.h"
#include "promql/kernels/float_functions.h"

namespace gantry::promql::eval {
namespace {

double seconds(std::int64_t milliseconds) {
  return static_cast<double>(milliseconds) / 1000;
}

std::string text_argument(const Expr& expr) {
  const auto* text = std::get_if<StringLiteral>(&strip_parens(expr).node);
  return text == nullptr ? std::string() : text->value;
}

/// Parentheses around an argument do not count, in annotations either.
Position argument_position(const Expr& argument) {
  return strip_parens(argument).position;
}

void clear_histograms(const RowsView& rows) {
  for (std::size_t row = 0; row < rows.count; ++row) rows.histograms[row].clear();
}

RowsMap map_values(kernels::ElementKernel kernel) {
  return [kernel](const RowsView& rows, BatchScratch& /*scratch*/) {
    clear_histograms(rows);
    for (std::size_t row = 0; row < rows.count; ++row) kernel(rows.row(row));
    return Result<void>();
  };
}

using StepFunction = double (*)(double value, double argument);

RowsMap map_with_argument(StepFunction function, std::vector<double> argument) {
  return [function, argument = std::move(argument)](const RowsView& rows, BatchScratch&) {
    clear_histograms(rows);
    for (std::size_t row = 0; row < rows.count; ++row) {
      const std::span<double> values = rows.row(row);
      for (std::size_t i = 0; i < rows.steps; ++i) values[i] = function(values[i], argument[i]);
    }
    return Result<void>();
  };
}

RowsMap map_clamp(std::vector<double> least, std::vector<double> most) {
  return [least = std::move(least), most = std::move(most)](const RowsView& rows, BatchScratch&) {
    clear_histograms(rows);
    for (std::size_t row = 0; row < rows.count; ++row) {
      const std::span<double> values = rows.row(row);
      for (std::size_t i = 0; i < rows.steps; ++i) {
        values[i] = kernels::clamp(values[i], least[i], most[i]);
        if (most[i] < least[i]) kernels::clear_bit(rows.bits(row), i);
      }
    }
    return Result<void>();
  };
}

/// timestamp() of anything but a selector: the step's time.
RowsMap map_step_time(const Grid& grid) {
  return [grid](const RowsView& rows, BatchScratch& /*scratch*/) {
    for (std::size_t row = 0; row < rows.count; ++row) {
      for (std::size_t i = 0; i < rows.steps; ++i) rows.row(row)[i] = seconds(grid.time_ms(i));
      for (std::size_t i = 0; i < rows.histograms[row].size(); ++i) {
        if (rows.histograms[row][i] != nullptr) kernels::set_bit(rows.bits(row), i);
      }
    }
    clear_histograms(rows);
    return Result<void>();
  };
}

}  // namespace

Result<RowProducerPtr> Evaluator::call(const Call& node, const Grid& grid, Position position) {
  const auto lazily = [&](Result<Matrix> matrix) -> Result<RowProducerPtr> {
    if (!matrix) return std::unexpected(std::move(matrix).error());
    return make_matrix_producer(context_, *std::move(matrix));
  };
  switch (node.function->id) {
    case FunctionId::Absent:
    case FunctionId::AbsentOverTime:
      return lazily(call_absent(node, grid));
    case FunctionId::LabelReplace:
    case FunctionId::LabelJoin:
      return lazily(call_label_function(node, grid));
    case FunctionId::Sort:
    case FunctionId::SortDesc:
    case FunctionId::SortByLabel:
    case FunctionId::SortByLabelDesc:
      return lazily(call_sort(node, grid, position));
    case FunctionId::HistogramQuantile:
    case FunctionId::HistogramQuantiles:
    case FunctionId::HistogramFraction:
      return lazily(call_histogram(node, grid));
    case FunctionId::Timestamp:
    case FunctionId::StartTimestamp:
      return call_timestamp(node, grid);
    case FunctionId::Minute:
    case FunctionId::Hour:
    case FunctionId::DayOfWeek:
    case FunctionId::DayOfMonth:
    case FunctionId::DayOfYear:
    case FunctionId::DaysInMonth:
    case FunctionId::Month:
    case FunctionId::Year:
      return call_calendar(node, grid);
    case FunctionId::Vector: {
      GANTRY_TRY(const std::vector<double> values, scalar(*node.arguments[0], grid));
      return lazily(vector_of(values));
    }
    case FunctionId::Info:
      return lazily(call_info(node, grid));
    default:
      break;
  }
  if (kernels::find_range_kernel(node.function->id) != nullptr) return call_over_range(node, grid);
  return call_element(node, grid);
}

Result<RowProducerPtr> Evaluator::call_over_range(const Call& node, const Grid& grid) {
  const Expr* range = nullptr;
  std::vector<const Expr*> scalars;
  for (const ExprPtr& argument : node.arguments) {
    if (argument->type() == ValueType::Matrix) {
      range = argument.get();
    } else {
      scalars.push_back(argument.get());
    }
  }
  if (const MatrixSelector* selector = find_extended_selector(*range)) {
    return make_extended_call(context_, *node.function, *selector, range->position, grid);
  }
  GANTRY_TRY(RangeVector input, range_vector(*range, grid, node.function->name));
  RangeCall call{.function = node.function->id,
                 .range_position = argument_position(*range),
                 .scalar_position = scalars.empty() ? Position{} : argument_position(*scalars[0]),
                 .first_position = argument_position(*node.arguments[0]),
                 .argument = {},
                 .argument_two = {},
                 .windows = input.windows,
                 .grid = grid};
  if (!scalars.empty()) {
    GANTRY_TRY(call.argument, scalar(*scalars[0], grid));
  }
  if (scalars.size() > 1) {
    GANTRY_TRY(call.argument_two, scalar(*scalars[1], grid));
  }
  return make_range_call(context_, std::move(call), std::move(input.input));
}

Result<RowProducerPtr> Evaluator::call_element(const Call& node, const Grid& grid) {
  const FunctionId id = node.function->id;
  GANTRY_TRY(RowProducerPtr rows, vector(*node.arguments[0], grid, node.function->name));
  const auto argument = [&](std::size_t index) { return scalar(*node.arguments[index], grid); };
  RowsMap map;
  switch (id) {
    case FunctionId::Clamp: {
      GANTRY_TRY(std::vector<double> least, argument(1));
      GANTRY_TRY(std::vector<double> most, argument(2));
      map = map_clamp(std::move(least), std::move(most));
      break;
    }
    case FunctionId::ClampMin:
    case FunctionId::ClampMax: {
      GANTRY_TRY(std::vector<double> bound, argument(1));
      map = map_with_argument(
          id == FunctionId::ClampMin ? &kernels::clamp_min : &kernels::clamp_max, std::move(bound));
      break;
    }
    case FunctionId::Round: {
      std::vector<double> nearest(grid.count, 1.0);
      if (node.arguments.size() > 1) {
        GANTRY_TRY(nearest, argument(1));
      }
      map = map_with_argument(&kernels::round_to, std::move(nearest));
      break;
    }
    case FunctionId::HistogramCount:
    case FunctionId::HistogramSum:
    case FunctionId::HistogramAvg:
    case FunctionId::HistogramStddev:
    case FunctionId::HistogramStdvar:
      map = make_histogram_accessor(id);
      break;
    default: {
      const kernels::ElementKernel kernel = kernels::find_element_kernel(id);
      if (kernel == nullptr) return not_supported(std::string(node.function->name) + "()");
      map = map_values(kernel);
    }
  }
  return make_mapped(context_, std::move(rows), std::move(map), NameRule::Drop);
}

Result<RowProducerPtr> Evaluator::call_timestamp(const Call& node, const Grid& grid) {
  const bool is_start = node.function->id == FunctionId::StartTimestamp;
  const Expr& argument = strip_parens(*node.arguments[0]);
  // Smoothing moves no sample: a smoothed selector is read like any other.
  const auto* selector = std::get_if<VectorSelector>(&argument.node);
  if (is_start && (selector == nullptr || !context_.options.use_start_timestamps)) {
    // Only a bare selector's samples have a start time, and only where those are used. What the
    // argument has to say is said all the same.
    GANTRY_TRY(const Matrix unused, matrix(argument, grid, node.function->name));
    GANTRY_TRY(Matrix none, make_matrix(context_.budget, 0, grid.count));
    return make_matrix_producer(context_, std::move(none));
  }
  if (selector == nullptr) {
    GANTRY_TRY(RowProducerPtr rows, vector(argument, grid, node.function->name));
    return make_mapped(context_, std::move(rows), map_step_time(grid), NameRule::Drop);
  }
  GANTRY_TRY(RowProducerPtr rows, make_instant_selector(context_, *selector, grid,
                                                        is_start ? InstantValue::StartTimestamp
                                                                 : InstantValue::Timestamp,
                                                        node.function->name));
  return make_mapped(
      context_, std::move(rows), [](const RowsView&, BatchScratch&) { return Result<void>(); },
      NameRule::Drop);
}

Result<RowProducerPtr> Evaluator::call_calendar(const Call& node, const Grid& grid) {
  const kernels::ElementKernel kernel = kernels::find_element_kernel(node.function->id);
  if (!node.arguments.empty()) return call_element(node, grid);
  std::vector<double> times(grid.count);
  for (std::size_t i = 0; i < grid.count; ++i) times[i] = seconds(grid.time_ms(i));
  kernel(times);
  GANTRY_TRY(Matrix result, vector_of(times));
  return make_matrix_producer(context_, std::move(result));
}

Result<Matrix> Evaluator::call_label_function(const Call& node, const Grid& grid) {
  GANTRY_TRY(Matrix rows, matrix(*node.arguments[0], grid, node.function->name));
  std::vector<std::string> texts;
  for (std::size_t i = 1; i < node.arguments.size(); ++i) {
    texts.push_back(text_argument(*node.arguments[i]));
  }
  if (node.function->id == FunctionId::LabelReplace) {
    return label_replace(
        context_,
        {.destination = texts[0], .replacement = texts[1], .source = texts[2], .regex = texts[3]},
        std::move(rows));
  }
  return label_join(context_, texts[0], texts[1], std::span(texts).subspan(2), std::move(rows));
}

Result<Matrix> Evaluator::call_sort(const Call& node, const Grid& grid, Position position) {
  GANTRY_TRY(Matrix rows, matrix(*node.arguments[0], grid, node.function->name));
  const FunctionId id = node.function->id;
  const bool is_by_value = id == FunctionId::Sort || id == FunctionId::SortDesc;
  if (!context_.is_one_time(grid)) {
    context_.annotations.warn(
        "sort is ineffective for range queries since results are always ordered by labels",
        position);
    if (is_by_value) {
      clear_histograms(rows.rows.view());
      remove_empty_rows(rows);
    }
    return rows;
  }
  const SortOrder order = id == FunctionId::Sort || id == FunctionId::SortByLabel
                              ? SortOrder::Ascending
                              : SortOrder::Descending;
  if (is_by_value) {
    return sort_by_value(context_, order, rows);
  }
  std::vector<std::string> names;
  for (std::size_t i = 1; i < node.arguments.size(); ++i) {
    names.push_back(text_argument(*node.arguments[i]));
  }
  return sort_by_label(context_, order, names, rows);
}

Result<Matrix> Evaluator::call_absent(const Call& node, const Grid& grid) {
  const Expr& argument = strip_parens(*node.arguments[0]);
  std::vector<std::uint64_t> occupied(kernels::bitmap_words(grid.count));
  LabelSetId labels = kEmptyLabels;
  if (node.function->id == FunctionId::AbsentOverTime) {
    GANTRY_TRY(const RangeVector input, range_vector(argument, grid, node.function->name));
    GANTRY_TRY(occupied, steps_with_samples(context_, input.windows, grid.count, *input.input));
    if (const auto* selector = std::get_if<MatrixSelector>(&argument.node)) {
      labels = absent_labels(context_.labels, selector->selector);
    }
  } else {
    GANTRY_TRY(const Matrix rows, matrix(argument, grid, node.function->name));
    std::vector<std::uint64_t> of_row(occupied.size());
    for (std::size_t row = 0; row < rows.count(); ++row) {
      occupied_bits(rows.rows, row, of_row);
      for (std::size_t w = 0; w < occupied.size(); ++w) occupied[w] |= of_row[w];
    }
    if (const auto* selector = std::get_if<VectorSelector>(&argument.node)) {
      labels = absent_labels(context_.labels, *selector);
    }
  }
  GANTRY_TRY(Matrix result, vector_of(std::vector<double>(grid.count, 1.0)));
  result.labels[0] = labels;
  for (std::size_t w = 0; w < occupied.size(); ++w) result.rows.bits(0)[w] &= ~occupied[w];
  remove_empty_rows(result);
  return result;
}

Result<Matrix> Evaluator::call_info(const Call& node, const Grid& grid) {
  GANTRY_TRY(Matrix rows, matrix(*node.arguments[0], grid, node.function->name));
  return join_info_series(context_, node, grid, std::move(rows));
}

Result<Matrix> Evaluator::call_histogram(const Call& node, const Grid& grid) {
  const std::string_view name = node.function->name;
  switch (node.function->id) {
    case FunctionId::HistogramQuantile: {
      QuantileArgument argument{.phi = {}, .position = argument_position(*node.arguments[0])};
      GANTRY_TRY(argument.phi, scalar(*node.arguments[0], grid));
      GANTRY_TRY(const Matrix buckets, matrix(*node.arguments[1], grid, name));
      const HistogramCall call{.grid = grid,
                               .vector_position = argument_position(*node.arguments[1])};
      return histogram_quantile(context_, call, argument, buckets);
    }
    case FunctionId::HistogramQuantiles: {
      GANTRY_TRY(const Matrix buckets, matrix(*node.arguments[0], grid, name));
      std::vector<QuantileArgument> arguments;
      for (std::size_t i = 2; i < node.arguments.size(); ++i) {
        GANTRY_TRY(std::vector<double> phi, scalar(*node.arguments[i], grid));
        arguments.push_back(
            {.phi = std::move(phi), .position = argument_position(*node.arguments[i])});
      }
      const HistogramCall call{.grid = grid,
                               .vector_position = argument_position(*node.arguments[0])};
      return histogram_quantiles(context_, call, text_argument(*node.arguments[1]), arguments,
                                 buckets);
    }
    default: {
      GANTRY_TRY(const std::vector<double> lower, scalar(*node.arguments[0], grid));
      GANTRY_TRY(const std::vector<double> upper, scalar(*node.arguments[1], grid));
      GANTRY_TRY(const Matrix buckets, matrix(*node.arguments[2], grid, name));
      const HistogramCall call{.grid = grid,
                               .vector_position = argument_position(*node.arguments[2])};
      return histogram_fraction(context_, call, lower, upper, buckets);
    }
  }
}

Result<Matrix> Evaluator::vector_of(const std::vector<double>& values) {
  GANTRY_TRY(Matrix result, make_matrix(context_.budget, 1, values.size()));
  std::ranges::copy(values, result.rows.row(0).begin());
  const std::span<std::uint64_t> bits = result.rows.bits(0);
  for (std::size_t w = 0; w < bits.size(); ++w) bits[w] = full_word(w, values.size());
  GANTRY_CHECK(result.reservation.grow(values.size(), 0));
  return result;
}

Result<std::vector<double>> Evaluator::scalar_call(const Call& node, const Grid& grid) {
  std::vector<double> values(grid.count);
  switch (node.function->id) {
    case FunctionId::Time:
      for (std::size_t i = 0; i < grid.count; ++i) values[i] = seconds(grid.time_ms(i));
      return values;
    case FunctionId::Pi:
      std::ranges::fill(values, std::numbers::pi);
      return values;
    case FunctionId::Start:
      std::ranges::fill(values, seconds(context_.query_start_ms));
      return values;
    case FunctionId::End:
      std::ranges::fill(values, seconds(context_.query_end_ms));
      return values;
    case FunctionId::Step:
      std::ranges::fill(values, seconds(context_.query_step_ms));
      return values;
    case FunctionId::Range:
      std::ranges::fill(values, seconds(context_.query_end_ms - context_.query_start_ms));
      return values;
    case FunctionId::MaxOf:
    case FunctionId::MinOf: {
      GANTRY_TRY(values, scalar(*node.arguments[0], grid));
      GANTRY_TRY(const std::vector<double> other, scalar(*node.arguments[1], grid));
      const auto function =
          node.function->id == FunctionId::MaxOf ? &kernels::max_of : &kernels::min_of;
      std::ranges::transform(values, other, values.begin(), function);
      return values;
    }
    case FunctionId::Scalar:
      return scalar_of_vector(*node.arguments[0], grid);
    default:
      return not_supported(std::string(node.function->name) + "()");
  }
}

Result<std::vector<double>> Evaluator::scalar_of_vector(const Expr& argument, const Grid& grid) {
  GANTRY_TRY(const Matrix rows, matrix(argument, grid, "scalar"));
  std::vector<double> values(grid.count, std::nan(""));
  std::vector<std::uint32_t> counts(grid.count);
  for (std::size_t row = 0; row < rows.count(); ++row) {
    for_each_bit(rows.rows.bits(row), [&](std::size_t step) {
      values[step] = ++counts[step] == 1 ? rows.rows.row(row)[step] : std::nan("");
    });
  }
  return values;
}

}  // namespace gantry::promql::eval
