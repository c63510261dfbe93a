#pragma once

// Sums and means as Prometheus computes them. The library is built without contraction to fused
// multiply-add and without -ffast-math: either would change digits.

#include <cmath>
#include <cstdint>

namespace gantry::promql::kernels {

/// Neumaier's compensated summation step (ZAMM 54, 1974). Once the sum is infinite there is nothing
/// to compensate.
inline void neumaier_add(double value, double& sum, double& compensation) {
  const double total = sum + value;
  if (std::isinf(total)) {
    compensation = 0;
  } else if (std::abs(sum) >= std::abs(value)) {
    compensation += (sum - total) + value;
  } else {
    compensation += (value - total) + sum;
  }
  sum = total;
}

/// sum, sum_over_time.
struct NeumaierSum {
  double sum = 0;
  double compensation = 0;

  void add(double value) { neumaier_add(value, sum, compensation); }

  [[nodiscard]] double result() const { return sum + compensation; }
};

/// avg, avg_over_time: the compensated sum by the count; from the value on that would make the sum
/// overflow, the mean is carried on instead.
struct Mean {
  double sum = 0;  ///< The mean once `is_incremental`.
  double compensation = 0;
  double count = 0;
  bool is_incremental = false;

  void add(double value) {
    count += 1;
    if (count == 1) {
      sum = value;
      return;
    }
    if (!is_incremental) {
      double new_sum = sum;
      double new_compensation = compensation;
      neumaier_add(value, new_sum, new_compensation);
      if (!std::isinf(new_sum)) {
        sum = new_sum;
        compensation = new_compensation;
        return;
      }
      is_incremental = true;
      sum /= count - 1;
      compensation /= count - 1;
    }
    const double weight = (count - 1) / count;
    sum *= weight;
    compensation *= weight;
    neumaier_add(value / count, sum, compensation);
  }

  /// NaN without values.
  [[nodiscard]] double result() const {
    return is_incremental ? sum + compensation : (sum / count) + (compensation / count);
  }
};

/// stddev, stdvar: plain Welford. The functions over time compensate, the aggregations do not, and
/// the last digits show it.
struct Variance {
  double mean = 0;
  double squares = 0;
  double count = 0;

  void add(double value) {
    count += 1;
    if (count == 1) {
      mean = value;
      squares = std::isfinite(value) ? 0 : std::nan("");
      return;
    }
    const double difference = value - mean;
    mean += difference / count;
    squares += difference * (value - mean);
  }

  /// Population variance.
  [[nodiscard]] double result() const { return squares / count; }
};

}  // namespace gantry::promql::kernels
