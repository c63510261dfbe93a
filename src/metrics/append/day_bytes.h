#pragma once

// How many bytes a stack has taken on this day: what Limits::bytes_per_day_max is held against.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::metrics {

/// Days are of UTC, by the clock at the time of the request. When the clock is in another day, be
/// it an earlier one, the count begins again at 0. Thread-safe.
class DayBytes {
 public:
  struct Count {
    std::int64_t day = 0;  ///< Days since 1970-01-01 UTC.
    std::uint64_t bytes = 0;

    friend bool operator==(const Count&, const Count&) = default;
  };

  struct Answer {
    bool is_taken = false;
    std::uint64_t bytes_before = 0;  ///< Of this day.
  };

  /// Counts `bytes` unless that would make the day's more than `bytes_max` (0: no limit).
  Answer take(std::uint64_t bytes, std::uint64_t bytes_max, TimestampMs now);

  /// Uncounts what was taken at `taken_at` and could not be stored after all.
  void give_back(std::uint64_t bytes, TimestampMs taken_at);

  [[nodiscard]] Count count() const;

  /// What an earlier process has counted; before the first `take`.
  void restore(Count count);

 private:
  mutable core::Mutex mutex_;
  Count count_ GANTRY_GUARDED_BY(mutex_);
};

/// From `now` to the next midnight UTC; at least 1 ms.
[[nodiscard]] DurationMs until_next_day(TimestampMs now);

/// Format: docs/formats.md, "Metrics bytes of the day".
[[nodiscard]] std::vector<std::byte> encode_day_bytes(DayBytes::Count count);

/// Errors: DataLoss, FailedPrecondition (a newer format).
[[nodiscard]] Result<DayBytes::Count> decode_day_bytes(std::span<const std::byte> bytes);

}  // namespace gantry::metrics
