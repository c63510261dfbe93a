#pragma once

// The functions of instant vectors in the plain evaluator, one step at a time.

#include <vector>

#include "promql/ast.h"
#include "promql/function_table.h"
#include "promql/testing/plain_value.h"

namespace gantry::promql::promqltest {

/// The arguments of a call at one step: vectors, numbers and texts at their places.
struct PlainArguments {
  const Call& call;
  Position position;  ///< Of the call.
  std::int64_t step_ms = 0;
  bool is_instant = false;  ///< Only then sorting sorts.
  std::vector<PlainVector> vectors;
  std::vector<double> scalars;
  std::vector<std::string> texts;

  /// Of argument `index`, parentheses stripped.
  [[nodiscard]] Position argument_position(std::size_t index) const;
};

/// Any function of vectors, apart from label_replace, label_join, info, timestamp and
/// start_timestamp.
[[nodiscard]] Result<PlainVector> call_step(PlainContext& context, const PlainArguments& arguments);

/// histogram_quantile, histogram_quantiles, histogram_fraction.
[[nodiscard]] PlainVector histogram_call(PlainContext& context, const PlainArguments& arguments);

/// label_replace and label_join.
[[nodiscard]] Result<PlainVector> label_call(const PlainArguments& arguments);

/// Of the equality matchers of a bare selector.
[[nodiscard]] PlainLabels absent_labels(const Expr& argument);

}  // namespace gantry::promql::promqltest
