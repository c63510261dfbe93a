#pragma once

#include <string>

#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// Lower-case hexadecimal without leading zeros, as Tempo writes it into exemplars.
[[nodiscard]] std::string trace_id_text(const telemetry::TraceId& trace_id);

}  // namespace gantry::pipeline
