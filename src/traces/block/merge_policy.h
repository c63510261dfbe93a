#pragma once

// Which blocks to merge next.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace gantry::traces {

struct BlockSize {
  std::uint64_t bytes = 0;
  std::int64_t start_ns_max = 0;  ///< Says which window the block belongs to.
};

struct MergePolicy {
  std::int64_t window_ns = 24LL * 60 * 60 * 1'000'000'000;  ///< Never merges over its borders.
  std::uint64_t output_bytes_max = 4ULL << 30;              ///< Of the inputs together.
};

/// Indexes into `blocks`, ascending, two or more; nothing: leave them. Merges blocks of one window
/// that are of like size, so that each span is rewritten about log4(blocks) times; a window that
/// ended before `now_ns` ends as few blocks.
[[nodiscard]] std::optional<std::vector<std::size_t>> choose_merge(
    std::span<const BlockSize> blocks, const MergePolicy& policy, std::int64_t now_ns);

}  // namespace gantry::traces
