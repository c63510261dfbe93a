#pragma once

// rate, increase, delta, irate and idelta over the native histograms of a series, with the order of
// operations of Prometheus's extrapolatedRate, histogramRate and instantValue.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "promql/eval/matrix.h"
#include "promql/eval/range_notes.h"
#include "promql/eval/transitions.h"
#include "promql/function_table.h"
#include "promql/kernels/start_times.h"
#include "promql/kernels/window.h"
#include "promql/series_source.h"

namespace gantry::promql::eval {

/// Of one series; what neighbouring samples say of each other is found once, not at each step. The
/// samples must outlive this.
class HistogramRate {
 public:
  /// `points`: without stale markers.
  HistogramRate(FunctionId function, std::span<const SampleColumns::HistogramPoint> points,
                const kernels::WindowGrid& grid, StartTimes starts);

  /// rate, increase or delta of a window that holds only histograms and ends at `end_ms`; null when
  /// there is no result.
  [[nodiscard]] HistogramPtr over(kernels::Window window, std::int64_t end_ms);

  /// irate or idelta between sample `last` and the one before; null when there is no result.
  [[nodiscard]] HistogramPtr at(std::uint32_t last);

  [[nodiscard]] const RangeNotes& notes() const { return notes_; }

 private:
  /// How many there are up to a sample, so that a window's are a difference.
  struct Running {
    std::uint32_t gauges = 0;
    std::uint32_t customs = 0;
    std::uint32_t schema_changes = 0;
    std::uint32_t resets = 0;  ///< Also the index into resets_ of the next one.
    std::uint32_t overlaps = 0;
  };

  [[nodiscard]] const telemetry::FloatHistogram& histogram(std::size_t index) const {
    return *points_[index].histogram;
  }

  [[nodiscard]] kernels::SampleTimes times(std::size_t index) const;
  [[nodiscard]] bool is_started_anew(std::size_t index) const;
  [[nodiscard]] bool is_reset(std::size_t index) const;
  void count_up();
  [[nodiscard]] std::optional<telemetry::FloatHistogram> growth(kernels::Window window,
                                                                RangeNotes& notes) const;
  [[nodiscard]] bool add_lost(telemetry::FloatHistogram& growth, kernels::Window window,
                              const telemetry::FloatHistogram& base, RangeNotes& notes) const;
  [[nodiscard]] std::int32_t smallest_schema(kernels::Window window) const;
  [[nodiscard]] std::optional<telemetry::FloatHistogram> extrapolated(kernels::Window window,
                                                                      std::int64_t end_ms,
                                                                      RangeNotes& notes);
  [[nodiscard]] std::optional<telemetry::FloatHistogram> last_change(std::uint32_t last,
                                                                     RangeNotes& notes) const;

  std::span<const SampleColumns::HistogramPoint> points_;
  kernels::WindowGrid grid_;
  StartTimes starts_;
  bool is_counter_;  ///< rate, increase, irate.
  double divisor_;   ///< Seconds of the range for rate, else 1.
  bool is_per_second_;

  std::vector<Running> running_;
  std::vector<std::uint32_t> resets_;  ///< Indexes i with a reset between i - 1 and i.

  // Steps closer to each other than the samples see the same ones.
  kernels::Window growth_window_;
  std::optional<telemetry::FloatHistogram> growth_;
  RangeNotes growth_notes_;
  std::uint32_t last_ = 0;  ///< What `at` was called with; 0: not yet.
  HistogramPtr last_result_;
  RangeNotes notes_;
};

}  // namespace gantry::promql::eval
