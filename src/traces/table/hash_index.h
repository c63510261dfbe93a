#pragma once

// Finds numbers by the hash of what they stand for. The owner keeps the things themselves.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gantry::traces {

/// One writer; any number of readers beside it, without locks. Numbers of equal hash are told apart
/// by the caller.
class HashIndex {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// `memory_bytes` counts what the index holds and must outlive it.
  explicit HashIndex(std::atomic<std::uint64_t>& memory_bytes) : memory_bytes_(memory_bytes) {}

  HashIndex(const HashIndex&) = delete;
  HashIndex& operator=(const HashIndex&) = delete;

  /// The first number with this hash for which `is_it(number)`, or kNone. What the number stands
  /// for is visible to a reader if it was there before `insert`.
  template <class IsIt>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, const IsIt& is_it) const {
    const Slots* const slots = slots_.load(std::memory_order_acquire);
    if (slots == nullptr) return kNone;
    const std::uint32_t tag = tag_of(hash);
    for (std::size_t at = tag & slots->mask;; at = (at + 1) & slots->mask) {
      const std::uint64_t slot = slots->slots[at].load(std::memory_order_acquire);
      if (slot == 0) return kNone;
      if (static_cast<std::uint32_t>(slot >> 32) != tag) continue;
      const auto number = static_cast<std::uint32_t>(slot) - 1;
      if (is_it(number)) return number;
    }
  }

  /// Writer only. `number` is below kNone.
  void insert(std::uint64_t hash, std::uint32_t number) {
    if (4 * (count_ + 1) > 3 * capacity_) grow();
    place(*current_, (std::uint64_t{tag_of(hash)} << 32) | (number + 1));
    ++count_;
  }

 private:
  /// A slot is the hash's tag and number + 1; 0 is free.
  struct Slots {
    std::size_t mask = 0;
    std::unique_ptr<std::atomic<std::uint64_t>[]> slots;
  };

  static std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

  static void place(Slots& slots, std::uint64_t slot) {
    std::size_t at = (slot >> 32) & slots.mask;
    while (slots.slots[at].load(std::memory_order_relaxed) != 0) at = (at + 1) & slots.mask;
    slots.slots[at].store(slot, std::memory_order_release);
  }

  void grow();

  std::atomic<std::uint64_t>& memory_bytes_;
  std::size_t count_ = 0;
  std::size_t capacity_ = 0;
  Slots* current_ = nullptr;
  std::vector<std::unique_ptr<Slots>> kept_;  ///< Readers may be in an old one.
  std::atomic<const Slots*> slots_{nullptr};
};

}  // namespace gantry::traces
