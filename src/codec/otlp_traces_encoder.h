#pragma once

// Span batches as OTLP traces in protobuf: ExportTraceServiceRequest, which on the wire is also
// OTLP's TracesData and Tempo's Trace.

#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/span_batch.h"

namespace gantry::codec {

/// What is written for a resource without attributes.
enum class EmptyResource : std::uint8_t {
  Keep,
  Name,  ///< service.name = "unknown_service": Grafana skips resources that have no attribute.
};

/// Spans are grouped by resource and scope, in the order of those in the batch; within a scope in
/// the batch's order. Resources and scopes without spans are left out. Every span has a status and
/// every group a scope message, though it be empty: Grafana needs them.
[[nodiscard]] std::string encode_otlp_traces(const telemetry::SpanBatch& batch,
                                             EmptyResource empty = EmptyResource::Keep);

/// Indexes of the batch's spans by resource, then scope, then index.
[[nodiscard]] std::vector<std::uint32_t> spans_by_scope(const telemetry::SpanBatch& batch);

}  // namespace gantry::codec
