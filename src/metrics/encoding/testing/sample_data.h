#pragma once

// Columns as real exporters make them, and as nobody would, for tests and benchmarks.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "telemetry/sample.h"

namespace gantry::metrics {

using Random = std::mt19937_64;

inline std::vector<double> make_constant(std::size_t count, double value) {
  return std::vector<double>(count, value);
}

inline std::vector<double> make_counter(Random& random, std::size_t count, std::uint64_t step_max) {
  std::vector<double> values(count);
  double value = static_cast<double>(random() % 1'000'000);
  for (double& each : values) each = value += static_cast<double>(random() % step_max);
  return values;
}

/// CPU seconds: a counter in hundredths.
inline std::vector<double> make_decimal_counter(Random& random, std::size_t count) {
  std::vector<double> values(count);
  std::uint64_t hundredths = random() % 100'000'000;
  for (double& each : values) each = static_cast<double>(hundredths += random() % 1500) / 100;
  return values;
}

inline std::vector<double> make_decimal_gauge(Random& random, std::size_t count) {
  std::vector<double> values(count);
  std::int64_t hundredths = static_cast<std::int64_t>(random() % 10'000);
  for (double& each : values) {
    hundredths += static_cast<std::int64_t>(random() % 201) - 100;
    each = static_cast<double>(hundredths) / 100;
  }
  return values;
}

/// Memory: a gauge in pages.
inline std::vector<double> make_byte_gauge(Random& random, std::size_t count) {
  std::vector<double> values(count);
  std::int64_t pages = 1'000'000;
  for (double& each : values) {
    pages += static_cast<std::int64_t>(random() % 401) - 200;
    each = static_cast<double>(pages * 4096);
  }
  return values;
}

/// Holds a value for a while, then another.
inline std::vector<double> make_steps(Random& random, std::size_t count) {
  std::vector<double> values(count);
  double value = 0;
  for (double& each : values) {
    if (random() % 20 == 0) value = static_cast<double>(random() % 1000);
    each = value;
  }
  return values;
}

/// All mantissa bits in use.
inline std::vector<double> make_noise(Random& random, std::size_t count) {
  std::uniform_real_distribution<double> uniform(10, 20);
  std::vector<double> values(count);
  for (double& each : values) each = uniform(random);
  return values;
}

inline std::vector<double> make_with_resets(Random& random, std::size_t count) {
  std::vector<double> values(count);
  double value = 1e9;
  for (double& each : values) {
    if (random() % 300 == 0) value = 0;
    each = value += static_cast<double>(random() % 300);
  }
  return values;
}

/// Any 64 bits, with a liking for what is special.
inline std::vector<double> make_bit_patterns(Random& random, std::size_t count) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double special[] = {0.0,
                            -0.0,
                            kInfinity,
                            -kInfinity,
                            std::bit_cast<double>(telemetry::kStaleNanBits),
                            std::bit_cast<double>(telemetry::kNormalNanBits),
                            5e-324,
                            1.7976931348623157e308,
                            0x1p53,
                            0x1p53 + 2,
                            -0x1p62,
                            0x1p63,
                            0.1,
                            1e15 + 0.5};
  std::vector<double> values(count);
  for (double& each : values) {
    each = random() % 3 == 0 ? special[random() % std::size(special)]
                             : std::bit_cast<double>(random());
  }
  return values;
}

}  // namespace gantry::metrics
