#include "promql/eval/range_histograms.h"

#include <cstdint>
#include <string>
#include <vector>

#include "promql/eval/transitions.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using HistogramColumn = std::vector<SampleColumns::HistogramPoint>;

/// One step of a series: the floats and the histograms in its window.
struct MixedWindow {
  const kernels::RangeInput& in;
  const HistogramColumn& histograms;
  Window floats;
  Window points;  ///< Of `histograms`.

  [[nodiscard]] bool is_mixed() const { return floats.size() > 0 && points.size() > 0; }

  [[nodiscard]] std::int64_t float_ms(std::uint32_t i) const { return in.timestamps_ms[i]; }

  [[nodiscard]] std::int64_t histogram_ms(std::uint32_t i) const {
    return histograms[i].timestamp_ms;
  }

  /// Whether the first, or the last, sample is a histogram. At least one sample must be there.
  [[nodiscard]] bool is_first_histogram() const {
    if (floats.size() == 0 || points.size() == 0) return floats.size() == 0;
    return histogram_ms(points.begin) < float_ms(floats.begin);
  }

  [[nodiscard]] bool is_last_histogram() const {
    if (floats.size() == 0 || points.size() == 0) return floats.size() == 0;
    return histogram_ms(points.end - 1) > float_ms(floats.end - 1);
  }

  /// How many of the last two samples are histograms; of one sample, or none, as many.
  [[nodiscard]] int histograms_of_last_two() const {
    Window f = floats;
    Window h = points;
    int count = 0;
    for (int i = 0; i < 2 && f.size() + h.size() > 0; ++i) {
      if (f.size() == 0 || (h.size() > 0 && histogram_ms(h.end - 1) > float_ms(f.end - 1))) {
        --h.end;
        ++count;
      } else {
        --f.end;
      }
    }
    return count;
  }
};

/// Combines one step; holds the row that is written.
class Combiner {
 public:
  Combiner(const MixedSeries& series, const SampleColumns& columns, const RowsView& out,
           AnnotationSet& annotations)
      : series_(series), columns_(columns), out_(out), annotations_(annotations) {}

  void combine(const MixedWindow& window, std::size_t step) {
    switch (series_.function) {
      case FunctionId::CountOverTime:
        set(step, static_cast<double>(window.floats.size() + window.points.size()));
        return;
      case FunctionId::PresentOverTime:
        set(step, 1);
        return;
      case FunctionId::Changes:
        set(step, count_transitions(run_of(window), Transition::Change));
        return;
      case FunctionId::Resets:
        set(step, count_transitions(run_of(window), Transition::Reset));
        return;
      case FunctionId::FirstOverTime:
      case FunctionId::LastOverTime:
      case FunctionId::TsOfFirstOverTime:
      case FunctionId::TsOfLastOverTime:
        pick(window, step);
        return;
      case FunctionId::Irate:
      case FunctionId::Idelta:
        combine_instant(window, step);
        return;
      case FunctionId::Rate:
      case FunctionId::Increase:
      case FunctionId::Delta:
      case FunctionId::SumOverTime:
      case FunctionId::AvgOverTime:
        if (window.is_mixed()) refuse(step);
        return;
      default:
        if (window.is_mixed()) {
          annotations_.info("ignored histograms in a range containing both floats and histograms" +
                                for_metric_name(series_.metric_name),
                            series_.position);
        }
        return;
    }
  }

 private:
  [[nodiscard]] MixedRun run_of(const MixedWindow& window) const {
    return {.columns = columns_,
            .floats = window.floats,
            .histograms = window.points,
            .uses_start_timestamps = series_.uses_start_timestamps};
  }

  void set(std::size_t step, double value) {
    out_.row(0)[step] = value;
    kernels::set_bit(out_.bits(0), step);
  }

  void refuse(std::size_t step) {
    kernels::clear_bit(out_.bits(0), step);
    annotations_.warn(
        "encountered a mix of histograms and floats" + for_metric_name(series_.metric_name),
        series_.position);
  }

  void combine_instant(const MixedWindow& window, std::size_t step) {
    const std::uint32_t samples = window.floats.size() + window.points.size();
    const int histograms = window.histograms_of_last_two();
    if (samples < 2 || histograms == 2) {
      kernels::clear_bit(out_.bits(0), step);
    } else if (histograms == 1) {
      refuse(step);
    }
  }

  void pick(const MixedWindow& window, std::size_t step) {
    const bool is_first = series_.function == FunctionId::FirstOverTime ||
                          series_.function == FunctionId::TsOfFirstOverTime;
    if (!(is_first ? window.is_first_histogram() : window.is_last_histogram())) return;
    const SampleColumns::HistogramPoint& point =
        window.histograms[is_first ? window.points.begin : window.points.end - 1];
    if (series_.function == FunctionId::TsOfFirstOverTime ||
        series_.function == FunctionId::TsOfLastOverTime) {
      set(step, static_cast<double>(point.timestamp_ms) / 1000);
      return;
    }
    kernels::clear_bit(out_.bits(0), step);
    HistogramRow& row = out_.histograms[0];
    if (row.empty()) row.resize(out_.steps);
    row[step] = point.histogram;
  }

  const MixedSeries& series_;
  const SampleColumns& columns_;
  const RowsView& out_;
  AnnotationSet& annotations_;
};

}  // namespace

void combine_with_histograms(const MixedSeries& series, const kernels::RangeInput& in,
                             const RowsView& out, BatchScratch& scratch) {
  std::vector<std::int64_t> times;
  times.reserve(scratch.columns.histograms.size());
  for (const auto& point : scratch.columns.histograms) times.push_back(point.timestamp_ms);
  scratch.histogram_windows.resize(out.steps);
  kernels::build_windows(times, series.grid, scratch.histogram_windows);
  Combiner combiner(series, scratch.columns, out, scratch.annotations);
  for (std::size_t step = 0; step < out.steps; ++step) {
    const Window points = scratch.histogram_windows[step];
    scratch.samples_total += points.size();
    if (points.size() == 0) continue;
    combiner.combine({.in = in,
                      .histograms = scratch.columns.histograms,
                      .floats = in.windows[step],
                      .points = points},
                     step);
  }
}

}  // namespace gantry::promql::eval
