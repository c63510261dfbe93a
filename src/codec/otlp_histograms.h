#pragma once

// OTLP histogram points as native histograms.

#include "codec/otlp_to_prometheus.h"
#include "core/error.h"
#include "telemetry/native_histogram.h"

namespace gantry::codec {

/// Buckets and bounds agree, bounds ascend. A last bound of +Inf is taken out (its bucket joins the
/// one before). Errors: InvalidArgument.
[[nodiscard]] Result<void> normalise_explicit_buckets(OtlpHistogramPoint& point);

/// Custom bounds, schema -53. The point must be normalised. A stale point gives the stale marker.
/// Errors: InvalidArgument when counts do not add up.
[[nodiscard]] Result<telemetry::IntegerHistogram> explicit_to_native(
    const OtlpHistogramPoint& point);

/// Scales above 8 are reduced to 8. Errors: InvalidArgument for scales below -4, bucket indices
/// beyond 32 bits, counts that do not add up.
[[nodiscard]] Result<telemetry::IntegerHistogram> exponential_to_native(
    const OtlpExponentialPoint& point);

}  // namespace gantry::codec
