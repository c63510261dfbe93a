#pragma once

// The time axis of a metrics query: right-closed intervals of one length (grafana/tempo,
// pkg/traceql/engine_metrics.go). An instant query is one such interval, not aligned.

#include <cstdint>
#include <optional>

#include "core/error.h"
#include "traceql/engine.h"

namespace gantry::traceql::metrics {

/// Interval i is (start + i * step, start + (i + 1) * step]. Immutable once planned.
struct Intervals {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t step_ns = 1;
  std::uint32_t count = 0;

  /// The interval of a span that starts then, or nothing.
  [[nodiscard]] std::optional<std::uint32_t> find(std::int64_t span_start_ns) const {
    if (span_start_ns > end_ns || span_start_ns <= start_ns) return std::nullopt;
    const auto since = static_cast<std::uint64_t>(span_start_ns) -
                       static_cast<std::uint64_t>(start_ns) - std::uint64_t{1};
    return static_cast<std::uint32_t>(since / static_cast<std::uint64_t>(step_ns));
  }

  /// The right edge: what the sample of interval `index` is stamped with.
  [[nodiscard]] std::int64_t timestamp_ms(std::uint32_t index) const {
    if (index + 1 == count) return end_ns / 1'000'000;
    return (start_ns + ((static_cast<std::int64_t>(index) + 1) * step_ns)) / 1'000'000;
  }

  [[nodiscard]] double step_seconds() const { return static_cast<double>(step_ns) / 1e9; }
};

/// Aligns a range query, takes an instant query as it is. Errors: InvalidArgument (the end is not
/// after the start; more intervals than can be numbered).
Result<Intervals> plan_intervals(const MetricsRequest& request);

}  // namespace gantry::traceql::metrics
