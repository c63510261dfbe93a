#pragma once

// A set of rows of one table as a bitmap.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gantry::traceql {

/// Rows 0 … size() - 1, each in or out. A value type; not thread-safe.
class RowSet {
 public:
  RowSet() = default;

  explicit RowSet(std::uint32_t size, bool is_full = false)
      : size_(size), words_((size + 63) / 64, is_full ? ~std::uint64_t{0} : 0) {
    clear_tail();
  }

  /// Of the table, not of the set.
  [[nodiscard]] std::uint32_t size() const { return size_; }

  [[nodiscard]] bool contains(std::uint32_t row) const {
    return (words_[row / 64] >> (row % 64) & 1) != 0;
  }

  void add(std::uint32_t row) { words_[row / 64] |= std::uint64_t{1} << (row % 64); }

  void remove(std::uint32_t row) { words_[row / 64] &= ~(std::uint64_t{1} << (row % 64)); }

  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] bool is_empty() const;

  [[nodiscard]] bool is_full() const { return count() == size_; }

  /// Sets over the same table.
  RowSet& operator&=(const RowSet& other);
  RowSet& operator|=(const RowSet& other);
  RowSet& operator-=(const RowSet& other);
  void invert();

  friend bool operator==(const RowSet&, const RowSet&) = default;

  /// Calls visit(row) for each row of the set, ascending.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t w = 0; w < words_.size(); ++w) {
      for (std::uint64_t bits = words_[w]; bits != 0; bits &= bits - 1) {
        visit(static_cast<std::uint32_t>(w * 64 + static_cast<unsigned>(std::countr_zero(bits))));
      }
    }
  }

  /// 64 rows each, the first row in the lowest bit; bits past the end are 0 and must stay so.
  [[nodiscard]] std::span<std::uint64_t> words() { return words_; }

  [[nodiscard]] std::span<const std::uint64_t> words() const { return words_; }

 private:
  void clear_tail() {
    if (size_ % 64 != 0 && !words_.empty()) words_.back() &= (std::uint64_t{1} << (size_ % 64)) - 1;
  }

  std::uint32_t size_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace gantry::traceql
