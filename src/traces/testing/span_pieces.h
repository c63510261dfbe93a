#pragma once

// A batch cut up, to be appended bit by bit.

#include <cstddef>

#include "telemetry/span_batch.h"

namespace gantry::traces {

/// The spans from `begin` on, `count` of them. Owns its texts.
telemetry::SpanBatch copy_spans(const telemetry::SpanBatch& batch, std::size_t begin,
                                std::size_t count);

/// Without the spans that a store takes for repetitions of earlier ones (see Store::append). Owns
/// its texts.
telemetry::SpanBatch without_repeated(const telemetry::SpanBatch& batch);

}  // namespace gantry::traces
