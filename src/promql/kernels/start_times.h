#pragma once

// What the start timestamps of counter samples say: since when a sample's value has been counted
// up from zero. 0: not known.

#include <cstdint>

namespace gantry::promql::kernels {

/// A sample's own time and the time it was counted from.
struct SampleTimes {
  std::int64_t start_ms = 0;
  std::int64_t time_ms = 0;
};

/// Whether a counter began anew between two samples. A start at the previous sample's time is how
/// deltas are written, unless that sample's own start is unknown.
[[nodiscard]] constexpr bool is_start_time_reset(SampleTimes previous, SampleTimes current) {
  if (current.start_ms == 0 || current.start_ms >= current.time_ms) return false;
  if (current.start_ms > previous.time_ms) return true;
  return current.start_ms == previous.time_ms && previous.start_ms != 0 &&
         previous.start_ms < previous.time_ms;
}

/// Whether a sample claims time that the previous one has counted already.
[[nodiscard]] constexpr bool is_start_time_overlap(SampleTimes previous, SampleTimes current) {
  return current.start_ms != 0 && current.start_ms < previous.time_ms &&
         current.start_ms != previous.start_ms;
}

/// The start of a window's first sample if it lies inside the range before the sample, else 0.
[[nodiscard]] constexpr std::int64_t usable_start_ms(SampleTimes first,
                                                     std::int64_t range_start_ms) {
  const bool is_usable = first.start_ms > range_start_ms && first.start_ms < first.time_ms;
  return is_usable ? first.start_ms : 0;
}

}  // namespace gantry::promql::kernels
