#pragma once

// The Histogram message of remote write, the same in 1.0 and 2.0.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "telemetry/native_histogram.h"

namespace gantry::codec {

struct DecodedHistogram {
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;
  telemetry::NativeHistogram histogram;
};

/// Schemas 9 to 52 are reduced to 8. Errors: InvalidArgument saying which rule the histogram
/// breaks. Throws protozero's exceptions when the bytes are not a message; callers catch them at
/// their entry.
[[nodiscard]] Result<DecodedHistogram> decode_histogram_message(std::string_view message);

/// Replaces `out` by the message.
void encode_histogram_message(const telemetry::NativeHistogram& histogram,
                              std::int64_t timestamp_ms, std::int64_t start_timestamp_ms,
                              std::string& out);

}  // namespace gantry::codec
