#pragma once

// Where a series is cut into blocks: at round times rather than after so many samples, so that all
// series with one scrape interval are cut at the same times and share their time columns.

#include <cstdint>
#include <span>

namespace gantry::metrics {

/// The longest window of the ladder that holds at most kPartBlockSamples of this series' samples,
/// judged by the median of the first intervals.
[[nodiscard]] std::int64_t choose_block_window(std::span<const std::int64_t> timestamps_ms);

/// The first instant after the window that holds `timestamp_ms`.
[[nodiscard]] std::int64_t block_window_end(std::int64_t timestamp_ms, std::int64_t window_ms);

}  // namespace gantry::metrics
