#pragma once

// Sums, means and quantiles as Prometheus computes them, for the plain evaluator.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace gantry::promql::promqltest {

/// Neumaier's sum.
struct PlainSum {
  double sum = 0;
  double lost = 0;

  void add(double value) {
    const double total = sum + value;
    if (std::isinf(total)) {
      lost = 0;
    } else if (std::fabs(sum) >= std::fabs(value)) {
      lost += (sum - total) + value;
    } else {
      lost += (value - total) + sum;
    }
    sum = total;
  }

  [[nodiscard]] double total() const { return sum + lost; }
};

/// The mean, carried on incrementally from where the sum would overflow.
inline double plain_mean(const std::vector<double>& values) {
  PlainSum sum{.sum = values[0]};
  std::size_t count = 1;
  for (; count < values.size(); ++count) {
    PlainSum next = sum;
    next.add(values[count]);
    if (std::isinf(next.sum)) break;
    sum = next;
  }
  const auto taken = static_cast<double>(count);
  if (count == values.size()) return (sum.sum / taken) + (sum.lost / taken);
  PlainSum mean{.sum = sum.sum / taken, .lost = sum.lost / taken};
  for (; count < values.size(); ++count) {
    const auto now = static_cast<double>(count + 1);
    const double weight = (now - 1) / now;
    mean.sum *= weight;
    mean.lost *= weight;
    mean.add(values[count] / now);
  }
  return mean.total();
}

inline double plain_quantile(double phi, std::vector<double> values) {
  if (values.empty() || std::isnan(phi)) return std::nan("");
  if (phi < 0) return -std::numeric_limits<double>::infinity();
  if (phi > 1) return std::numeric_limits<double>::infinity();
  // -0 before 0, so that the answer does not depend on the order of the values.
  std::ranges::sort(values, [](double a, double b) {
    if (std::isnan(a)) return !std::isnan(b);
    return a < b || (a == b && std::signbit(a) && !std::signbit(b));
  });
  const double rank = phi * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(rank));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double weight = rank - std::floor(rank);
  return (values[below] * (1 - weight)) + (values[above] * weight);
}

}  // namespace gantry::promql::promqltest
