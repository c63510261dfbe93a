#include "traceql/metrics/row_keys.h"

#include <algorithm>

#include <boost/unordered/unordered_flat_map.hpp>

#include "core/error.h"

namespace gantry::traceql::metrics {

namespace {

constexpr std::uint32_t kUnseen = UINT32_MAX;

/// Combinations few enough for a table of all of them rather than a hash map.
bool fits_table(std::size_t combinations, std::size_t rows) {
  return combinations <= std::max<std::size_t>(4096, 4 * rows);
}

}  // namespace

void RowKeys::add(std::span<const std::uint32_t> ids, std::size_t id_count) {
  GANTRY_ASSERT(ids.size() == slots_.size(), "a key column has one id per row");
  parents_.clear();
  ids_.clear();
  std::uint32_t next = 0;
  const auto number = [&](std::uint32_t& seen, std::uint32_t slot, std::uint32_t id) {
    if (seen == kUnseen) {
      seen = next++;
      parents_.push_back(slot);
      ids_.push_back(id);
    }
    return seen;
  };
  // Hot: per span and grouping column.
  if (fits_table(slot_count_ * id_count, slots_.size())) {
    std::vector<std::uint32_t> table(slot_count_ * id_count, kUnseen);
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slots_[i] = number(table[(slots_[i] * id_count) + ids[i]], slots_[i], ids[i]);
    }
  } else {
    boost::unordered_flat_map<std::uint64_t, std::uint32_t> table;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const std::uint64_t combination = (std::uint64_t{slots_[i]} << 32) | ids[i];
      std::uint32_t& seen = table.try_emplace(combination, kUnseen).first->second;
      slots_[i] = number(seen, slots_[i], ids[i]);
    }
  }
  slot_count_ = next;
}

}  // namespace gantry::traceql::metrics
