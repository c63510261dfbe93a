#pragma once

#include <atomic>
#include <cstdint>

namespace gantry::gateway {

/// Random numbers for choices that no one gains from guessing (splitmix64). The same numbers for
/// the same seed. Any number of threads.
class RandomSource {
 public:
  explicit RandomSource(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;
    // Relaxed: each caller needs a state of its own, in no particular order.
    std::uint64_t z = state_.fetch_add(kStep, std::memory_order_relaxed) + kStep;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  /// Above 0, below 1.
  double unit() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }

 private:
  std::atomic<std::uint64_t> state_;
};

}  // namespace gantry::gateway
