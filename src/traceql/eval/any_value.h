#pragma once

// Attribute values that stores keep encoded: opentelemetry/proto/common/v1, AnyValue.

#include <string_view>

#include "traceql/static_value.h"

namespace gantry::traceql {

/// The value of an AnyValue message: a scalar, or an array of scalars of one type (an empty array
/// is a StringArray without elements). Nil for everything that TraceQL cannot ask for: nothing, key
/// value lists, bytes, arrays of several types or of arrays, and bytes that are no message.
/// Thread-safe.
[[nodiscard]] Static decode_any_value(std::string_view bytes);

}  // namespace gantry::traceql
