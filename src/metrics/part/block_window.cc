#include "metrics/part/block_window.h"

#include <algorithm>
#include <array>
#include <limits>

#include "metrics/part/part_writer.h"

namespace gantry::metrics {
namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

/// Each divides the next, so that windows nest.
constexpr std::array kWindows = {1 * kSecond,  5 * kSecond,  15 * kSecond, 1 * kMinute, 5 * kMinute,
                                 15 * kMinute, 30 * kMinute, 1 * kHour,    2 * kHour,   4 * kHour,
                                 8 * kHour,    1 * kDay,     2 * kDay,     4 * kDay,    8 * kDay,
                                 32 * kDay,    128 * kDay,   512 * kDay};

/// A missed scrape or two among the first ones must not change the window.
constexpr std::size_t kIntervalCount = 63;

}  // namespace

std::int64_t choose_block_window(std::span<const std::int64_t> timestamps_ms) {
  std::array<std::int64_t, kIntervalCount> intervals{};
  const std::size_t count =
      std::min(kIntervalCount, timestamps_ms.empty() ? 0 : timestamps_ms.size() - 1);
  if (count == 0) return kWindows.back();
  for (std::size_t i = 0; i < count; ++i) {
    // Modulo 2^64: an interval that does not fit is long enough either way.
    const auto interval = static_cast<std::uint64_t>(timestamps_ms[i + 1]) -
                          static_cast<std::uint64_t>(timestamps_ms[i]);
    constexpr std::uint64_t kLongest = std::numeric_limits<std::int64_t>::max();
    intervals[i] = static_cast<std::int64_t>(std::min(interval, kLongest));
  }
  const auto middle = intervals.begin() + static_cast<std::ptrdiff_t>(count / 2);
  std::nth_element(intervals.begin(), middle,
                   intervals.begin() + static_cast<std::ptrdiff_t>(count));
  std::int64_t chosen = kWindows.front();
  for (const std::int64_t window : kWindows) {
    if (window / *middle > static_cast<std::int64_t>(kPartBlockSamples)) break;
    chosen = window;
  }
  return chosen;
}

std::int64_t block_window_end(std::int64_t timestamp_ms, std::int64_t window_ms) {
  const std::int64_t into = ((timestamp_ms % window_ms) + window_ms) % window_ms;
  const std::int64_t left = window_ms - into;
  if (timestamp_ms > std::numeric_limits<std::int64_t>::max() - left) {
    return std::numeric_limits<std::int64_t>::max();
  }
  return timestamp_ms + left;
}

}  // namespace gantry::metrics
