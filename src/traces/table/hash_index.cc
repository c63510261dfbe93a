#include "traces/table/hash_index.h"

namespace gantry::traces {

void HashIndex::grow() {
  const std::size_t capacity = capacity_ == 0 ? 16 : capacity_ * 2;
  auto larger = std::make_unique<Slots>();
  larger->mask = capacity - 1;
  larger->slots = std::make_unique<std::atomic<std::uint64_t>[]>(capacity);
  for (std::size_t at = 0; at < capacity_; ++at) {
    const std::uint64_t slot = current_->slots[at].load(std::memory_order_relaxed);
    if (slot != 0) place(*larger, slot);
  }
  capacity_ = capacity;
  current_ = larger.get();
  kept_.push_back(std::move(larger));
  slots_.store(current_, std::memory_order_release);
  memory_bytes_.fetch_add(capacity * sizeof(std::uint64_t), std::memory_order_relaxed);
}

}  // namespace gantry::traces
