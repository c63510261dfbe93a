#pragma once

// Which parts of a day to merge next.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace gantry::metrics {

/// Neighbours [first, first + count).
struct MergeChoice {
  std::size_t first = 0;
  std::size_t count = 0;
};

enum class DayState : bool { Growing, Closed };

/// `sizes`: bytes of a day's parts, oldest data first. Merges neighbours of like size, so that each
/// sample is rewritten about log4(parts) times; a day that no longer grows ends as one part. Only
/// neighbours: where two parts have the same sample, the later part's must keep winning over what
/// lies between.
[[nodiscard]] std::optional<MergeChoice> choose_merge(std::span<const std::uint64_t> sizes,
                                                      DayState state);

}  // namespace gantry::metrics
