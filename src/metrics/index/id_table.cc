#include "metrics/index/id_table.h"

#include <utility>

#include "core/error.h"

namespace gantry::metrics {
namespace {

constexpr std::size_t kSlotsMin = 64;

}  // namespace

void IdTable::insert(std::uint64_t hash, std::uint32_t id) {
  // At most 3/4 full: linear probes stay short and a slot costs 8 bytes.
  if ((count_ + 1) * 4 > slots_.size() * 3) grow();
  place({.tag = fold(hash), .id = id});
  ++count_;
}

void IdTable::erase(std::uint64_t hash, std::uint32_t id) {
  std::size_t hole = fold(hash) & mask_;
  while (slots_[hole].id != id) {
    GANTRY_ASSERT(slots_[hole].id != kNone, "only ids that were inserted are erased");
    hole = (hole + 1) & mask_;
  }
  // Backward shift: later entries of the run move up, so that no tombstones are needed.
  for (std::size_t slot = (hole + 1) & mask_; slots_[slot].id != kNone; slot = (slot + 1) & mask_) {
    const std::size_t home = slots_[slot].tag & mask_;
    const std::size_t from_home = (slot - home) & mask_;
    const std::size_t from_hole = (slot - hole) & mask_;
    if (from_home >= from_hole) {
      slots_[hole] = slots_[slot];
      hole = slot;
    }
  }
  slots_[hole] = {};
  --count_;
}

void IdTable::place(Slot entry) {
  std::size_t slot = entry.tag & mask_;
  while (slots_[slot].id != kNone) slot = (slot + 1) & mask_;
  slots_[slot] = entry;
}

void IdTable::grow() {
  std::vector<Slot> old =
      std::exchange(slots_, std::vector<Slot>(slots_.empty() ? kSlotsMin : slots_.size() * 2));
  mask_ = slots_.size() - 1;
  for (const Slot& entry : old) {
    if (entry.id != kNone) place(entry);
  }
}

}  // namespace gantry::metrics
