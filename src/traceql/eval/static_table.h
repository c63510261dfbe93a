#pragma once

// Values by number.

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "traceql/static_value.h"

namespace gantry::traceql {

struct StaticHash {
  [[nodiscard]] std::size_t operator()(const Static& value) const;
};

/// Numbers distinct values in the order in which they come. Not thread-safe.
class StaticTable {
 public:
  /// The number of the value, new or known.
  std::uint32_t add(const Static& value);

  /// Values by number; the table is empty afterwards.
  [[nodiscard]] std::vector<Static> take();

 private:
  std::unordered_map<Static, std::uint32_t, StaticHash> numbers_;
  std::vector<Static> values_;
};

/// Bytes that a value takes, about.
[[nodiscard]] std::uint64_t memory_bytes(const Static& value);

}  // namespace gantry::traceql
