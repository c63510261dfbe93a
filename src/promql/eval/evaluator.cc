#include "promql/eval/evaluator.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "promql/eval/aggregate.h"
#include "promql/eval/binary.h"
#include "promql/eval/binary_values.h"
#include "promql/eval/extended_range.h"
#include "promql/eval/instant_selector.h"
#include "promql/eval/smoothed_selector.h"
#include "promql/function_table.h"
#include "promql/histogram/arithmetic.h"

namespace gantry::promql::eval {
namespace {

/// The largest multiple of `step` that is not above `value`.
std::int64_t floor_to(std::int64_t value, std::int64_t step) {
  std::int64_t quotient = value / step;
  if (value % step < 0) --quotient;
  return quotient * step;
}

/// Steps that see the same sample share a result.
Result<void> negate_histograms(HistogramRow& row, BatchScratch& scratch) {
  const std::uint64_t bytes_before = histogram_bytes(row);
  HistogramPtr last;
  HistogramPtr last_result;
  for (HistogramPtr& cell : row) {
    if (cell == nullptr) continue;
    if (cell != last) {
      telemetry::FloatHistogram negated = *cell;
      histogram::multiply(negated, -1);
      last_result = std::make_shared<const telemetry::FloatHistogram>(std::move(negated));
      last = cell;
    }
    cell = last_result;
  }
  return hold_histograms(row, scratch, bytes_before);
}

RowsMap make_negation() {
  return [](const RowsView& rows, BatchScratch& scratch) -> Result<void> {
    for (std::size_t row = 0; row < rows.count; ++row) {
      for (double& value : rows.row(row)) value = -value;
      GANTRY_CHECK(negate_histograms(rows.histograms[row], scratch));
    }
    return {};
  };
}

}  // namespace

std::unexpected<Error> not_supported(std::string_view what) {
  return fail(Code::FailedPrecondition, std::string(what) + " is not supported");
}

bool Evaluator::repeats(const Expr& expr, const Grid& grid) const {
  if (grid.count == 1) return false;
  const auto found = context_.is_invariant.find(&expr);
  return found != context_.is_invariant.end() && found->second;
}

Result<RowProducerPtr> Evaluator::vector(const Expr& expr, const Grid& grid,
                                         std::string_view within) {
  if (!repeats(expr, grid)) {
    GANTRY_TRY(RowProducerPtr rows, vector_node(expr, grid, within));
    if (!rows->may_collide()) return rows;
    // Equal labels are an error here, even where what follows would drop one of the values.
    GANTRY_TRY(Matrix merged, materialise(context_, *rows, grid.count));
    return make_matrix_producer(context_, std::move(merged));
  }
  GANTRY_TRY(Matrix once, matrix(expr, grid.first(), within));
  GANTRY_TRY(Matrix wide, broadcast(context_.budget, std::move(once), grid.count));
  return make_matrix_producer(context_, std::move(wide));
}

Result<Matrix> Evaluator::matrix(const Expr& expr, const Grid& grid, std::string_view within) {
  GANTRY_TRY(const RowProducerPtr producer, vector(expr, grid, within));
  return materialise(context_, *producer, grid.count);
}

Result<RowProducerPtr> Evaluator::vector_node(const Expr& expr, const Grid& grid,
                                              std::string_view within) {
  if (const auto* paren = std::get_if<Paren>(&expr.node)) return vector(*paren->expr, grid, within);
  if (const auto* selector = std::get_if<VectorSelector>(&expr.node)) {
    if (selector->mode == RangeMode::Smoothed) {
      return make_smoothed_selector(context_, *selector, grid, expr.position, within);
    }
    return make_instant_selector(context_, *selector, grid, InstantValue::Sample, within);
  }
  if (const auto* node = std::get_if<Unary>(&expr.node)) return unary(*node, grid, within);
  if (const auto* node = std::get_if<Binary>(&expr.node)) return binary(*node, grid, expr.position);
  if (const auto* node = std::get_if<Aggregate>(&expr.node)) {
    return aggregate(*node, grid, expr.position);
  }
  if (const auto* node = std::get_if<Call>(&expr.node)) return call(*node, grid, expr.position);
  return fail(Code::Internal, "unexpected error: not an instant vector");
}

Result<RowProducerPtr> Evaluator::unary(const Unary& node, const Grid& grid,
                                        std::string_view within) {
  GANTRY_TRY(RowProducerPtr inner, vector(*node.expr, grid, within));
  if (node.op == UnaryOp::Plus) return inner;
  return make_mapped(context_, std::move(inner), make_negation(), NameRule::Drop);
}

Result<RowProducerPtr> Evaluator::binary(const Binary& node, const Grid& grid, Position position) {
  const bool is_left_scalar = node.left->type() == ValueType::Scalar;
  const bool is_right_scalar = node.right->type() == ValueType::Scalar;
  if (is_left_scalar || is_right_scalar) {
    const Expr& scalar_side = is_left_scalar ? *node.left : *node.right;
    const Expr& vector_side = is_left_scalar ? *node.right : *node.left;
    GANTRY_TRY(std::vector<double> values, scalar(scalar_side, grid));
    GANTRY_TRY(RowProducerPtr rows, vector(vector_side, grid));
    return combine_with_scalar(context_, node, position, std::move(rows), std::move(values),
                               is_left_scalar ? ScalarSide::Left : ScalarSide::Right);
  }
  GANTRY_TRY(Matrix left, matrix(*node.left, grid));
  GANTRY_TRY(Matrix right, matrix(*node.right, grid));
  if (is_set_operator(node.op)) {
    GANTRY_TRY(Matrix result, combine_sets(context_, node, std::move(left), std::move(right)));
    return make_matrix_producer(context_, std::move(result));
  }
  GANTRY_TRY(Matrix result, match_vectors(context_, node, position, left, right));
  return make_matrix_producer(context_, std::move(result));
}

Result<RowProducerPtr> Evaluator::aggregate(const Aggregate& node, const Grid& grid,
                                            Position position) {
  const std::string_view name = aggregate_op_text(node.op);
  if (is_folding(node.op)) {
    GANTRY_TRY(const RowProducerPtr rows, vector(*node.expr, grid, name));
    GANTRY_TRY(Matrix result,
               fold_groups(context_, node, *rows, grid.count, strip_parens(*node.expr).position));
    return make_matrix_producer(context_, std::move(result));
  }
  RankRequest request{.aggregate = node,
                      .position = position,
                      .expr_position = strip_parens(*node.expr).position,
                      .parameter_position = strip_parens(*node.parameter).position,
                      .parameter = {},
                      .label = {}};
  const Expr& parameter = strip_parens(*node.parameter);
  if (const auto* text = std::get_if<StringLiteral>(&parameter.node)) {
    request.label = text->value;
  } else {
    GANTRY_TRY(request.parameter, scalar(parameter, grid));
  }
  GANTRY_TRY(Matrix rows, matrix(*node.expr, grid, name));
  if (node.op != AggregateOp::CountValues && node.op != AggregateOp::Quantile) {
    GANTRY_TRY(const bool is_nothing, check_parameter(node.op, request.parameter));
    if (is_nothing) {
      GANTRY_TRY(Matrix none, make_matrix(context_.budget, 0, grid.count));
      return make_matrix_producer(context_, std::move(none));
    }
  }
  Result<Matrix> result;
  if (node.op == AggregateOp::CountValues) {
    result = count_values(context_, request, rows);
  } else if (node.op == AggregateOp::Quantile) {
    result = group_quantiles(context_, request, rows);
  } else {
    result = select_cells(context_, request, std::move(rows));
  }
  if (!result) return std::unexpected(std::move(result).error());
  return make_matrix_producer(context_, *std::move(result));
}

Result<std::vector<double>> Evaluator::scalar(const Expr& expr, const Grid& grid) {
  // Scalars are held by whatever uses them: they count until the query ends.
  GANTRY_CHECK(scalars_.grow(0, grid.count * sizeof(double)));
  if (!repeats(expr, grid)) return scalar_node(expr, grid);
  GANTRY_TRY(const std::vector<double> once, scalar_node(expr, grid.first()));
  return std::vector<double>(grid.count, once[0]);
}

Result<std::vector<double>> Evaluator::scalar_node(const Expr& expr, const Grid& grid) {
  if (const auto* number = std::get_if<NumberLiteral>(&expr.node)) {
    return std::vector<double>(grid.count, number->value);
  }
  if (const auto* paren = std::get_if<Paren>(&expr.node)) return scalar(*paren->expr, grid);
  if (const auto* node = std::get_if<Unary>(&expr.node)) {
    GANTRY_TRY(std::vector<double> values, scalar(*node->expr, grid));
    if (node->op == UnaryOp::Minus) {
      for (double& value : values) value = -value;
    }
    return values;
  }
  if (const auto* node = std::get_if<Binary>(&expr.node)) {
    GANTRY_TRY(std::vector<double> left, scalar(*node->left, grid));
    GANTRY_TRY(const std::vector<double> right, scalar(*node->right, grid));
    for (std::size_t i = 0; i < left.size(); ++i) {
      left[i] = apply_operator(node->op, left[i], right[i]);
    }
    return left;
  }
  if (const auto* node = std::get_if<Call>(&expr.node)) return scalar_call(*node, grid);
  return fail(Code::Internal, "unexpected error: not a scalar");
}

Result<RangeVector> Evaluator::range_vector(const Expr& expr, const Grid& grid,
                                            std::string_view within) {
  const Expr& inner = strip_parens(expr);
  if (const auto* node = std::get_if<Subquery>(&inner.node)) return subquery(*node, grid);
  const auto* node = std::get_if<MatrixSelector>(&inner.node);
  if (node == nullptr) return fail(Code::Internal, "unexpected error: not a range vector");
  if (node->selector.mode != RangeMode::Plain) {
    return refuse_mode(node->selector.mode, within);
  }
  const kernels::WindowGrid windows =
      window_grid(context_, grid, node->selector.time, node->range_ms);
  GANTRY_TRY(SeriesInputPtr input,
             select_series(context_, node->selector, windows, grid.count, within, node->range_ms));
  return RangeVector{.input = std::move(input), .windows = windows};
}

Result<RangeVector> Evaluator::subquery(const Subquery& node, const Grid& grid) {
  const kernels::WindowGrid windows = window_grid(context_, grid, node.time, node.range_ms);
  const std::int64_t step_ms =
      node.step_ms == 0 ? context_.options.default_subquery_step_ms : node.step_ms;
  // Points lie on multiples of the step since the epoch, above the open left end.
  const std::int64_t first_ms = floor_to(windows.start_ms(0), step_ms) + step_ms;
  const std::int64_t last_ms = windows.end_ms(grid.count - 1);
  if (first_ms > last_ms) {
    GANTRY_TRY(Matrix none, make_matrix(context_.budget, 0, 1));
    return RangeVector{.input = make_matrix_input(context_, std::move(none), {}),
                       .windows = windows};
  }
  const auto count =
      (static_cast<std::uint64_t>(last_ms - first_ms) / static_cast<std::uint64_t>(step_ms)) + 1;
  const Grid inner{.start_ms = first_ms, .step_ms = step_ms, .count = count};
  // A row of that many steps must fit before any part of the inner expression makes one.
  Reservation reservation(context_.budget);
  GANTRY_CHECK(reservation.grow(count, count * sizeof(double)));
  reservation = Reservation(context_.budget);
  GANTRY_TRY(Matrix rows, matrix(*node.expr, inner));
  return RangeVector{.input = make_matrix_input(context_, std::move(rows), inner),
                     .windows = windows};
}

}  // namespace gantry::promql::eval
