#pragma once

// Arithmetic between the results of metrics pipelines (grafana/tempo, pkg/traceql,
// ast_metrics_math.go).

#include <variant>

#include "traceql/ast.h"
#include "traceql/metrics/series_table.h"

namespace gantry::traceql::metrics {

using Operand = std::variant<SeriesTable, double>;

/// `left op right`, where op is Add, Subtract, Multiply or Divide. Series meet by equal labels,
/// whatever their order and their `__name__`; a side that is one series without labels meets every
/// series of the other; what meets nothing is dropped. A division by 0 and a missing sample give no
/// sample. Exemplars are those of the side whose labels stay, else the left's, moved onto the
/// computed line. Sorted, without empty series.
[[nodiscard]] Operand combine(FieldOp op, Operand left, Operand right);

}  // namespace gantry::traceql::metrics
