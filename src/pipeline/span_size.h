#pragma once

#include <cstdint>

#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// Bytes of the span as an OTLP Span message (opentelemetry/proto/trace/v1), without encoding it.
[[nodiscard]] std::uint64_t span_size_bytes(const telemetry::SpanBatch& batch,
                                            const telemetry::BatchSpan& span);

}  // namespace gantry::pipeline
