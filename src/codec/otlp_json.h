#pragma once

// OTLP/JSON requests rewritten as protobuf, so that one decoder serves both encodings.
//
// The rules are proto3's JSON mapping with OTLP's differences: trace and span ids are hexadecimal,
// enums are integers only, keys are lowerCamelCase only, unknown keys are ignored, 64-bit integers
// are strings or numbers, null is absence, of repeated keys the last counts.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::codec {

enum class OtlpJsonMessage : std::uint8_t { MetricsRequest, TracesRequest };

/// Replaces `out` by the protobuf message. kBodyPaddingBytes behind `json` must be readable.
/// Thread-safe (a parser per thread). Errors: InvalidArgument for text that is not JSON, with bytes
/// behind the value, or with a value of the wrong kind; the message says where:
/// `resourceMetrics[0].scopeMetrics[2].metrics[1].sum.isMonotonic: not a boolean`.
[[nodiscard]] Result<void> otlp_json_to_protobuf(OtlpJsonMessage message, std::string_view json,
                                                 std::string& out);

}  // namespace gantry::codec
