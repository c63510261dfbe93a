#pragma once

#include "core/time.h"

namespace gantry::gateway {

/// A Clock that never steps, for waiting times: its epoch is the machine's start, so that only
/// differences mean anything.
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] TimestampMs now() const override {
    constexpr std::int64_t kNsPerMs = 1'000'000;
    return {monotonic_ns() / kNsPerMs};
  }
};

}  // namespace gantry::gateway
