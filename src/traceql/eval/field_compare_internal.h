#pragma once

// Conditions on one field, evaluated over its columns: rows of the field's own table come out.

#include <cstdint>

#include "traceql/ast.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/eval/row_set.h"
#include "traceql/eval/static_operations.h"

namespace gantry::traceql {

/// `field op literal`, the field on the left.
struct Condition {
  FieldOp op = FieldOp::Equal;  ///< A comparison.
  Static literal;               ///< Not Nil.
  const TextPattern* pattern = nullptr;
};

/// Rows below `rows` whose value meets the condition. Texts are compared once for each entry of a
/// dictionary.
[[nodiscard]] RowSet match(const Field& field, std::uint32_t rows, const Condition& condition);

/// Rows that have a value.
[[nodiscard]] RowSet present(const Field& field, std::uint32_t rows);

/// Rows whose value is this bool.
[[nodiscard]] RowSet match_bool(const Field& field, std::uint32_t rows, bool wanted);

}  // namespace gantry::traceql
