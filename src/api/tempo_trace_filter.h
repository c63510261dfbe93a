#pragma once

// GET /api/v2/traces/{id}?q=…: the spans of a trace that match one filter, and their surroundings.

#include <cstdint>
#include <string_view>

#include "api/tempo_support.h"
#include "telemetry/span_batch.h"
#include "traceql/ast.h"

namespace gantry::api {

struct TraceFilter {
  traceql::Query query;  ///< One span set filter.
  bool keeps_hierarchy = false;
  std::int64_t match_depth = 0;      ///< So many generations below a match stay; -1: all.
  std::int64_t ancestor_depth = -1;  ///< So many above it, with keeps_hierarchy; -1: all.
};

/// From `q`, `keep_hierarchy`, `match_depth` and `ancestor_depth`; nothing when there is no `q`.
/// Errors: Tempo's texts.
[[nodiscard]] TempoResult<std::optional<TraceFilter>> read_trace_filter(
    const TempoParameters& parameters);

/// Takes the other spans out of the trace; says whether it took any. Errors: InvalidArgument (the
/// filter cannot be computed), Internal.
[[nodiscard]] Result<bool> apply(const TraceFilter& filter, telemetry::SpanBatch& trace);

}  // namespace gantry::api
