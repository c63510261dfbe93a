#pragma once

// Walks a checked expression: every node over all steps at once.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/histogram_functions.h"
#include "promql/eval/row_producer.h"
#include "promql/eval/series_input.h"

namespace gantry::promql::eval {

/// One query's evaluation, on the query's own thread; the workers take part inside.
class Evaluator {
 public:
  /// The context's `is_invariant` must know the expressions that are evaluated.
  explicit Evaluator(QueryContext& context) : context_(context), scalars_(context.budget) {}

  /// An instant vector, lazily. `within`: the enclosing function or aggregation.
  Result<RowProducerPtr> vector(const Expr& expr, const Grid& grid, std::string_view within = "");

  /// An instant vector, computed.
  Result<Matrix> matrix(const Expr& expr, const Grid& grid, std::string_view within = "");

  /// One value per step.
  Result<std::vector<double>> scalar(const Expr& expr, const Grid& grid);

  Result<RangeVector> range_vector(const Expr& expr, const Grid& grid, std::string_view within);

 private:
  // evaluator.cc
  Result<RowProducerPtr> vector_node(const Expr& expr, const Grid& grid, std::string_view within);
  Result<RowProducerPtr> unary(const Unary& node, const Grid& grid, std::string_view within);
  Result<RowProducerPtr> binary(const Binary& node, const Grid& grid, Position position);
  Result<RowProducerPtr> aggregate(const Aggregate& node, const Grid& grid, Position position);
  Result<std::vector<double>> scalar_node(const Expr& expr, const Grid& grid);
  Result<RangeVector> subquery(const Subquery& node, const Grid& grid);
  [[nodiscard]] bool repeats(const Expr& expr, const Grid& grid) const;

  // call.cc
  Result<RowProducerPtr> call(const Call& node, const Grid& grid, Position position);
  Result<RowProducerPtr> call_over_range(const Call& node, const Grid& grid);
  Result<RowProducerPtr> call_element(const Call& node, const Grid& grid);
  Result<RowProducerPtr> call_timestamp(const Call& node, const Grid& grid);
  Result<RowProducerPtr> call_calendar(const Call& node, const Grid& grid);
  Result<Matrix> call_label_function(const Call& node, const Grid& grid);
  Result<Matrix> call_sort(const Call& node, const Grid& grid, Position position);
  Result<Matrix> call_absent(const Call& node, const Grid& grid);
  Result<Matrix> call_info(const Call& node, const Grid& grid);
  Result<Matrix> call_histogram(const Call& node, const Grid& grid);
  Result<Matrix> vector_of(const std::vector<double>& values);
  Result<std::vector<double>> scalar_call(const Call& node, const Grid& grid);
  Result<std::vector<double>> scalar_of_vector(const Expr& argument, const Grid& grid);

  QueryContext& context_;
  Reservation scalars_;
};

/// Errors with FailedPrecondition: "<what> is not supported".
[[nodiscard]] std::unexpected<Error> not_supported(std::string_view what);

}  // namespace gantry::promql::eval
