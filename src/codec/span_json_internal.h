#pragma once

// The spans of a batch as JSON, in the two ways that are spoken: OTLP/JSON and Tempo's answers.

#include <cstdint>

#include "core/json_writer.h"
#include "telemetry/span_batch.h"

namespace gantry::codec {

enum class SpanJson : std::uint8_t {
  Otlp,   ///< Hexadecimal ids, enums as integers; what is empty is left out.
  Tempo,  ///< Base64 ids, enums by name. Every resource has an attribute and every span a status,
          ///< since Grafana needs them.
};

/// Appends the array of ResourceSpans: by resource and scope, in the order of those in the batch.
void append_resource_spans_json(core::JsonWriter& json, const telemetry::SpanBatch& batch,
                                SpanJson form);

}  // namespace gantry::codec
