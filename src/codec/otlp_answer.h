#pragma once

// What an OTLP server said, as its client reads it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codec/otlp_response.h"
#include "core/error.h"
#include "core/time.h"

namespace gantry::codec {

/// Export{Metrics,Trace,Logs}ServiceResponse.partial_success.
struct OtlpPartialSuccess {
  std::uint64_t rejected = 0;  ///< A negative number counts as none.
  std::string message;
};

/// Nothing was rejected when there is no partial success, or no body. Unknown members are ignored.
/// Errors: InvalidArgument when the bytes are not this message.
[[nodiscard]] Result<OtlpPartialSuccess> decode_otlp_response(OtlpEncoding encoding,
                                                              OtlpSignal signal,
                                                              std::string_view body);

/// The text of an error: google.rpc.Status' message, in JSON also the `error` and `message` members
/// that other servers have. "" when the body has none.
[[nodiscard]] std::string decode_status_message(OtlpEncoding encoding, std::string_view body);

/// The delay of the google.rpc.RetryInfo among the details of a google.rpc.Status in protobuf: 0
/// and more, rounded up. Nothing when there is none, it is negative, or these bytes are no such
/// message.
[[nodiscard]] std::optional<DurationMs> decode_retry_delay(std::string_view status);

}  // namespace gantry::codec
