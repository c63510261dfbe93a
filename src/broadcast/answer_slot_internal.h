#pragma once

// For a thread that waits for what a callback will bring.

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/cancel.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::broadcast {

/// Both sides hold it, so that a callback which comes after the waiting has ended finds it.
/// Thread-safe.
template <class Outcome>
class AnswerSlot {
 public:
  void put(Outcome outcome) GANTRY_EXCLUDES(mutex_) {
    {
      const core::Lock lock(mutex_);
      outcome_.emplace(std::move(outcome));
    }
    filled_.notify_one();
  }

  /// Nothing: `cancel` has fired, or the time is over.
  std::optional<Outcome> take(std::int64_t deadline_ns, const CancelToken& cancel)
      GANTRY_EXCLUDES(mutex_) {
    core::Lock lock(mutex_);
    while (!outcome_) {
      if (cancel.is_cancelled() || cancel.is_expired() || monotonic_ns() >= deadline_ns)
        return std::nullopt;
      filled_.wait_for(lock, kLook);
    }
    return std::exchange(outcome_, std::nullopt);
  }

 private:
  /// A token that fires wakes nobody: whoever waits looks at it this often.
  static constexpr std::chrono::milliseconds kLook{50};

  core::Mutex mutex_;
  core::ConditionVariable filled_;
  std::optional<Outcome> outcome_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::broadcast
