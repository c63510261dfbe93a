#pragma once

// label_replace, label_join, the sorts, and the labels of absent: functions of labels, computed
// once per row.

#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/matrix.h"

namespace gantry::promql::eval {

struct LabelReplacement {
  std::string destination;
  std::string replacement;
  std::string source;
  std::string regex;
};

/// Errors: FailedPrecondition for a bad expression, a bad label name, or two rows that become
/// equal.
Result<Matrix> label_replace(QueryContext& context, const LabelReplacement& arguments,
                             Matrix matrix);

Result<Matrix> label_join(QueryContext& context, const std::string& destination,
                          const std::string& separator, std::span<const std::string> sources,
                          Matrix matrix);

enum class SortOrder : std::uint8_t { Ascending, Descending };

/// One step, floats only, NaN last.
Result<Matrix> sort_by_value(QueryContext& context, SortOrder order, const Matrix& matrix);

/// One step, by the listed labels in natural order, then by all labels.
Result<Matrix> sort_by_label(QueryContext& context, SortOrder order,
                             std::span<const std::string> names, const Matrix& matrix);

/// What absent() knows of the labels of a series that `selector` would have matched.
[[nodiscard]] LabelSetId absent_labels(LabelTable& labels, const VectorSelector& selector);

}  // namespace gantry::promql::eval
