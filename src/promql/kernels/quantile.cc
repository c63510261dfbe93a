#include "promql/kernels/quantile.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace gantry::promql::kernels {

namespace {

/// The value at `rank`, given one that compares equal to it: -0 comes before 0, so that the order
/// of the input does not show.
double at_rank(std::size_t rank, double value, std::span<const double> values) {
  if (value != 0) return value;
  const auto before = std::ranges::count_if(
      values, [](double other) { return std::isnan(other) || std::signbit(other); });
  return rank < static_cast<std::size_t>(before) ? -0.0 : 0.0;
}

}  // namespace

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
  const double below = at_rank(lower, *middle, values);
  const double above =
      upper == lower ? below
                     : at_rank(upper, *std::min_element(middle + 1, values.end(), less), values);
  return (below * (1 - weight)) + (above * weight);
}

}  // namespace gantry::promql::kernels
