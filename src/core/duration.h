#pragma once

// Prometheus durations ("1h30m", "15s", "500ms"): integers with units y w d h m s ms in that order,
// each at most once, or "0".

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"

namespace gantry::core {

/// Errors (InvalidArgument) carry Prometheus's texts: `not a valid duration string: "5m1h"`,
/// `unknown unit "hs" in duration "5y1hs"`, `empty duration string`, `duration out of range`.
[[nodiscard]] Result<DurationMs> parse_duration(std::string_view text);

/// The canonical text, "1h30m"; "0s" for zero.
[[nodiscard]] std::string format_duration(DurationMs duration);

}  // namespace gantry::core
