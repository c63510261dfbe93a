#include "promql/kernels/window.h"

namespace gantry::promql::kernels {

void build_windows(std::span<const std::int64_t> timestamps_ms, const WindowGrid& grid,
                   std::span<Window> windows) {
  const auto count = static_cast<std::uint32_t>(timestamps_ms.size());
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  for (std::size_t step = 0; step < windows.size(); ++step) {
    const std::int64_t end_ms = grid.end_ms(step);
    const std::int64_t start_ms = end_ms - grid.range_ms;
    while (end < count && timestamps_ms[end] <= end_ms) ++end;
    while (begin < end && timestamps_ms[begin] <= start_ms) ++begin;
    windows[step] = {.begin = begin, .end = end};
  }
}

}  // namespace gantry::promql::kernels
