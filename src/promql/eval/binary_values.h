#pragma once

// Binary operators on columns of floats and on single histograms, without any matching.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/annotations.h"
#include "promql/eval/matrix.h"

namespace gantry::promql::eval {

/// One pair of floats. Comparisons give 1 or 0. Not for set operators and trims.
[[nodiscard]] double apply_operator(BinaryOp op, double left, double right);

/// out[i] = left[i] op right[i] for arithmetic. `out` may be one of the inputs.
void apply_arithmetic(BinaryOp op, std::span<const double> left, std::span<const double> right,
                      std::span<double> out);

/// Bit i of `out`: left[i] op right[i]. Bits past the last step are clear.
void apply_comparison(BinaryOp op, std::span<const double> left, std::span<const double> right,
                      std::span<std::uint64_t> out);

/// A float or a histogram; neither when absent.
struct Element {
  double value = 0;
  HistogramPtr histogram;
};

/// A pair with at least one histogram. `keeps_right`: a filter passes the right value on, not the
/// left one (scalar on the left). Nothing when the pair has no result; combinations that the
/// operator is not made for leave an info at `position`.
[[nodiscard]] std::optional<Element> combine_histograms(BinaryOp op, bool returns_bool,
                                                        bool keeps_right, const Element& left,
                                                        const Element& right,
                                                        AnnotationSet& annotations,
                                                        Position position);

/// Whether the operator removes the metric name.
[[nodiscard]] bool drops_metric_name(BinaryOp op, bool returns_bool);

}  // namespace gantry::promql::eval
