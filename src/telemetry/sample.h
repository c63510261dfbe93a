#pragma once

#include <bit>
#include <cstdint>

namespace gantry::telemetry {

/// The NaN that says "this series ended here". Only its bits tell it from an ordinary NaN
/// (Prometheus model/value).
inline constexpr std::uint64_t kStaleNanBits = 0x7ff0000000000002;
/// The NaN that Prometheus writes for an ordinary not-a-number.
inline constexpr std::uint64_t kNormalNanBits = 0x7ff8000000000001;

[[nodiscard]] constexpr double stale_nan() {
  return std::bit_cast<double>(kStaleNanBits);
}

[[nodiscard]] constexpr bool is_stale_nan(double value) {
  return std::bit_cast<std::uint64_t>(value) == kStaleNanBits;
}

}  // namespace gantry::telemetry
