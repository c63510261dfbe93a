#pragma once

// What an anchored or smoothed range selector makes of the samples of one series around a range.
//
// Functions are pure: any number of threads. The order of the floating point operations is part of
// the contract, as in kernels/.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "promql/ast.h"
#include "promql/eval/range_notes.h"
#include "promql/kernels/window.h"
#include "promql/series_source.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::eval {

/// A range (start_ms, end_ms] and how its ends are found.
struct ExtendedRange {
  RangeMode mode = RangeMode::Anchored;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;

  [[nodiscard]] bool is_smoothed() const { return mode == RangeMode::Smoothed; }
};

/// Samples first … last, both included: those in the range and those that its ends are worked out
/// from.
struct ExtendedWindow {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

/// `around`: the samples that the lookback reaches; `inside`: those in the range. Nothing where no
/// sample lies after the start of the range.
[[nodiscard]] std::optional<ExtendedWindow> find_extended_window(
    std::span<const std::int64_t> timestamps_ms, const ExtendedRange& range, kernels::Window around,
    kernels::Window inside);

/// A sample of a float series.
struct FloatPoint {
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

/// The value at `time_ms` on the line from `from` to `to`. A counter that fell began from 0.
[[nodiscard]] double interpolate(FloatPoint from, FloatPoint to, std::int64_t time_ms,
                                 bool is_counter);

/// Floats and their times.
struct FloatColumns {
  std::span<const std::int64_t> timestamps_ms;
  std::span<const double> values;

  [[nodiscard]] FloatPoint at(std::size_t i) const { return {timestamps_ms[i], values[i]}; }
};

/// The values at the ends of a range.
struct EndValues {
  double left = 0;
  double right = 0;
};

[[nodiscard]] EndValues find_end_values(const FloatColumns& floats, const ExtendedRange& range,
                                        ExtendedWindow window, bool is_counter);

/// By how much a series of floats grew over ranges. Where a counter was reset is found once, so
/// that a range looks at its resets and not at all its samples. The samples must outlive this.
class FloatGrowth {
 public:
  FloatGrowth(const FloatColumns& floats, bool is_counter);

  /// Counters: what they lost at resets is added.
  [[nodiscard]] double over(const ExtendedRange& range, ExtendedWindow window) const;

 private:
  [[nodiscard]] double lost(const ExtendedRange& range, ExtendedWindow window,
                            const EndValues& ends) const;

  FloatColumns floats_;
  bool is_counter_;
  std::vector<std::uint32_t> resets_;  ///< Indexes i with a reset between i - 1 and i.
};

/// A histogram on the line between two, as interpolate. Nothing, and a note, when one has custom
/// buckets and the other not.
[[nodiscard]] std::optional<telemetry::FloatHistogram> interpolate_histogram(
    const SampleColumns::HistogramPoint& from, const SampleColumns::HistogramPoint& to,
    std::int64_t time_ms, bool is_counter, RangeNotes& notes);

/// As FloatGrowth, of histograms. Not thread-safe.
class HistogramGrowth {
 public:
  /// `points`: without stale markers.
  HistogramGrowth(std::span<const SampleColumns::HistogramPoint> points, bool is_counter);

  /// A gauge, not compacted. Nothing, and a note, when histograms with exponential and custom
  /// buckets meet.
  [[nodiscard]] std::optional<telemetry::FloatHistogram> over(const ExtendedRange& range,
                                                              ExtendedWindow window);

  /// Of all ranges so far.
  [[nodiscard]] const RangeNotes& notes() const { return notes_; }

 private:
  struct Ends {
    telemetry::FloatHistogram left;
    telemetry::FloatHistogram right;
  };

  /// What a counter lost at resets inside a range.
  struct Loss {
    bool is_known = true;  ///< False: there were histograms that cannot be added.
    std::optional<telemetry::FloatHistogram> histogram;  ///< Absent: there was no reset.
  };

  [[nodiscard]] const telemetry::FloatHistogram& histogram(std::size_t index) const {
    return *points_[index].histogram;
  }

  [[nodiscard]] bool has_like_buckets(ExtendedWindow window);
  [[nodiscard]] std::optional<Ends> find_ends(const ExtendedRange& range, ExtendedWindow window);
  [[nodiscard]] Loss lost(const ExtendedRange& range, ExtendedWindow window, const Ends& ends);

  std::span<const SampleColumns::HistogramPoint> points_;
  bool is_counter_;
  // Indexes of samples, ascending.
  std::vector<std::uint32_t> gauges_;          ///< Counters only.
  std::vector<std::uint32_t> resets_;          ///< Counters only; as FloatGrowth::resets_.
  std::vector<std::uint32_t> bucket_changes_;  ///< From exponential to custom buckets, or back.
  RangeNotes notes_;
};

}  // namespace gantry::promql::eval
