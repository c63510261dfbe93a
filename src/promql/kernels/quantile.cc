#include "promql/kernels/quantile.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace gantry::promql::kernels {

double quantile(double phi, std::span<double> values) {
  if (values.empty() || std::isnan(phi)) return std::numeric_limits<double>::quiet_NaN();
  if (phi < 0) return -std::numeric_limits<double>::infinity();
  if (phi > 1) return std::numeric_limits<double>::infinity();

  const double rank = phi * static_cast<double>(values.size() - 1);
  const double floor = std::floor(rank);
  const auto lower = static_cast<std::size_t>(floor);
  const std::size_t upper = std::min(lower + 1, values.size() - 1);
  const double weight = rank - floor;

  const auto less = [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; };
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(lower);
  std::nth_element(values.begin(), middle, values.end(), less);
  const double below = *middle;
  const double above = upper == lower ? below : *std::min_element(middle + 1, values.end(), less);
  return (below * (1 - weight)) + (above * weight);
}

}  // namespace gantry::promql::kernels
