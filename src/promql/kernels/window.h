#pragma once

// Which samples of a series each step of a range selector sees, and the bitmap that says which
// steps have a result.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace gantry::promql::kernels {

/// Samples [begin, end) of a series.
struct Window {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  [[nodiscard]] std::uint32_t size() const { return end - begin; }

  friend bool operator==(const Window&, const Window&) = default;
};

/// Step k sees the samples with end_ms(k) - range_ms < t <= end_ms(k): the left end is open, as in
/// Prometheus since 3.0. `first_end_ms` is the first evaluation time less the offset; `step_ms` is
/// 0 where `@` pins every step to the same window.
struct WindowGrid {
  std::int64_t first_end_ms = 0;
  std::int64_t step_ms = 0;
  std::int64_t range_ms = 0;

  [[nodiscard]] std::int64_t end_ms(std::size_t step) const {
    return first_end_ms + (static_cast<std::int64_t>(step) * step_ms);
  }

  [[nodiscard]] std::int64_t start_ms(std::size_t step) const { return end_ms(step) - range_ms; }
};

/// Hot: per series. Fills windows[k] for each step k. `timestamps_ms` ascends and has fewer than
/// 2^32 entries. Both bounds of the windows ascend. O(samples + steps).
void build_windows(std::span<const std::int64_t> timestamps_ms, const WindowGrid& grid,
                   std::span<Window> windows);

/// Words of a bitmap with one bit per step.
[[nodiscard]] constexpr std::size_t bitmap_words(std::size_t steps) {
  return (steps + 63) / 64;
}

inline void set_bit(std::span<std::uint64_t> bits, std::size_t index) {
  bits[index / 64] |= std::uint64_t{1} << (index % 64);
}

inline void clear_bit(std::span<std::uint64_t> bits, std::size_t index) {
  bits[index / 64] &= ~(std::uint64_t{1} << (index % 64));
}

[[nodiscard]] inline bool test_bit(std::span<const std::uint64_t> bits, std::size_t index) {
  return ((bits[index / 64] >> (index % 64)) & 1) != 0;
}

}  // namespace gantry::promql::kernels
