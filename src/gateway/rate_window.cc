#include "gateway/rate_window.h"

#include <algorithm>

namespace gantry::gateway {
namespace {

constexpr std::int64_t kMinuteMs = kRateWindow.count;

std::int64_t minute_of(TimestampMs time) {
  return time.since_epoch / kMinuteMs;
}

std::int64_t divide_up(std::int64_t value, std::int64_t by) {
  return (value + by - 1) / by;
}

/// The first millisecond of a minute at which what is left of `decaying` is at most `room`.
std::int64_t decayed_at(std::int64_t decaying, std::int64_t room) {
  if (decaying <= room) return 0;
  return kMinuteMs - room * kMinuteMs / decaying;
}

}  // namespace

void RateWindow::roll(TimestampMs now) {
  const std::int64_t minute = minute_of(now);
  if (minute == minute_) return;
  // A clock that was set back must not leave the charges of a minute standing until it comes again.
  if (minute == minute_ + 1) {
    previous_ = current_;
    current_ = 0;
  } else if (minute > minute_) {
    previous_ = 0;
    current_ = 0;
  } else {
    previous_ = 0;
  }
  minute_ = minute;
}

std::int64_t RateWindow::charged(TimestampMs now) {
  roll(now);
  const std::int64_t left_ms = kMinuteMs - now.since_epoch % kMinuteMs;
  return current_ + divide_up(previous_ * left_ms, kMinuteMs);
}

void RateWindow::charge(TimestampMs now, std::int64_t amount) {
  roll(now);
  current_ += amount;
}

void RateWindow::correct(TimestampMs now, TimestampMs charged_at, std::int64_t difference) {
  roll(now);
  const std::int64_t minute = minute_of(charged_at);
  if (minute == minute_) current_ = std::max<std::int64_t>(0, current_ + difference);
  if (minute == minute_ - 1) previous_ = std::max<std::int64_t>(0, previous_ + difference);
}

std::optional<DurationMs> RateWindow::wait_for(TimestampMs now, std::int64_t amount,
                                               std::int64_t limit) {
  if (amount > limit) return std::nullopt;
  if (charged(now) + amount <= limit) return DurationMs{0};
  const std::int64_t elapsed_ms = now.since_epoch % kMinuteMs;
  if (const std::int64_t room = limit - amount - current_; room >= 0) {
    const std::int64_t at_ms = decayed_at(previous_, room);
    if (at_ms < kMinuteMs) return DurationMs{std::max<std::int64_t>(1, at_ms - elapsed_ms)};
  }
  // Only in the next minute, when what is current has begun to leave the window.
  return DurationMs{kMinuteMs - elapsed_ms + decayed_at(current_, limit - amount)};
}

}  // namespace gantry::gateway
