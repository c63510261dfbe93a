#pragma once

// Binary operators between vectors and scalars, and between vectors.

#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/row_producer.h"

namespace gantry::promql::eval {

enum class ScalarSide : std::uint8_t { Left, Right };

/// `vector op scalar`, or `scalar op vector`; `scalar` has one value per step.
Result<RowProducerPtr> combine_with_scalar(QueryContext& context, const Binary& binary,
                                           Position position, RowProducerPtr vector,
                                           std::vector<double> scalar, ScalarSide side);

/// Arithmetic, comparisons and trims between vectors, with matching.
Result<Matrix> match_vectors(QueryContext& context, const Binary& binary, Position position,
                             const Matrix& left, const Matrix& right);

/// and, or, unless.
Result<Matrix> combine_sets(QueryContext& context, const Binary& binary, Matrix left, Matrix right);

/// on (…) or ignoring (…), which also ignores the name.
[[nodiscard]] Projection make_matching_projection(LabelTable& labels,
                                                  const VectorMatching& matching);

}  // namespace gantry::promql::eval
