#pragma once

// How many new series may still appear in this minute.

#include <algorithm>
#include <cstdint>

#include "core/mutex.h"
#include "core/time.h"

namespace gantry::metrics {

/// Thread-safe.
class SeriesBudget {
 public:
  /// Takes up to `wanted` of the `per_minute_max` (0: no limit) of the minute of `now`; returns how
  /// many were left.
  std::uint64_t take(std::uint64_t wanted, std::uint64_t per_minute_max, TimestampMs now) {
    if (per_minute_max == 0) return wanted;
    const core::Lock lock(mutex_);
    const std::int64_t minute = now.since_epoch / (60 * 1000);
    if (minute != minute_) {
      minute_ = minute;
      taken_ = 0;
    }
    const std::uint64_t left = per_minute_max - std::min(taken_, per_minute_max);
    const std::uint64_t granted = std::min(wanted, left);
    taken_ += granted;
    return granted;
  }

 private:
  core::Mutex mutex_;
  std::int64_t minute_ GANTRY_GUARDED_BY(mutex_) = -1;
  std::uint64_t taken_ GANTRY_GUARDED_BY(mutex_) = 0;
};

}  // namespace gantry::metrics
