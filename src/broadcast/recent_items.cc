#include "broadcast/recent_items.h"

#include <utility>

#include <boost/unordered/unordered_flat_set.hpp>

#include "core/mutex.h"

namespace gantry::broadcast {

struct RecentItems::Impl {
  explicit Impl(std::size_t keys) : keys_max(keys) {}

  const std::size_t keys_max;
  core::Mutex mutex;
  boost::unordered_flat_set<std::uint64_t> now GANTRY_GUARDED_BY(mutex);
  boost::unordered_flat_set<std::uint64_t> before GANTRY_GUARDED_BY(mutex);
};

RecentItems::RecentItems(std::size_t keys_max) : impl_(std::make_unique<Impl>(keys_max)) {}

RecentItems::~RecentItems() = default;

std::vector<bool> RecentItems::take_new(std::span<const std::uint64_t> keys) {
  std::vector<bool> is_new(keys.size());
  const core::Lock lock(impl_->mutex);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (impl_->now.size() >= impl_->keys_max) impl_->before = std::exchange(impl_->now, {});
    // In both, so that what keeps coming is not forgotten in between.
    is_new[i] = impl_->now.insert(keys[i]).second && !impl_->before.contains(keys[i]);
  }
  return is_new;
}

}  // namespace gantry::broadcast
