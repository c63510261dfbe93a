#pragma once

// Arithmetic in ranges, sub-query steps and offsets: `foo[2 * step()] offset (5m - 8)`.

#include <cstdint>

#include "core/error.h"
#include "promql/ast.h"

namespace gantry::promql {

/// What `step()` and `range()` stand for.
struct QueryTimes {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;  ///< 0 for an instant query.
};

/// Evaluates each DurationExpr of the tree into the range_ms, step_ms or offset_ms beside it.
/// Errors: InvalidArgument with Prometheus's texts, which carry byte offsets ("5:10: duration must
/// be greater than 0"). Call it once per query, before evaluation.
Result<void> resolve_durations(Expr& expr, const QueryTimes& times);

/// The same in milliseconds, for callers that have the three at hand.
Result<void> resolve_durations(Expr& expr, std::int64_t start_ms, std::int64_t end_ms,
                               std::int64_t step_ms);

/// A literal of `seconds`: rounded to nanoseconds, then cut to milliseconds, as Prometheus does.
[[nodiscard]] std::int64_t literal_duration_ms(double seconds);

/// int64 nanoseconds are the limit of durations, about 292 years.
inline constexpr double kDurationSecondsMax = 9223372036.854775807;

}  // namespace gantry::promql
