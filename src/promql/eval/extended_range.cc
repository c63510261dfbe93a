#include "promql/eval/extended_range.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "promql/eval/counter_note.h"
#include "promql/eval/extended_window.h"
#include "promql/eval/input_rows.h"
#include "promql/eval/range_notes.h"
#include "promql/eval/transitions.h"
#include "promql/histogram/arithmetic.h"
#include "promql/histogram/size.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using kernels::WindowGrid;

std::string_view mode_name(RangeMode mode) {
  return mode == RangeMode::Anchored ? "anchored" : "smoothed";
}

bool can_be_extended(FunctionId function, RangeMode mode) {
  switch (function) {
    case FunctionId::Rate:
    case FunctionId::Increase:
    case FunctionId::Delta:
      return true;
    case FunctionId::Changes:
    case FunctionId::Resets:
      return mode == RangeMode::Anchored;
    default:
      return false;
  }
}

/// `range` with what the lookback reaches beyond its ends.
WindowGrid widen(WindowGrid range, RangeMode mode, std::int64_t lookback_ms) {
  range.range_ms += lookback_ms;
  if (mode == RangeMode::Smoothed) {
    range.first_end_ms += lookback_ms;
    range.range_ms += lookback_ms;
  }
  return range;
}

/// Which samples of one kind each step sees: in its range, and around it.
struct StepWindows {
  std::vector<Window> around;
  std::vector<Window> inside;

  void build(std::span<const std::int64_t> timestamps_ms, const WindowGrid& around_grid,
             const WindowGrid& inside_grid, std::size_t steps) {
    around.resize(steps);
    inside.resize(steps);
    kernels::build_windows(timestamps_ms, around_grid, around);
    kernels::build_windows(timestamps_ms, inside_grid, inside);
  }
};

/// One series while its steps are computed. Reused from series to series.
struct SeriesWindows {
  std::vector<std::int64_t> histogram_times_ms;
  std::vector<std::uint64_t> samples_up_to;  ///< Of the histograms before each index.
  StepWindows floats;
  StepWindows histograms;
};

/// What all steps together read.
std::uint64_t count_around(const SampleColumns& columns, SeriesWindows& windows) {
  std::uint64_t count = 0;
  for (const Window window : windows.floats.around) count += window.size();
  std::vector<std::uint64_t>& up_to = windows.samples_up_to;
  up_to.assign(1, 0);
  for (const auto& point : columns.histograms) {
    up_to.push_back(up_to.back() + histogram::count_samples(*point.histogram));
  }
  for (const Window window : windows.histograms.around) {
    count += up_to[window.end] - up_to[window.begin];
  }
  return count;
}

struct ExtendedCall {
  FunctionId function = FunctionId::Rate;
  RangeMode mode = RangeMode::Anchored;
  Position position;
  WindowGrid range;
  WindowGrid around;

  [[nodiscard]] ExtendedRange range_at(std::size_t step) const {
    return {.mode = mode, .start_ms = range.start_ms(step), .end_ms = range.end_ms(step)};
  }

  [[nodiscard]] bool is_counter() const { return function != FunctionId::Delta; }

  [[nodiscard]] double range_seconds() const { return static_cast<double>(range.range_ms) / 1000; }
};

void set(const RowsView& out, std::size_t step, double value) {
  out.row(0)[step] = value;
  kernels::set_bit(out.bits(0), step);
}

/// Computes rate, increase or delta of one series, step by step.
class GrowthRow {
 public:
  GrowthRow(const ExtendedCall& call, const SampleColumns& columns, const SeriesWindows& windows,
            const RowsView& out)
      : call_(call),
        columns_(columns),
        windows_(windows),
        out_(out),
        float_growth_({.timestamps_ms = columns.timestamps_ms, .values = columns.values},
                      call.is_counter()),
        histogram_growth_(columns.histograms, call.is_counter()) {}

  void compute(std::size_t step) {
    const Window floats = windows_.floats.around[step];
    const Window histograms = windows_.histograms.around[step];
    if (floats.size() > 0 && histograms.size() > 0) {
      mixes_kinds_ = true;
    } else if (histograms.size() > 0) {
      compute_histogram(step);
    } else if (floats.size() > 0) {
      compute_float(step);
    }
  }

  /// Once all steps are computed.
  [[nodiscard]] RangeNotes notes() const {
    RangeNotes notes = histogram_growth_.notes();
    notes.mixes_kinds = mixes_kinds_;
    return notes;
  }

