#pragma once

// Span batches as OTLP/JSON: an ExportTraceServiceRequest for receivers that read no protobuf.
//
//   std::string body;
//   codec::append_otlp_traces_json(decoder.batch(), body);

#include <string>

#include "telemetry/span_batch.h"

namespace gantry::codec {

/// Appends {"resourceSpans":[…]}, which is there even without spans. One element per resource and
/// scope that has spans, in the batch's order. Ids are lower-case hexadecimal, 64-bit integers are
/// strings, enums are numbers, bytes are base64, doubles that JSON cannot hold are "NaN",
/// "Infinity" and "-Infinity"; members with default values are left out. Text that is not UTF-8
/// gets U+FFFD.
void append_otlp_traces_json(const telemetry::SpanBatch& batch, std::string& out);

}  // namespace gantry::codec
