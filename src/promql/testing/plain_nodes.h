#pragma once

// The nodes of a query in the plain evaluator.

#include <string_view>
#include <vector>

#include "promql/ast.h"
#include "promql/testing/plain_range.h"
#include "promql/testing/plain_value.h"

namespace gantry::promql::promqltest {

/// The answer is the same at every step.
[[nodiscard]] bool is_step_invariant(const Expr& expr);

/// Each node is asked for all its steps at once, so that errors and notes come node by node.
class PlainEvaluator {
 public:
  explicit PlainEvaluator(PlainContext& context) : context_(context) {}

  Result<PlainSteps> vectors(const Expr& expr, const PlainGrid& grid);
  Result<std::vector<double>> scalars(const Expr& expr, const PlainGrid& grid);

  /// A range vector at one step.
  Result<std::vector<PlainSeries>> matrix(const Expr& expr, std::int64_t step_ms);

 private:
  /// A range selector or sub-query: its series, and how its windows lie.
  struct Range {
    std::vector<PlainSeries> series;
    const TimeModifiers* time = nullptr;
    std::int64_t range_ms = 0;
    Position position;
  };

  Result<PlainSteps> fresh_vectors(const Expr& expr, const PlainGrid& grid);
  Result<std::vector<double>> fresh_scalars(const Expr& expr, const PlainGrid& grid);
  Result<std::vector<double>> scalar_call(const Call& call, const PlainGrid& grid);
  Result<std::vector<PlainSeries>> read(const VectorSelector& selector);
  Result<PlainSteps> select(const VectorSelector& selector, const PlainGrid& grid);
  Result<PlainSteps> negate(const Unary& unary, const PlainGrid& grid);
  Result<PlainSteps> binary(const Expr& expr, const PlainGrid& grid);
  Result<PlainSteps> aggregate(const Expr& expr, const PlainGrid& grid);
  Result<PlainSteps> call(const Expr& expr, const PlainGrid& grid);
  Result<PlainSteps> timestamps(const Call& call, const PlainGrid& grid);
  Result<PlainSteps> range_call(const Expr& expr, const PlainGrid& grid);
  Result<Range> range(const Expr& expr, const PlainGrid& grid);
  Result<Range> subquery(const Subquery& subquery, const PlainGrid& grid);
  PlainSteps absent_over(const Expr& argument, const PlainSteps& steps);

  /// Makes series of the elements: of equal labels there is one at each step, and the first decides
  /// whether the name is dropped.
  Result<void> check(PlainSteps& steps, const PlainGrid& grid);

  /// One step that does not stand for a range.
  [[nodiscard]] bool is_instant(const PlainGrid& grid) const {
    return grid.step_ms == 0 ||
           (grid.count == 1 && context_.query_start_ms == context_.query_end_ms);
  }

  [[nodiscard]] std::int64_t reference_ms(const TimeModifiers& time, std::int64_t step_ms) const;

  PlainContext& context_;
};

}  // namespace gantry::promql::promqltest
