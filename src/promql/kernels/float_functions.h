#pragma once

// Functions of single floats (abs … atanh, rounding, clamping, the calendar) over columns, in
// place.

#include <span>
#include <string_view>

#include "promql/function_table.h"

namespace gantry::promql::kernels {

/// Replaces each value by the function of it.
using ElementKernel = void (*)(std::span<double> values);

/// For Abs, Acos, Acosh, Asin, Asinh, Atan, Atanh, Ceil, Cos, Cosh, Deg, Exp, Floor, Ln, Log10,
/// Log2, Rad, Sgn, Sin, Sinh, Sqrt, Tan, Tanh, and the calendar functions Minute, Hour, DayOfWeek,
/// DayOfMonth, DayOfYear, DaysInMonth, Month, Year (of Unix seconds, cut toward zero, UTC; a value
/// that is no time gives NaN). Null for any other function.
[[nodiscard]] ElementKernel find_element_kernel(FunctionId id);

/// round(v, nearest): floor(v / nearest + 0.5) * nearest by way of the inverse; ties go up.
[[nodiscard]] double round_to(double value, double nearest);

/// clamp(v, min, max): a NaN bound gives NaN. Where max < min the element disappears: the caller's
/// business.
[[nodiscard]] double clamp(double value, double min, double max);
[[nodiscard]] double clamp_min(double value, double min);
[[nodiscard]] double clamp_max(double value, double max);

/// max_of, min_of: NaN if either is NaN.
[[nodiscard]] double max_of(double a, double b);
[[nodiscard]] double min_of(double a, double b);

/// Natural order: runs of digits compare as numbers, the rest bytewise. <0, 0, >0.
[[nodiscard]] int compare_natural(std::string_view a, std::string_view b);

}  // namespace gantry::promql::kernels
