#pragma once

// Numbers the distinct combinations of several columns of small integers, row by row: how spans
// find their series and their cell (series × interval).

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gantry::traceql::metrics {

/// Column after column is added; after each, a row's slot stands for the combination of its ids so
/// far. Slots are numbered by first occurrence. One thread.
class RowKeys {
 public:
  explicit RowKeys(std::size_t row_count)
      : slots_(row_count, 0), slot_count_(row_count == 0 ? 0 : 1) {}

  /// `ids`: one per row, each below `id_count`.
  void add(std::span<const std::uint32_t> ids, std::size_t id_count);

  [[nodiscard]] std::span<const std::uint32_t> slots() const { return slots_; }

  [[nodiscard]] std::size_t slot_count() const { return slot_count_; }

  /// Of each slot: the slot before the last column was added, and that column's id.
  [[nodiscard]] std::span<const std::uint32_t> parents() const { return parents_; }

  [[nodiscard]] std::span<const std::uint32_t> ids() const { return ids_; }

 private:
  std::vector<std::uint32_t> slots_;
  std::size_t slot_count_;
  std::vector<std::uint32_t> parents_;
  std::vector<std::uint32_t> ids_;
};

}  // namespace gantry::traceql::metrics
