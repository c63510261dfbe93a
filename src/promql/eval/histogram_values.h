#pragma once

// The operations on native histograms that need no reconciliation of buckets.

#include "promql/eval/matrix.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::eval {

/// Equal schema, bounds, layout and, bit by bit, counts and sum. The counter reset hint does not
/// count.
[[nodiscard]] bool equal_histograms(const telemetry::FloatHistogram& a,
                                    const telemetry::FloatHistogram& b);

/// Every count and the sum times `factor`; a negative factor makes a gauge.
[[nodiscard]] HistogramPtr multiply_histogram(const telemetry::FloatHistogram& histogram,
                                              double factor);

/// Every count and the sum by `divisor`. By zero, the buckets go and count, sum and zero count
/// become infinite or NaN.
[[nodiscard]] HistogramPtr divide_histogram(const telemetry::FloatHistogram& histogram,
                                            double divisor);

}  // namespace gantry::promql::eval
