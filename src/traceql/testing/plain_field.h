#pragma once

// Field expressions over plain spans, one value after the other.

#include <optional>

#include "traceql/ast.h"
#include "traceql/testing/plain_spans.h"

namespace gantry::traceql::testing {

/// { field } holds for the span: with some one event and some one link.
[[nodiscard]] bool holds(const FieldExpr& field, const PlainTrace& trace, const PlainSpan& span);

/// The expression's value; each attribute of events and links is the first that there is. Nil where
/// it has none or cannot be computed.
[[nodiscard]] Static value_of(const FieldExpr& field, const PlainTrace& trace,
                              const PlainSpan& span);
[[nodiscard]] Static value_of(const Attribute& attribute, const PlainTrace& trace,
                              const PlainSpan& span);

/// left cmp right by TraceQL's rules; false when they cannot be compared.
[[nodiscard]] bool compare_values(FieldOp op, const Static& left, const Static& right);

/// Int, Float, Duration: as a double; nothing for other types.
[[nodiscard]] std::optional<double> number_of(const Static& value);

}  // namespace gantry::traceql::testing
