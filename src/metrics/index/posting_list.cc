#include "metrics/index/posting_list.h"

#include <cstring>

#include "core/error.h"

namespace gantry::metrics {

void PostingList::append(std::uint32_t id) {
  GANTRY_DEBUG_ASSERT(size_ == 0 || ids().back() < id, "ids are given out in ascending order");
  if (size_ == capacity_) reallocate(capacity_ < 8 ? 8 : capacity_ + capacity_ / 2);
  ids_mutable()[size_++] = id;
}

void PostingList::reallocate(std::uint32_t capacity) {
  auto* const heap = new std::uint32_t[capacity];
  std::memcpy(heap, ids().data(), size_ * sizeof(std::uint32_t));
  release();
  storage_.heap = heap;
  capacity_ = capacity;
}

void PostingList::shrink() {
  if (is_inline() || size_ > capacity_ / 2) return;
  if (size_ > kInlineCapacity) {
    reallocate(size_);
    return;
  }
  Storage inlined{};
  std::memcpy(inlined.inlined, storage_.heap, size_ * sizeof(std::uint32_t));
  release();
  storage_ = inlined;
}

}  // namespace gantry::metrics
