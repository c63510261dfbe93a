#pragma once

// The loops that the range functions share.

#include <cstddef>
#include <cstdint>
#include <span>

#include "promql/kernels/range_functions.h"
#include "promql/kernels/window.h"

namespace gantry::promql::kernels {

/// Writes a bitmap from its first bit to its last, a word at a time: setting bits in memory one
/// after the other would make each step wait for the one before.
class BitmapWriter {
 public:
  explicit BitmapWriter(std::span<std::uint64_t> words) : words_(words) {}

  BitmapWriter(const BitmapWriter&) = delete;
  BitmapWriter& operator=(const BitmapWriter&) = delete;

  ~BitmapWriter() {
    if (bit_ != 0) words_[index_] = word_;
  }

  void push(bool is_set) {
    word_ |= static_cast<std::uint64_t>(is_set) << bit_;
    if (++bit_ < 64) return;
    words_[index_++] = word_;
    word_ = 0;
    bit_ = 0;
  }

 private:
  std::span<std::uint64_t> words_;
  std::size_t index_ = 0;
  std::uint64_t word_ = 0;
  unsigned bit_ = 0;
};

/// out[k] = function(k, window) for the steps with at least `samples_min` samples.
template <class Function>
void for_each_window(const RangeInput& in, std::uint32_t samples_min, std::span<double> out,
                     std::span<std::uint64_t> present, Function function) {
  BitmapWriter bits(present);
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    const Window window = in.windows[step];
    const bool is_present = window.size() >= samples_min;
    if (is_present) out[step] = function(step, window);
    bits.push(is_present);
  }
}

[[nodiscard]] inline std::span<const double> values_of(const RangeInput& in, Window window) {
  return in.values.subspan(window.begin, window.size());
}

[[nodiscard]] inline double argument_at(std::span<const double> argument, std::size_t step) {
  return argument.size() == 1 ? argument[0] : argument[step];
}

[[nodiscard]] inline double to_seconds(std::int64_t milliseconds) {
  return static_cast<double>(milliseconds) / 1000;
}

}  // namespace gantry::promql::kernels
