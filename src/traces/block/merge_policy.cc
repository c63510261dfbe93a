#include "traces/block/merge_policy.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

namespace gantry::traces {
namespace {

constexpr std::size_t kInputsMax = 15;
constexpr std::size_t kInputsMin = 4;
/// The output is at least so many times the largest input: less would rewrite much for little.
constexpr double kGrowthMin = 2.5;
/// More blocks of a window than this are merged however uneven they are: each costs every query.
constexpr std::size_t kBlocksMax = 24;
/// A window that is over takes in late data once it is a tenth of what is there, or in many blocks.
constexpr double kLateShareMin = 0.1;
constexpr std::size_t kLateBlocksMax = 8;

using Indexes = std::vector<std::size_t>;

std::int64_t window_of(std::int64_t time_ns, std::int64_t window_ns) {
  return time_ns >= 0 ? time_ns / window_ns : -((-(time_ns + 1)) / window_ns) - 1;
}

/// Blocks of one window, the smallest first.
class Window {
 public:
  Window(std::span<const BlockSize> blocks, const Indexes& members, std::uint64_t bytes_max)
      : members_(members), bytes_max_(bytes_max) {
    std::ranges::sort(members_, {}, [&](std::size_t i) { return blocks[i].bytes; });
    for (const std::size_t i : members_) sizes_.push_back(blocks[i].bytes);
  }

  /// A run of like sizes: the one that grows the most.
  [[nodiscard]] std::optional<Indexes> choose_even() const {
    std::optional<Indexes> best;
    double best_growth = kGrowthMin;
    for (std::size_t first = 0; first < sizes_.size(); ++first) {
      std::uint64_t sum = 0;
      const std::size_t end = std::min(sizes_.size(), first + kInputsMax);
      for (std::size_t last = first; last < end; ++last) {
        sum += sizes_[last];
        if (sum > bytes_max_) break;
        const std::size_t count = last - first + 1;
        const auto largest = static_cast<double>(std::max<std::uint64_t>(sizes_[last], 1));
        const double growth = static_cast<double>(sum) / largest;
        if (count < kInputsMin || growth < best_growth) continue;
        best_growth = growth;
        best = run(first, count);
      }
    }
    return best;
  }

  /// The smallest, as many as find room; nothing when fewer than `count_min` do.
  [[nodiscard]] std::optional<Indexes> choose_smallest(std::size_t count_min,
                                                       std::size_t count_max) const {
    const std::size_t count = std::min(fitting(), count_max);
    return count < count_min ? std::nullopt : std::optional(run(0, count));
  }

  /// What is left over of a window that does not grow any more.
  [[nodiscard]] std::optional<Indexes> choose_last() const {
    const std::size_t count = fitting();
    if (count < 2) return std::nullopt;
    const auto sum = static_cast<double>(std::accumulate(
        sizes_.begin(), sizes_.begin() + static_cast<std::ptrdiff_t>(count), std::uint64_t{0}));
    const auto largest = static_cast<double>(sizes_[count - 1]);
    if (count <= kLateBlocksMax && sum < largest * (1 + kLateShareMin)) return std::nullopt;
    return run(0, std::min(count, kInputsMax));
  }

  [[nodiscard]] std::size_t size() const { return sizes_.size(); }

 private:
  [[nodiscard]] Indexes run(std::size_t first, std::size_t count) const {
    const auto begin = members_.begin() + static_cast<std::ptrdiff_t>(first);
    Indexes chosen(begin, begin + static_cast<std::ptrdiff_t>(count));
    std::ranges::sort(chosen);
    return chosen;
  }

  /// How many of the smallest are together within the limit.
  [[nodiscard]] std::size_t fitting() const {
    std::uint64_t sum = 0;
    std::size_t count = 0;
    while (count < sizes_.size() && sum + sizes_[count] <= bytes_max_) sum += sizes_[count++];
    return count;
  }

  Indexes members_;
  std::vector<std::uint64_t> sizes_;
  std::uint64_t bytes_max_;
};

}  // namespace

std::optional<Indexes> choose_merge(std::span<const BlockSize> blocks, const MergePolicy& policy,
                                    std::int64_t now_ns) {
  std::map<std::int64_t, Indexes, std::greater<>> windows;  // newest first: they are asked most
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    windows[window_of(blocks[i].start_ns_max, policy.window_ns)].push_back(i);
  }
  const std::int64_t current = window_of(now_ns, policy.window_ns);
  for (const auto& [number, members] : windows) {
    const Window window(blocks, members, policy.output_bytes_max);
    if (auto even = window.choose_even()) return even;
    if (number < current) {
      if (auto last = window.choose_last()) return last;
    }
    if (window.size() > kBlocksMax) {
      if (auto smallest = window.choose_smallest(kInputsMin, kInputsMin)) return smallest;
    }
  }
  return std::nullopt;
}

}  // namespace gantry::traces
