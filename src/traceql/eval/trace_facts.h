#pragma once

// What a trace is as a whole.

#include <cstdint>
#include <vector>

namespace gantry::traceql {

/// By trace of a group.
struct TraceFacts {
  static constexpr std::uint32_t kNoRoot = UINT32_MAX;

  std::vector<std::int64_t> starts_ns;
  std::vector<std::int64_t> durations_ns;  ///< Latest end - earliest start.
  std::vector<std::uint32_t> roots;        ///< Row of the first span without parent, or kNoRoot.
};

}  // namespace gantry::traceql
