#pragma once

// A sliding minute, from the counts of two fixed ones.

#include <cstdint>
#include <optional>

#include "core/time.h"

namespace gantry::gateway {

inline constexpr DurationMs kRateWindow{60'000};

/// What was charged in the last minute, where the minute before the current one counts for the part
/// of it that the window still covers, as if it had been charged evenly. Amounts are below 10^13.
/// One thread.
class RateWindow {
 public:
  /// In the minute that ends now; rounded up.
  [[nodiscard]] std::int64_t charged(TimestampMs now);

  void charge(TimestampMs now, std::int64_t amount);

  /// Changes what was charged at `charged_at` by `difference`, as far as it still counts.
  void correct(TimestampMs now, TimestampMs charged_at, std::int64_t difference);

  /// How long until `amount` fits under `limit` if nothing else is charged; 0: now. Absent: never,
  /// since it is more than the limit.
  [[nodiscard]] std::optional<DurationMs> wait_for(TimestampMs now, std::int64_t amount,
                                                   std::int64_t limit);

 private:
  void roll(TimestampMs now);

  std::int64_t minute_ = 0;  ///< Since the epoch.
  std::int64_t current_ = 0;
  std::int64_t previous_ = 0;
};

}  // namespace gantry::gateway
