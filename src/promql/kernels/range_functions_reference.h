#pragma once

// Plain twins of the range functions that keep state from window to window, for tests: one window
// at a time, nothing clever.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace gantry::promql::kernels::reference {

/// The samples of one window (start, end].
struct Samples {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::vector<std::int64_t> times_ms = {};
  std::vector<double> values = {};
};

inline std::optional<double> extrapolate(const Samples& in, bool is_counter, bool is_rate) {
  if (in.values.size() < 2) return std::nullopt;
  double result = in.values.back() - in.values.front();
  for (std::size_t i = 1; is_counter && i < in.values.size(); ++i) {
    if (in.values[i] < in.values[i - 1]) result += in.values[i - 1];
  }
  const auto seconds = [](std::int64_t ms) { return static_cast<double>(ms) / 1000; };
  const double sampled = seconds(in.times_ms.back() - in.times_ms.front());
  const double average = sampled / static_cast<double>(in.values.size() - 1);
  double to_start = seconds(in.times_ms.front() - in.start_ms);
  double to_end = seconds(in.end_ms - in.times_ms.back());
  if (to_start >= average * 1.1) to_start = average / 2;
  if (to_end >= average * 1.1) to_end = average / 2;
  if (is_counter && result > 0 && in.values.front() >= 0) {
    const double to_zero = sampled * (in.values.front() / result);
    if (to_zero < to_start) to_start = to_zero;
  }
  double factor = (sampled + to_start + to_end) / sampled;
  if (is_rate) factor /= seconds(in.end_ms - in.start_ms);
  return result * factor;
}

/// Index of the value that `wins(value, best)` against all before it; NaN loses to anything.
template <class Wins>
std::optional<std::size_t> extreme(const Samples& in, Wins wins) {
  if (in.values.empty()) return std::nullopt;
  std::size_t best = 0;
  for (std::size_t i = 1; i < in.values.size(); ++i) {
    if (std::isnan(in.values[best]) || wins(in.values[i], in.values[best])) best = i;
  }
  return best;
}

inline std::optional<double> min(const Samples& in) {
  const auto best = extreme(in, [](double a, double b) { return a < b; });
  return best ? std::optional(in.values[*best]) : std::nullopt;
}

inline std::optional<double> max(const Samples& in) {
  const auto best = extreme(in, [](double a, double b) { return a > b; });
  return best ? std::optional(in.values[*best]) : std::nullopt;
}

inline std::optional<double> time_of_min(const Samples& in) {
  const auto best = extreme(in, [](double a, double b) { return a <= b; });
  return best ? std::optional(static_cast<double>(in.times_ms[*best]) / 1000) : std::nullopt;
}

inline std::optional<double> time_of_max(const Samples& in) {
  const auto best = extreme(in, [](double a, double b) { return a >= b; });
  return best ? std::optional(static_cast<double>(in.times_ms[*best]) / 1000) : std::nullopt;
}

inline std::optional<double> changes(const Samples& in) {
  if (in.values.empty()) return std::nullopt;
  double count = 0;
  for (std::size_t i = 1; i < in.values.size(); ++i) {
    const bool are_both_nan = std::isnan(in.values[i]) && std::isnan(in.values[i - 1]);
    if (!are_both_nan && in.values[i] != in.values[i - 1]) count += 1;
  }
  return count;
}

inline std::optional<double> resets(const Samples& in) {
  if (in.values.empty()) return std::nullopt;
  double count = 0;
  for (std::size_t i = 1; i < in.values.size(); ++i) {
    if (in.values[i] < in.values[i - 1]) count += 1;
  }
  return count;
}

}  // namespace gantry::promql::kernels::reference
