#pragma once

#include <span>

#include "traceql/ast.h"
#include "traceql/metrics/series_table.h"

namespace gantry::traceql::metrics {

/// Applies `| topk(n)`, `| bottomk(n)` and comparison filters, in order. `table` is sorted and
/// stays so; series that are left without samples go. Of equal samples topk keeps the first
/// series', bottomk the last's, as Tempo does.
void apply_second_stages(SeriesTable& table, std::span<const SecondStage> stages);

}  // namespace gantry::traceql::metrics
