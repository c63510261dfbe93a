#pragma once

// Spans in which random queries find something: few keys, few values, of several types under one
// key; arrays, events, links, scopes; several roots, spans without a way to a root, cycles,
// repeated ids.

#include <cstddef>
#include <cstdint>

#include "telemetry/span_batch.h"

namespace gantry::traceql::testing {

struct RandomTracesOptions {
  std::size_t traces = 4;
  std::size_t spans_max = 10;                         ///< Of a trace.
  std::int64_t start_ns = 1'700'000'040'000'000'000;  ///< A whole minute.
  std::int64_t range_ns = 300'000'000'000;            ///< Spans start in [start, start + range].
  std::uint64_t first_trace = 1;                      ///< Traces are numbered from there.
};

/// The same for the same seed. Spans of different traces arrive in turn. The batch owns its texts.
[[nodiscard]] telemetry::SpanBatch random_traces(std::uint64_t seed,
                                                 const RandomTracesOptions& options = {});

}  // namespace gantry::traceql::testing
