#pragma once

// RFC 3339 times, UTC and with offsets: "2015-07-01T20:10:51.781Z", "2015-07-01T22:10:51+02:00".

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"

namespace gantry::core {

/// Fractions of any length are read, and cut to milliseconds (rounded towards the past). Null for
/// anything that is not a whole, valid time.
[[nodiscard]] std::optional<TimestampMs> parse_rfc3339(std::string_view text);

/// "2015-07-01T20:10:51.781Z"; whole seconds are written without a fraction.
[[nodiscard]] std::string format_rfc3339(TimestampMs time);

}  // namespace gantry::core
