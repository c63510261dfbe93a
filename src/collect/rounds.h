#pragma once

// When something is collected at a fixed interval.

#include <functional>
#include <stop_token>

#include "core/time.h"

namespace gantry::collect {

/// The first multiple of `interval` after `now`.
[[nodiscard]] TimestampMs next_round(TimestampMs now, DurationMs interval);

/// Calls `collect` with each multiple of `interval` when it has come, on the calling thread, until
/// `stop`. Rounds that were missed (the machine slept, `collect` took long) are left out; a clock
/// that was set is noticed within a second. `interval` is positive.
void run_rounds(const std::stop_token& stop, const Clock& clock, DurationMs interval,
                const std::function<void(TimestampMs)>& collect);

}  // namespace gantry::collect
