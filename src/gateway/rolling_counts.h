#pragma once

// Calls and failures of the last 30 seconds, in slots of one second.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/time.h"

namespace gantry::gateway {

struct CallCounts {
  std::uint32_t calls = 0;
  std::uint32_t failures = 0;
};

/// Counts the running second and the 29 before it. Not thread-safe.
class RollingCounts {
 public:
  void add(TimestampMs now, CallCounts counts) {
    const std::int64_t second = second_of(now);
    Slot& slot = slots_.at(static_cast<std::size_t>(second) % kSeconds);
    if (slot.second != second) slot = {.second = second, .counts = {}};
    slot.counts.calls += counts.calls;
    slot.counts.failures += counts.failures;
  }

  [[nodiscard]] CallCounts total(TimestampMs now) const {
    const std::int64_t second = second_of(now);
    CallCounts sum;
    for (const Slot& slot : slots_) {
      // Seconds to come are there after the clock was put back.
      if (slot.second > second || slot.second <= second - std::int64_t{kSeconds}) continue;
      sum.calls += slot.counts.calls;
      sum.failures += slot.counts.failures;
    }
    return sum;
  }

  void clear() { slots_ = {}; }

 private:
  static constexpr int kSeconds = 30;

  struct Slot {
    std::int64_t second = -1;
    CallCounts counts;
  };

  static std::int64_t second_of(TimestampMs time) {
    return std::max<std::int64_t>(time.since_epoch, 0) / 1000;
  }

  std::array<Slot, kSeconds> slots_;
};

}  // namespace gantry::gateway
