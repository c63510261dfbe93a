#pragma once

#include <span>

namespace gantry::promql::kernels {

/// The φ-quantile by linear interpolation between neighbours, NaN counting as the smallest value.
/// φ < 0: -Inf, φ > 1: +Inf, φ NaN or no values: NaN. Reorders `values`. O(n).
[[nodiscard]] double quantile(double phi, std::span<double> values);

}  // namespace gantry::promql::kernels
