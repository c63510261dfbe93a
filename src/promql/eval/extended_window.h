#pragma once

// What an anchored or smoothed range selector makes of the samples of one series around a range.
//
// Pure functions, any number of threads. The order of the floating point operations is part of the
// contract, as in kernels/.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "promql/ast.h"
#include "promql/eval/annotations.h"
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

/// By how much a series grew over the range. Counters: what they lost at resets is added.
[[nodiscard]] double extended_growth(const FloatColumns& floats, const ExtendedRange& range,
                                     ExtendedWindow window, bool is_counter);

/// Who is told what was wrong with the histograms of a series.
struct HistogramNotes {
  AnnotationSet& annotations;
  std::string_view metric_name;
  Position position;
};

/// That histograms with exponential and with custom buckets met.
void warn_mixed_schemas(const HistogramNotes& notes);

/// A histogram on the line between two, as interpolate. Nothing, and a warning, when one has custom
/// buckets and the other not.
[[nodiscard]] std::optional<telemetry::FloatHistogram> interpolate_histogram(
    const SampleColumns::HistogramPoint& from, const SampleColumns::HistogramPoint& to,
    std::int64_t time_ms, bool is_counter, const HistogramNotes& notes);

/// As extended_growth; a gauge, not compacted. Nothing, and a warning, when histograms with
/// exponential and custom buckets meet.
[[nodiscard]] std::optional<telemetry::FloatHistogram> extended_histogram_growth(
    std::span<const SampleColumns::HistogramPoint> histograms, const ExtendedRange& range,
    ExtendedWindow window, bool is_counter, const HistogramNotes& notes);

}  // namespace gantry::promql::eval
