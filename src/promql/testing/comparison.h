#pragma once

// When a result counts as equal to what a script expects.

#include "telemetry/native_histogram.h"

namespace gantry::promql::promqltest {

/// Equal up to a relative difference of 1e-6; NaN equals NaN, but a stale marker only a stale
/// marker.
[[nodiscard]] bool is_almost_equal(double a, double b);

/// Whether counter-reset hints must be equal too.
enum class HintRule { Ignore, Compare };

/// Schema, custom bounds, zero threshold and the places of non-empty buckets exactly, counts and
/// sums as above.
[[nodiscard]] bool is_almost_equal(const telemetry::FloatHistogram& expected,
                                   const telemetry::FloatHistogram& actual, HintRule hint_rule);

}  // namespace gantry::promql::promqltest
