#include "codec/otlp_traces_json_encoder.h"

#include "codec/span_json_internal.h"
#include "core/json_writer.h"

namespace gantry::codec {

void append_otlp_traces_json(const telemetry::SpanBatch& batch, std::string& out) {
  core::JsonWriter json(out);
  json.begin_object();
  append_resource_spans_json(json.key("resourceSpans"), batch, SpanJson::Otlp);
  json.end_object();
}

}  // namespace gantry::codec
