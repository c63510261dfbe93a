#pragma once

// A hash table from something stored elsewhere to its 32-bit id: 8 bytes per slot, open addressing.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gantry::metrics {

/// Keeps 32 bits of each key's hash beside the id; the caller compares what the id stands for. Not
/// thread-safe.
class IdTable {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  /// The id with this hash for which `is_equal(id)` holds, or kNone.
  template <class IsEqual>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, const IsEqual& is_equal) const {
    if (slots_.empty()) return kNone;
    const std::uint32_t tag = fold(hash);
    for (std::size_t slot = tag & mask_;; slot = (slot + 1) & mask_) {
      const Slot& entry = slots_[slot];
      if (entry.id == kNone) return kNone;
      if (entry.tag == tag && is_equal(entry.id)) return entry.id;
    }
  }

  /// The key must not be in the table.
  void insert(std::uint64_t hash, std::uint32_t id);

  /// The id must be in the table.
  void erase(std::uint64_t hash, std::uint32_t id);

  [[nodiscard]] std::size_t size() const { return count_; }

  [[nodiscard]] std::size_t allocated_bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t id = kNone;
  };

  static std::uint32_t fold(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
  }

  void place(Slot entry);
  void grow();

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t count_ = 0;
};

}  // namespace gantry::metrics
