#pragma once

// The inverted index: label name -> label value -> ascending series ids.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "promql/series_source.h"

namespace gantry::metrics {

/// What one label name has, for statistics.
struct LabelNameStatistics {
  std::uint32_t name = 0;
  std::uint64_t value_count = 0;
  std::uint64_t pair_series_count = 0;  ///< Series that have the label.
};

/// Keyed by symbols. Not thread-safe: the series registry's lock guards it.
class Postings {
 public:
  Postings();
  ~Postings();
  Postings(const Postings&) = delete;
  Postings& operator=(const Postings&) = delete;

  /// `series` is greater than every id added before.
  void add(std::uint32_t series, std::span<const promql::LabelSymbols> labels);

  /// Empty when no series has the pair.
  [[nodiscard]] std::span<const std::uint32_t> find(std::uint32_t name, std::uint32_t value) const;

  /// Calls `visit(value, series ids)` for each value of `name`, in no order.
  void for_each_value(
      std::uint32_t name,
      const std::function<void(std::uint32_t, std::span<const std::uint32_t>)>& visit) const;

  void for_each_name(const std::function<void(const LabelNameStatistics&)>& visit) const;

  [[nodiscard]] std::size_t value_count(std::uint32_t name) const;

  /// Changes whenever `name` gains or loses a value; 0 while it has none.
  [[nodiscard]] std::uint64_t generation(std::uint32_t name) const;

  /// Removes the series for which `is_dead` holds.
  void remove(const std::function<bool(std::uint32_t)>& is_dead);

  [[nodiscard]] std::uint64_t pair_count() const { return pair_count_; }

  [[nodiscard]] std::size_t allocated_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::uint64_t pair_count_ = 0;
};

}  // namespace gantry::metrics
