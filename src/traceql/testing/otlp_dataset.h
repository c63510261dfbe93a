#pragma once

// Test data: OTLP/JSON trace requests as batches. Reads what the data sets use; anything else fails
// the test that loads it.

#include <optional>
#include <string>
#include <string_view>

#include "telemetry/span_batch.h"

namespace gantry::traceql::testing {

/// The file's text, or nothing when the conformance data is not there. The directory is the
/// environment variable GANTRY_CONFORMANCE_DIR, else the build's default.
[[nodiscard]] std::optional<std::string> read_conformance_file(std::string_view relative_path);

/// The batch owns its texts.
[[nodiscard]] telemetry::SpanBatch parse_otlp_traces(std::string_view json);

/// traceql/datasets/NAME.otlp.json, or nothing when it is not there.
[[nodiscard]] std::optional<telemetry::SpanBatch> load_dataset(std::string_view name);

}  // namespace gantry::traceql::testing
