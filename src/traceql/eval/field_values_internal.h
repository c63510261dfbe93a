#pragma once

// A field's values for many spans at once.

#include <cstdint>

#include "core/error.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/eval/group_evaluator.h"
#include "traceql/eval/row_set.h"

namespace gantry::traceql {

/// As GroupEvaluator::distinct_values.
Result<DistinctValues> find_distinct_values(FieldTable& table, const Fields& fields,
                                            const RowSet& rows);

/// As GroupEvaluator::numbers.
Result<NumberValues> find_numbers(FieldTable& table, const Fields& fields, const RowSet& rows);

}  // namespace gantry::traceql
