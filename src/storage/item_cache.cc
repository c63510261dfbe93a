#include "storage/item_cache.h"

#include <array>
#include <atomic>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/mutex.h"

namespace gantry::storage {
namespace {

constexpr std::size_t kShardCount = 8;
/// Of an item's entry in the tables.
constexpr std::size_t kEntryBytes = 96;

struct Key {
  std::uint64_t owner = 0;
  std::uint64_t number = 0;

  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const std::uint64_t mixed =
        (key.owner * 0x9e3779b97f4a7c15ULL) ^ (key.number * 0xc2b2ae3d27d4eb4fULL);
    return mixed ^ (mixed >> 29);
  }
};

struct Slot {
  Key key;
  std::shared_ptr<const CacheItem> item;  ///< Null: free.
  std::size_t bytes = 0;
  bool is_used = false;  ///< Since the hand last passed.
};

/// The items in a ring; a hand that passes gives each that was used another round.
class Shard {
 public:
  std::shared_ptr<const CacheItem> find(const Key& key) {
    const core::Lock lock(mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    Slot& slot = slots_[found->second];
    slot.is_used = true;
    return slot.item;
  }

  void insert(const Key& key, std::shared_ptr<const CacheItem> item, std::size_t bytes_max) {
    const std::size_t size = item->memory_bytes() + kEntryBytes;
    if (size > bytes_max) return;
    const core::Lock lock(mutex_);
    if (index_.contains(key)) return;
    while (bytes_ + size > bytes_max) evict_one();
    std::size_t place = slots_.size();
    if (free_.empty()) {
      slots_.emplace_back();
    } else {
      place = free_.back();
      free_.pop_back();
    }
    slots_[place] = {.key = key, .item = std::move(item), .bytes = size};
    index_.emplace(key, place);
    bytes_ += size;
  }

  void erase(std::uint64_t owner) {
    const core::Lock lock(mutex_);
    for (std::size_t place = 0; place < slots_.size(); ++place) {
      if (slots_[place].item && slots_[place].key.owner == owner) release(place);
    }
  }

  [[nodiscard]] std::size_t bytes() {
    const core::Lock lock(mutex_);
    return bytes_;
  }

 private:
  void evict_one() GANTRY_REQUIRES(mutex_) {
    while (true) {
      hand_ = (hand_ + 1) % slots_.size();
      Slot& slot = slots_[hand_];
      if (!slot.item) continue;
      if (!slot.is_used) return release(hand_);
      slot.is_used = false;
    }
  }

  void release(std::size_t place) GANTRY_REQUIRES(mutex_) {
    Slot& slot = slots_[place];
    bytes_ -= slot.bytes;
    index_.erase(slot.key);
    slot = {};
    free_.push_back(place);
  }

  core::Mutex mutex_;
  std::unordered_map<Key, std::size_t, KeyHash> index_ GANTRY_GUARDED_BY(mutex_);
  std::vector<Slot> slots_ GANTRY_GUARDED_BY(mutex_);
  std::vector<std::size_t> free_ GANTRY_GUARDED_BY(mutex_);
  std::size_t hand_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::size_t bytes_ GANTRY_GUARDED_BY(mutex_) = 0;
};

}  // namespace

struct ItemCache::Impl {
  std::size_t bytes_max = 0;
  std::atomic<std::uint64_t> next_owner{1};
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::array<Shard, kShardCount> shards;

  Shard& shard_of(const Key& key) { return shards[KeyHash()(key) >> 7 & (kShardCount - 1)]; }
};

ItemCache::ItemCache(std::size_t bytes_max) : impl_(std::make_unique<Impl>()) {
  impl_->bytes_max = bytes_max;
}

ItemCache::~ItemCache() = default;

std::uint64_t ItemCache::make_owner_id() {
  return impl_->next_owner.fetch_add(1, std::memory_order_relaxed);
}

std::shared_ptr<const CacheItem> ItemCache::find(std::uint64_t owner, std::uint64_t number) {
  const Key key{.owner = owner, .number = number};
  auto found = impl_->shard_of(key).find(key);
  (found ? impl_->hits : impl_->misses).fetch_add(1, std::memory_order_relaxed);
  return found;
}

void ItemCache::insert(std::uint64_t owner, std::uint64_t number,
                       std::shared_ptr<const CacheItem> item) {
  const Key key{.owner = owner, .number = number};
  impl_->shard_of(key).insert(key, std::move(item), impl_->bytes_max / kShardCount);
}

void ItemCache::erase(std::uint64_t owner) {
  for (Shard& shard : impl_->shards) shard.erase(owner);
}

ItemCache::Statistics ItemCache::statistics() const {
  Statistics statistics{.hits = impl_->hits.load(std::memory_order_relaxed),
                        .misses = impl_->misses.load(std::memory_order_relaxed),
                        .bytes_max = impl_->bytes_max};
  for (Shard& shard : impl_->shards) statistics.bytes += shard.bytes();
  return statistics;
}

}  // namespace gantry::storage