 private:
  void compute_float(std::size_t step) {
    const ExtendedRange range = call_.range_at(step);
    const std::optional<ExtendedWindow> window = find_extended_window(
        columns_.timestamps_ms, range, windows_.floats.around[step], windows_.floats.inside[step]);
    if (!window || columns_.timestamps_ms[window->first] > range.end_ms) return;
    double growth = float_growth_.over(range, *window);
    if (call_.function == FunctionId::Rate) growth /= call_.range_seconds();
    set(out_, step, growth);
  }

  void compute_histogram(std::size_t step) {
    const ExtendedRange range = call_.range_at(step);
    const std::vector<std::int64_t>& times_ms = windows_.histogram_times_ms;
    const std::optional<ExtendedWindow> window = find_extended_window(
        times_ms, range, windows_.histograms.around[step], windows_.histograms.inside[step]);
    if (!window || times_ms[window->first] > range.end_ms) return;
    std::optional<telemetry::FloatHistogram> growth = histogram_growth_.over(range, *window);
    if (!growth) return;
    if (call_.function == FunctionId::Rate) histogram::divide(*growth, call_.range_seconds());
    histogram::compact(*growth);
    HistogramRow& row = out_.histograms[0];
    if (row.empty()) row.resize(out_.steps);
    row[step] = std::make_shared<const telemetry::FloatHistogram>(*std::move(growth));
  }

  const ExtendedCall& call_;
  const SampleColumns& columns_;
  const SeriesWindows& windows_;
  const RowsView& out_;
  FloatGrowth float_growth_;
  HistogramGrowth histogram_growth_;
  bool mixes_kinds_ = false;
};

/// changes or resets at one step, if a sample lies in its range. The newest sample up to the start
/// of the range, of either kind, counts as the first.
std::optional<double> count_transitions(const Transitions& transitions,
                                        const SampleColumns& columns, const SeriesWindows& windows,
                                        std::size_t step) {
  const auto first_at = [](Window around, Window inside) {
    return inside.begin > around.begin ? inside.begin - 1 : inside.begin;
  };
  Window floats = windows.floats.inside[step];
  Window histograms = windows.histograms.inside[step];
  if (floats.size() == 0 && histograms.size() == 0) return std::nullopt;
  const std::uint32_t f = first_at(windows.floats.around[step], floats);
  const std::uint32_t h = first_at(windows.histograms.around[step], histograms);
  const bool has_float = f < floats.begin;
  const bool has_histogram = h < histograms.begin;
  if (has_float &&
      (!has_histogram || columns.timestamps_ms[f] >= columns.histograms[h].timestamp_ms)) {
    floats.begin = f;
  } else if (has_histogram) {
    histograms.begin = h;
  }
  return transitions.count(floats, histograms);
}

class ExtendedProducer final : public InputRows {
 public:
  ExtendedProducer(QueryContext& context, const ExtendedCall& call, SeriesInputPtr input)
      : InputRows(context, std::move(input), NameRule::Drop), call_(call) {}

  [[nodiscard]] Result<void> produce(std::size_t first, const RowsView& out,
                                     BatchScratch& scratch) const override {
    SeriesWindows windows;
    for (std::size_t i = 0; i < out.count; ++i) {
      GANTRY_CHECK(input_->read(first + i, scratch.columns));
      remove_stale_markers(scratch.columns);
      Reservation reservation(context_.budget);
      const std::uint64_t samples = count_samples(scratch.columns);
      GANTRY_CHECK(reservation.grow(samples, histogram_bytes(scratch.columns)));
      scratch.samples_read += samples;
      produce_row(first + i, out.sub(i, 1), windows, scratch);
      GANTRY_CHECK(hold_histograms(out.histograms[i], scratch));
    }
    return {};
  }

 private:
  // Hot: per series.
  void produce_row(std::size_t series, const RowsView& out, SeriesWindows& windows,
                   BatchScratch& scratch) const {
    const SampleColumns& columns = scratch.columns;
    windows.floats.build(columns.timestamps_ms, call_.around, call_.range, out.steps);
    windows.histogram_times_ms.clear();
    for (const auto& point : columns.histograms) {
      windows.histogram_times_ms.push_back(point.timestamp_ms);
    }
    windows.histograms.build(windows.histogram_times_ms, call_.around, call_.range, out.steps);
    scratch.samples_total += count_around(columns, windows);
    if (call_.function == FunctionId::Changes || call_.function == FunctionId::Resets) {
      const Transitions transitions = find_transitions(columns);
      for (std::size_t step = 0; step < out.steps; ++step) {
        const auto count = count_transitions(transitions, columns, windows, step);
        if (count) set(out, step, *count);
      }
      return;
    }
    GrowthRow row(call_, columns, windows, out);
    for (std::size_t step = 0; step < out.steps; ++step) row.compute(step);
    row.notes().write(input_->metric_name(series), call_.position, call_.position,
                      scratch.annotations);
    if (call_.function == FunctionId::Rate || call_.function == FunctionId::Increase) {
      note_doubtful_counter(context_, *input_, series, out.bits(0), call_.position,
                            scratch.annotations);
    }
  }

