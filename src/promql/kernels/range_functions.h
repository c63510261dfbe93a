#pragma once

// The functions over range vectors (rate, sum_over_time…) for float samples: one series, all steps
// at once.
//
//   build_windows(ts, grid, windows);
//   rate({.timestamps_ms = ts, .values = v, .windows = windows, .grid = grid}, scratch, out,
//   present);
//
// Results have the same bits as Prometheus 3.14's: the order of the floating point operations is
// part of the contract, so running sums are only kept where they are exact (counts, extremes,
// positions of counter resets).
//
// Pure functions: any number of threads, each with its own scratch.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "promql/function_table.h"
#include "promql/kernels/window.h"

namespace gantry::promql::kernels {

/// One series and the steps to evaluate. Views; the caller keeps everything alive.
struct RangeInput {
  std::span<const std::int64_t> timestamps_ms;  ///< Ascending.
  std::span<const double> values;               ///< As many; without stale markers.
  /// Empty (start timestamps are not used), or one per sample, 0: unknown. Looked at by rate,
  /// increase, irate and resets.
  std::span<const std::int64_t> start_timestamps_ms;
  std::span<const Window> windows;  ///< One per step, bounds ascending, as of build_windows.
  WindowGrid grid;
  /// Scalar arguments: one value for all steps, or one per step. quantile_over_time: the quantile;
  /// predict_linear: seconds ahead; double_exponential_smoothing: the smoothing factor.
  std::span<const double> argument;
  std::span<const double> second_argument;  ///< double_exponential_smoothing: the trend factor.
  /// The evaluation times, which an offset or `@` does not move: predict_linear predicts from
  /// there.
  std::int64_t first_step_ms = 0;
  std::int64_t step_ms = 0;
};

/// Memory that the functions reuse from call to call. Contents mean nothing between calls.
struct RangeScratch {
  std::vector<double> values;
  std::vector<double> deviations;
  std::vector<std::uint32_t> indexes;
};

/// Writes out[k] and bit k of `present` for each step k = 0 … windows.size() - 1. A step without
/// result has a cleared bit and an unspecified value. `present` has bitmap_words(steps) words, all
/// of which are overwritten.
using RangeKernel = void (*)(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                             std::span<std::uint64_t> present);

void rate(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
          std::span<std::uint64_t> present);
void increase(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
              std::span<std::uint64_t> present);
void delta(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
           std::span<std::uint64_t> present);
void irate(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
           std::span<std::uint64_t> present);
void idelta(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
            std::span<std::uint64_t> present);
void changes(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
             std::span<std::uint64_t> present);
void resets(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
            std::span<std::uint64_t> present);
void deriv(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
           std::span<std::uint64_t> present);
void predict_linear(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                    std::span<std::uint64_t> present);
/// The factors must lie strictly between 0 and 1: the caller has checked.
void double_exponential_smoothing(const RangeInput& in, RangeScratch& scratch,
                                  std::span<double> out, std::span<std::uint64_t> present);

void avg_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present);
void sum_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present);
void min_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present);
void max_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present);
void count_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                     std::span<std::uint64_t> present);
void stddev_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                      std::span<std::uint64_t> present);
void stdvar_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                      std::span<std::uint64_t> present);
void quantile_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                        std::span<std::uint64_t> present);
void mad_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                   std::span<std::uint64_t> present);
void first_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                     std::span<std::uint64_t> present);
void last_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                    std::span<std::uint64_t> present);
void present_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                       std::span<std::uint64_t> present);

/// Seconds since the epoch.
void ts_of_first_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                           std::span<std::uint64_t> present);
void ts_of_last_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                          std::span<std::uint64_t> present);
/// Of the last among equals.
void ts_of_min_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                         std::span<std::uint64_t> present);
void ts_of_max_over_time(const RangeInput& in, RangeScratch& scratch, std::span<double> out,
                         std::span<std::uint64_t> present);

/// The kernel of a function of one range vector; null for others and for absent_over_time (which
/// looks at all series together).
[[nodiscard]] RangeKernel find_range_kernel(FunctionId id);

/// In how many of the windows some sample's start timestamp lies before the previous sample: the
/// occurrences that the warning of rate and increase names. 0 when start_timestamps_ms is empty.
/// `others`: empty, or the series' histograms at each step; where there are some, both kinds are
/// mixed and the step does not count.
[[nodiscard]] std::size_t count_start_time_overlaps(const RangeInput& in,
                                                    std::span<const Window> others);

/// Whether sample `index` (> 0) starts a counter anew, by its value or by its start timestamp
/// (`starts_ms` may be empty).
[[nodiscard]] bool is_counter_reset(std::span<const std::int64_t> timestamps_ms,
                                    std::span<const double> values,
                                    std::span<const std::int64_t> starts_ms, std::size_t index);

}  // namespace gantry::promql::kernels
