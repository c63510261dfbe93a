#include "collect/rounds.h"

#include <algorithm>
#include <chrono>

#include "core/mutex.h"

namespace gantry::collect {
namespace {

/// False when it is to stop.
bool wait_until(const std::stop_token& stop, const Clock& clock, TimestampMs due,
                DurationMs interval) {
  constexpr DurationMs kLook{1000};
  core::Mutex mutex;
  core::ConditionVariable stopping;
  core::Lock lock(mutex);
  while (!stop.stop_requested()) {
    const DurationMs left = due - clock.now();
    // Further away than one interval: the clock was set back, and the caller looks again.
    if (left.count <= 0 || left > interval) return true;
    stopping.wait_for(lock, stop, std::chrono::milliseconds(std::min(left, kLook).count),
                      [] { return false; });
  }
  return false;
}

}  // namespace

TimestampMs next_round(TimestampMs now, DurationMs interval) {
  const std::int64_t into = now.since_epoch % interval.count;
  return now + DurationMs{interval.count - (into < 0 ? into + interval.count : into)};
}

void run_rounds(const std::stop_token& stop, const Clock& clock, DurationMs interval,
                const std::function<void(TimestampMs)>& collect) {
  TimestampMs due = next_round(clock.now(), interval);
  while (wait_until(stop, clock, due, interval)) {
    const TimestampMs now = clock.now();
    if (now >= due && now - due < interval) collect(due);
    due = next_round(clock.now(), interval);
  }
}

}  // namespace gantry::collect
