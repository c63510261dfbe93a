#pragma once

// The loops that the range functions share.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "promql/kernels/range_functions.h"
#include "promql/kernels/window.h"

namespace gantry::promql::kernels {

/// out[k] = function(k, window) for the steps with at least `samples_min` samples.
template <class Function>
void for_each_window(const RangeInput& in, std::uint32_t samples_min, std::span<double> out,
                     std::span<std::uint64_t> present, Function function) {
  std::ranges::fill(present, 0);
  for (std::size_t step = 0; step < in.windows.size(); ++step) {
    const Window window = in.windows[step];
    if (window.size() < samples_min) continue;
    out[step] = function(step, window);
    set_bit(present, step);
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
