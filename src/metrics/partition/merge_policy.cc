#include "metrics/partition/merge_policy.h"

#include <algorithm>
#include <numeric>

namespace gantry::metrics {
namespace {

constexpr std::size_t kInputsMax = 15;
constexpr std::size_t kInputsMin = 4;
/// The output is at least so many times the largest input: less would rewrite much for little.
constexpr double kGrowthMin = 2.5;
/// More parts than this are merged however uneven they are: each costs every query.
constexpr std::size_t kPartsMax = 24;
/// A closed day takes in late data once it is a tenth of what is there, or in many parts.
constexpr double kLateShareMin = 0.1;
constexpr std::size_t kLatePartsMax = 8;

}  // namespace

std::optional<MergeChoice> choose_merge(std::span<const std::uint64_t> sizes, DayState state) {
  if (sizes.size() < 2) return std::nullopt;
  const auto total = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), 0ULL));
  const auto largest_of_all = static_cast<double>(std::ranges::max(sizes));
  if (state == DayState::Closed &&
      (sizes.size() > kLatePartsMax || total >= largest_of_all * (1 + kLateShareMin))) {
    return MergeChoice{.first = 0, .count = sizes.size()};
  }
  std::optional<MergeChoice> best;
  double best_growth = kGrowthMin;
  for (std::size_t first = 0; first < sizes.size(); ++first) {
    std::uint64_t sum = 0;
    std::uint64_t largest = 1;
    const std::size_t end = std::min(sizes.size(), first + kInputsMax);
    for (std::size_t last = first; last < end; ++last) {
      sum += sizes[last];
      largest = std::max(largest, sizes[last]);
      const std::size_t count = last - first + 1;
      const double growth = static_cast<double>(sum) / static_cast<double>(largest);
      if (count < kInputsMin || growth < best_growth) continue;
      best_growth = growth;
      best = MergeChoice{.first = first, .count = count};
    }
  }
  if (best || sizes.size() <= kPartsMax) return best;
  // No even run: the kInputsMin neighbours that cost least.
  std::uint64_t least = 0;
  for (std::size_t first = 0; first + kInputsMin <= sizes.size(); ++first) {
    const std::uint64_t sum =
        std::accumulate(sizes.begin() + static_cast<std::ptrdiff_t>(first),
                        sizes.begin() + static_cast<std::ptrdiff_t>(first + kInputsMin), 0ULL);
    if (best && sum >= least) continue;
    least = sum;
    best = MergeChoice{.first = first, .count = kInputsMin};
  }
  return best;
}

}  // namespace gantry::metrics
