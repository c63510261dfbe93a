#pragma once

// Trace and span ids of a call. They are functions of the generation's id and of what the client
// gave, so that every copy, every destination and every retry has the same.

#include <optional>
#include <string_view>

#include "telemetry/span_batch.h"

namespace gantry::gateway {

/// `given` if it is 32 hexadecimal digits in any case or a UUID with dashes, and not zero; else the
/// first 32 digits of its SHA-256. Empty: of the generation id's.
[[nodiscard]] telemetry::TraceId derive_trace_id(std::string_view given,
                                                 std::string_view generation_id);

/// `given` if it is 16 hexadecimal digits in any case, not all zero; else the first 16 digits of
/// its SHA-256. Empty: 0, no parent.
[[nodiscard]] telemetry::SpanId derive_parent_id(std::string_view given);

/// The first 16 digits of the SHA-256 of `generation_id` and `suffix`: "" for the generation span,
/// ":trace", ":span", ":attempt-0", ":generation" for those around and under it.
[[nodiscard]] telemetry::SpanId derive_span_id(std::string_view generation_id,
                                               std::string_view suffix);

/// The ids of a W3C traceparent header, in its own lower-case digits.
struct TraceParent {
  std::string_view trace_id;
  std::string_view parent_id;
};

/// Version 00 of https://www.w3.org/TR/trace-context/ only; nothing for whatever is not valid
/// there.
[[nodiscard]] std::optional<TraceParent> parse_traceparent(std::string_view header);

}  // namespace gantry::gateway
