#pragma once

// What an OTLP server answers: export responses and google.rpc.Status.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::codec {

/// The answer has the encoding of the request.
enum class OtlpEncoding : std::uint8_t { Protobuf, Json };

/// From a Content-Type value (parameters are ignored): application/x-protobuf or application/json.
/// Errors: Unsupported, with the Collector's text.
[[nodiscard]] Result<OtlpEncoding> parse_otlp_content_type(std::string_view value);

/// "application/x-protobuf" or "application/json".
[[nodiscard]] std::string_view otlp_content_type(OtlpEncoding encoding);

/// Which counter the partial success has: rejected_data_points, _spans or _log_records.
enum class OtlpSignal : std::uint8_t { Metrics, Traces, Logs };

/// Export{Metrics,Trace,Logs}ServiceResponse. With nothing rejected and no message it is empty:
/// no bytes, or {}. A message without rejections is a warning.
[[nodiscard]] std::string encode_otlp_response(OtlpEncoding encoding, OtlpSignal signal,
                                               std::uint64_t rejected, std::string_view message);

/// google.rpc.Status, for the body of an HTTP error. `retry_after_ms` adds a RetryInfo detail.
[[nodiscard]] std::string encode_rpc_status(
    OtlpEncoding encoding, const Error& error,
    std::optional<std::int64_t> retry_after_ms = std::nullopt);

/// Our code as gRPC's number.
[[nodiscard]] std::int32_t grpc_code(Code code);

/// The bytes of google.rpc.Status for the trailer grpc-status-details-bin (a gRPC library encodes
/// them in base64 itself).
[[nodiscard]] inline std::string encode_status_details(const Error& error,
                                                       std::optional<std::int64_t> retry_after_ms) {
  return encode_rpc_status(OtlpEncoding::Protobuf, error, retry_after_ms);
}

}  // namespace gantry::codec