  [[nodiscard]] Transitions find_transitions(const SampleColumns& columns) const {
    if (call_.function == FunctionId::Changes) {
      return {columns, Transition::Change, StartTimes::Ignored};
    }
    return {columns, Transition::Reset,
            context_.options.use_start_timestamps ? StartTimes::Used : StartTimes::Ignored};
  }

  ExtendedCall call_;
};

}  // namespace

const MatrixSelector* find_extended_selector(const Expr& range) {
  const auto* selector = std::get_if<MatrixSelector>(&strip_parens(range).node);
  const bool is_extended = selector != nullptr && selector->selector.mode != RangeMode::Plain;
  return is_extended ? selector : nullptr;
}

std::unexpected<Error> refuse_mode(RangeMode mode, std::string_view function) {
  const std::string_view functions = mode == RangeMode::Anchored
                                         ? "changes, delta, increase, rate, resets"
                                         : "delta, increase, rate";
  return fail(Code::FailedPrecondition,
              std::string(mode_name(mode)) + " modifier can only be used with: " +
                  std::string(functions) + " - not with " + std::string(function));
}

Result<RangeVector> select_extended(QueryContext& context, const MatrixSelector& selector,
                                    const Grid& grid, std::string_view within) {
  const WindowGrid range = window_grid(context, grid, selector.selector.time, selector.range_ms);
  const WindowGrid around = widen(range, selector.selector.mode, context.lookback_ms);
  GANTRY_TRY(SeriesInputPtr input, select_series(context, selector.selector, around, grid.count,
                                                 within, around.range_ms));
  return RangeVector{.input = std::move(input), .windows = range};
}

Result<RowProducerPtr> make_extended_call(QueryContext& context, const FunctionSignature& function,
                                          const MatrixSelector& selector, Position position,
                                          const Grid& grid) {
  const RangeMode mode = selector.selector.mode;
  if (!can_be_extended(function.id, mode)) return refuse_mode(mode, function.name);
  GANTRY_TRY(RangeVector series, select_extended(context, selector, grid, function.name));
  const ExtendedCall call{.function = function.id,
                          .mode = mode,
                          .position = position,
                          .range = series.windows,
                          .around = widen(series.windows, mode, context.lookback_ms)};
  return std::make_unique<ExtendedProducer>(context, call, std::move(series.input));
}

Result<void> extend_samples(RangeMode mode, std::int64_t start_ms, std::int64_t end_ms,
                            SampleColumns& columns) {
  if (!columns.histograms.empty()) {
    return fail(Code::FailedPrecondition,
                std::string(mode_name(mode)) + " modifier is not supported with histograms");
  }
  const WindowGrid grid{.first_end_ms = end_ms, .step_ms = 0, .range_ms = end_ms - start_ms};
  Window inside;
  kernels::build_windows(columns.timestamps_ms, grid, std::span(&inside, 1));
  const ExtendedRange range{.mode = mode, .start_ms = start_ms, .end_ms = end_ms};
  const auto count = static_cast<std::uint32_t>(columns.values.size());
  const std::optional<ExtendedWindow> window =
      find_extended_window(columns.timestamps_ms, range, {.begin = 0, .end = count}, inside);
  SampleColumns extended;
  if (window) {
    const EndValues ends = find_end_values(
        {.timestamps_ms = columns.timestamps_ms, .values = columns.values}, range, *window, false);
    const auto push = [&extended](std::int64_t timestamp_ms, double value) {
      extended.timestamps_ms.push_back(timestamp_ms);
      extended.values.push_back(value);
    };
    push(start_ms, ends.left);
    for (std::uint32_t i = inside.begin; i < inside.end; ++i) {
      if (columns.timestamps_ms[i] < end_ms) push(columns.timestamps_ms[i], columns.values[i]);
    }
    push(end_ms, ends.right);
  }
  columns = std::move(extended);
  return {};
}

}  // namespace gantry::promql::eval
