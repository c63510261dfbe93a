#pragma once

// What the trace store writes to its log. Format: docs/formats.md, "Traces log records".

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace gantry::traces {

inline constexpr std::uint8_t kSpansRecord = 1;

/// Replaces `out` by a record of `otlp`, an ExportTraceServiceRequest; compressed where that may
/// pay.
void encode_spans_record(std::string_view otlp, std::vector<std::byte>& out);

/// The request in the record: a view into `payload`, or of `buffer`, which is replaced. Errors:
/// DataLoss.
Result<std::string_view> decode_spans_record(std::span<const std::byte> payload,
                                             std::string& buffer);

}  // namespace gantry::traces
