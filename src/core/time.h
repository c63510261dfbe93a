#pragma once

// Time as the metrics side counts it: milliseconds since the Unix epoch, signed, UTC.

#include <compare>
#include <cstdint>
#include <limits>

namespace gantry {

struct DurationMs {
  std::int64_t count = 0;

  friend constexpr auto operator<=>(DurationMs, DurationMs) = default;
};

struct TimestampMs {
  std::int64_t since_epoch = 0;

  friend constexpr auto operator<=>(TimestampMs, TimestampMs) = default;

  friend constexpr DurationMs operator-(TimestampMs a, TimestampMs b) {
    return {a.since_epoch - b.since_epoch};
  }

  friend constexpr TimestampMs operator+(TimestampMs t, DurationMs d) {
    return {t.since_epoch + d.count};
  }

  friend constexpr TimestampMs operator-(TimestampMs t, DurationMs d) {
    return {t.since_epoch - d.count};
  }
};

/// Where "now" comes from, so that tests can say what time it is. Thread-safe.
class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  [[nodiscard]] virtual TimestampMs now() const = 0;
};

/// The system's real-time clock.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimestampMs now() const override;
};

/// A clock that a test moves. Not thread-safe while it is moved.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimestampMs start) : now_(start) {}

  [[nodiscard]] TimestampMs now() const override { return now_; }

  void set(TimestampMs now) { now_ = now; }

  void advance(DurationMs by) { now_ = now_ + by; }

 private:
  TimestampMs now_;
};

/// Nanoseconds of a clock that never steps; only differences mean anything.
[[nodiscard]] std::int64_t monotonic_ns();

}  // namespace gantry
