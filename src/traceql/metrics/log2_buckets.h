#pragma once

// Histograms of powers of two, and quantiles of them, as Tempo estimates them (grafana/tempo,
// pkg/traceql/engine_metrics.go: Log2Bucketize, Log2Quantile).

#include <cstdint>
#include <optional>
#include <span>

namespace gantry::traceql::metrics {

/// A bucket holds the values in (2^(exponent - 1), 2^exponent].
struct Log2Bucket {
  std::uint8_t exponent = 0;
  std::uint64_t count = 0;
};

inline constexpr std::uint32_t kLog2ExponentMax = 63;

/// The exponent of the bucket of `value`, 1 to 63; nothing below 2. Values from 2^63 up are in the
/// last bucket.
[[nodiscard]] std::optional<std::uint8_t> log2_exponent(double value);

/// The bucket's upper bound.
[[nodiscard]] double log2_bound(std::uint8_t exponent);

/// The estimate of quantile `p` (0 to 1), exponential within a bucket. `buckets`: ascending, counts
/// not 0. Without buckets: 0.
[[nodiscard]] double log2_quantile(double p, std::span<const Log2Bucket> buckets);

}  // namespace gantry::traceql::metrics
