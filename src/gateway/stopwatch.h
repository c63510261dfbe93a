#pragma once

#include <cstdint>

#include "core/time.h"

namespace gantry::gateway {

/// The clock of one request: all times of a Generation are read from it.
class Stopwatch {
 public:
  /// Starts now, or when monotonic_ns() was `accepted_ns`.
  explicit Stopwatch(std::int64_t accepted_ns = monotonic_ns()) : accepted_ns_(accepted_ns) {}

  [[nodiscard]] double elapsed_ms() const {
    return static_cast<double>(monotonic_ns() - accepted_ns_) / 1e6;
  }

 private:
  std::int64_t accepted_ns_;
};

}  // namespace gantry::gateway
