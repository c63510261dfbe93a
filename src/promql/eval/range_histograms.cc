#include "promql/eval/range_histograms.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "promql/eval/histogram_rate.h"
#include "promql/eval/range_notes.h"
#include "promql/histogram/accumulate.h"
#include "promql/histogram/size.h"

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

/// The sum or mean of a window of histograms, null when their buckets do not mix.
template <class Accumulator>
HistogramPtr accumulate(const MixedWindow& window, RangeNotes& notes) {
  Accumulator accumulator;
  for (std::uint32_t i = window.points.begin; i < window.points.end; ++i) {
    accumulator.add(*window.histograms[i].histogram);
    if (accumulator.notes().is_possible) continue;
    notes.mixes_buckets = true;
    return nullptr;
  }
  notes.has_conflicting_resets |= accumulator.notes().has_hint_conflict;
  notes.reconciled_aggregation |= accumulator.notes().has_reconciled_bounds;
  return std::make_shared<const telemetry::FloatHistogram>(accumulator.result());
}

/// Combines one step after the other; holds the row that is written.
class Combiner {
 public:
  Combiner(const MixedSeries& series, const RowsView& out, const HistogramColumn& histograms)
      : series_(series),
        out_(out),
        rate_(series.function, histograms, series.grid, series.starts) {}

  void combine(const MixedWindow& window, std::size_t step) {
    switch (series_.function) {
      case FunctionId::CountOverTime:
        set(step, static_cast<double>(window.floats.size() + window.points.size()));
        return;
      case FunctionId::PresentOverTime:
        set(step, 1);
        return;
      case FunctionId::FirstOverTime:
      case FunctionId::LastOverTime:
      case FunctionId::TsOfFirstOverTime:
      case FunctionId::TsOfLastOverTime:
        pick(window, step);
        return;
      case FunctionId::Irate:
      case FunctionId::Idelta:
        combine_last_two(window, step);
        return;
      case FunctionId::Rate:
      case FunctionId::Increase:
      case FunctionId::Delta:
      case FunctionId::SumOverTime:
      case FunctionId::AvgOverTime:
        window.is_mixed() ? refuse(step) : put(step, of_histograms(window, step));
        return;
      default:
        notes_.ignores_histograms |= window.is_mixed();
        return;
    }
  }

  /// Once all steps are combined.
  [[nodiscard]] RangeNotes notes() const {
    RangeNotes notes = notes_;
    notes.merge(rate_.notes());
    return notes;
  }

 private:
  void set(std::size_t step, double value) {
    out_.row(0)[step] = value;
    kernels::set_bit(out_.bits(0), step);
  }

  void put(std::size_t step, HistogramPtr histogram) {
    kernels::clear_bit(out_.bits(0), step);
    if (histogram == nullptr) return;
    HistogramRow& row = out_.histograms[0];
    if (row.empty()) row.resize(out_.steps);
    row[step] = std::move(histogram);
  }

  void refuse(std::size_t step) {
    kernels::clear_bit(out_.bits(0), step);
    notes_.mixes_kinds = true;
  }

  HistogramPtr of_histograms(const MixedWindow& window, std::size_t step) {
    switch (series_.function) {
      case FunctionId::SumOverTime:
        return accumulate<histogram::Total>(window, notes_);
      case FunctionId::AvgOverTime:
        return accumulate<histogram::Mean>(window, notes_);
      default:
        return rate_.over(window.points, series_.grid.end_ms(step));
    }
  }

  void combine_last_two(const MixedWindow& window, std::size_t step) {
    const int histograms = window.histograms_of_last_two();
    if (window.floats.size() + window.points.size() < 2) {
      put(step, nullptr);
    } else if (histograms == 1) {
      refuse(step);
    } else if (histograms == 2) {
      put(step, rate_.at(window.points.end - 1));
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
    put(step, point.histogram);
  }

  const MixedSeries& series_;
  const RowsView& out_;
  HistogramRate rate_;
  RangeNotes notes_;
};

/// changes and resets: of both kinds together, in order of time.
void write_transitions(const MixedSeries& series, const kernels::RangeInput& in,
                       const RowsView& out, const BatchScratch& scratch) {
  const Transition transition =
      series.function == FunctionId::Changes ? Transition::Change : Transition::Reset;
  const Transitions transitions(scratch.columns, transition, series.starts);
  for (std::size_t step = 0; step < out.steps; ++step) {
    const Window histograms = scratch.histogram_windows[step];
    if (in.windows[step].size() + histograms.size() == 0) continue;
    out.row(0)[step] = transitions.count(in.windows[step], histograms);
    kernels::set_bit(out.bits(0), step);
  }
}

/// Adds to the statistics what the windows hold, each fully.
void count_window_samples(BatchScratch& scratch) {
  const HistogramColumn& histograms = scratch.columns.histograms;
  std::vector<std::uint64_t> sums(histograms.size() + 1);
  for (std::size_t i = 0; i < histograms.size(); ++i) {
    sums[i + 1] = sums[i] + histogram::count_samples(*histograms[i].histogram);
  }
  for (const Window window : scratch.histogram_windows) {
    scratch.samples_total += sums[window.end] - sums[window.begin];
  }
}

}  // namespace

void combine_with_histograms(const MixedSeries& series, const kernels::RangeInput& in,
                             const RowsView& out, BatchScratch& scratch) {
  const HistogramColumn& histograms = scratch.columns.histograms;
  std::vector<std::int64_t> times;
  times.reserve(histograms.size());
  for (const auto& point : histograms) times.push_back(point.timestamp_ms);
  scratch.histogram_windows.resize(out.steps);
  kernels::build_windows(times, series.grid, scratch.histogram_windows);
  count_window_samples(scratch);
  if (series.function == FunctionId::Changes || series.function == FunctionId::Resets) {
    write_transitions(series, in, out, scratch);
    return;
  }
  Combiner combiner(series, out, histograms);
  for (std::size_t step = 0; step < out.steps; ++step) {
    const Window points = scratch.histogram_windows[step];
    if (points.size() == 0) continue;
    combiner.combine(
        {.in = in, .histograms = histograms, .floats = in.windows[step], .points = points}, step);
  }
  combiner.notes().write(series.metric_name, series.position, series.first_position,
                         scratch.annotations);
}

}  // namespace gantry::promql::eval
