#pragma once

// One trace as Tempo's API answers it. In JSON ids are base64, enums are names and 64-bit integers
// are strings: protobuf's mapping, not OTLP's. Members with default values are left out.

#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/span_batch.h"

namespace gantry::codec {

/// GET /api/traces/{id}: {"batches":[…]}.
[[nodiscard]] std::string encode_tempo_trace_json(const telemetry::SpanBatch& batch);

/// The same as protobuf: message Trace.
[[nodiscard]] std::string encode_tempo_trace(const telemetry::SpanBatch& batch);

/// What GET /api/v2/traces/{id} says beside the trace.
struct TempoTraceNotes {
  std::uint64_t inspected_bytes = 0;
  std::string partial_message;  ///< Not empty: the trace is not whole, and why.
};

/// {"trace":{"resourceSpans":[…]},"metrics":{…},"status":"PARTIAL","message":"…"}; the trace is
/// there even when it has no spans.
[[nodiscard]] std::string encode_tempo_trace_by_id_json(const telemetry::SpanBatch& batch,
                                                        const TempoTraceNotes& notes);

/// The same as protobuf: message TraceByIDResponse.
[[nodiscard]] std::string encode_tempo_trace_by_id(const telemetry::SpanBatch& batch,
                                                   const TempoTraceNotes& notes);

/// About how many bytes the spans have as protobuf. O(attributes).
[[nodiscard]] std::uint64_t estimate_trace_bytes(const telemetry::SpanBatch& batch);

/// Takes spans from the end until the estimate is within `bytes_max`; says whether it took any.
bool cut_trace(telemetry::SpanBatch& batch, std::uint64_t bytes_max);

}  // namespace gantry::codec
