#pragma once

// Writes AnyValue messages, for tests.

#include <span>
#include <string>

#include "traceql/static_value.h"

namespace gantry::traceql::testing {

/// A scalar: Int, Float, String or Bool.
[[nodiscard]] std::string encode_scalar(const Static& value);

/// An ArrayValue of scalars.
[[nodiscard]] std::string encode_array(std::span<const Static> elements);

}  // namespace gantry::traceql::testing
