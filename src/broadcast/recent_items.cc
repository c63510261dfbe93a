#include "broadcast/recent_items.h"

#include <utility>

namespace gantry::broadcast {

std::vector<bool> RecentItems::take_new(std::span<const std::uint64_t> keys) {
  std::vector<bool> is_new(keys.size());
  const core::Lock lock(mutex_);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (now_.size() >= keys_max_) before_ = std::exchange(now_, {});
    // In both, so that what keeps coming is not forgotten in between.
    is_new[i] = now_.insert(keys[i]).second && !before_.contains(keys[i]);
  }
  return is_new;
}

}  // namespace gantry::broadcast
