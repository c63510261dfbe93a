#pragma once

// What an OTLP server said, as its client reads it.

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/otlp_response.h"
#include "core/error.h"

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

}  // namespace gantry::codec
