#include "promql/eval/smoothed_selector.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "promql/eval/extended_window.h"
#include "promql/eval/series_input.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using telemetry::CounterResetHint;
using HistogramPoint = SampleColumns::HistogramPoint;

class SmoothedSelector final : public RowProducer {
 public:
  /// `around`: what the lookback reaches on both sides of each step.
  SmoothedSelector(QueryContext& context, SeriesInputPtr input, const kernels::WindowGrid& around,
                   Position position)
      : context_(context), input_(std::move(input)), around_(around), position_(position) {}

  [[nodiscard]] std::size_t count() const override { return input_->count(); }

  [[nodiscard]] LabelSetId labels(std::size_t row) override { return input_->labels(row); }

  [[nodiscard]] LabelSetId project(std::size_t row, Projection& projection) override {
    return input_->project(row, projection);
  }

  [[nodiscard]] bool drops_name(std::size_t /*row*/) const override { return false; }

  [[nodiscard]] bool may_collide() override { return false; }

  [[nodiscard]] bool may_collide_without_name() override {
    return input_->may_collide_without_name();
  }

  [[nodiscard]] Result<void> produce(std::size_t first, const RowsView& out,
                                     BatchScratch& scratch) const override {
    for (std::size_t i = 0; i < out.count; ++i) {
      GANTRY_CHECK(input_->read(first + i, scratch.columns));
      remove_stale_markers(scratch.columns);
      Reservation reservation(context_.budget);
      const std::uint64_t samples = count_samples(scratch.columns);
      GANTRY_CHECK(reservation.grow(samples, 0));
      scratch.samples_read += samples;
      produce_row(first + i, out.sub(i, 1), scratch);
    }
    return {};
  }

 private:
  void produce_row(std::size_t series, const RowsView& out, BatchScratch& scratch) const {
    const SampleColumns& columns = scratch.columns;
    std::vector<std::int64_t> histogram_times_ms;
    histogram_times_ms.reserve(columns.histograms.size());
    for (const HistogramPoint& point : columns.histograms) {
      histogram_times_ms.push_back(point.timestamp_ms);
    }
    std::vector<Window> floats(out.steps);
    std::vector<Window> histograms(out.steps);
    kernels::build_windows(columns.timestamps_ms, around_, floats);
    kernels::build_windows(histogram_times_ms, around_, histograms);
    const HistogramNotes notes{.annotations = scratch.annotations,
                               .metric_name = input_->metric_name(series),
                               .position = position_};
    for (std::size_t step = 0; step < out.steps; ++step) {
      const std::int64_t now_ms = around_.end_ms(step) - (around_.range_ms / 2);
      if (floats[step].size() > 0 && histograms[step].size() > 0) {
        notes.annotations.warn(
            with_quoted("encountered a mix of histograms and floats for metric name",
                        notes.metric_name),
            notes.position);
      } else if (histograms[step].size() > 0) {
        const std::uint32_t next = find_next(histogram_times_ms, histograms[step], now_ms);
        put_histogram(columns.histograms, histograms[step], next, now_ms, notes, out, step);
      } else if (floats[step].size() > 0) {
        const std::uint32_t next = find_next(columns.timestamps_ms, floats[step], now_ms);
        put_float(columns, floats[step], next, now_ms, out, step);
      }
      if (is_present(out, step)) ++scratch.samples_total;
    }
  }

  static bool is_present(const RowsView& out, std::size_t step) {
    const HistogramRow& histograms = out.histograms[0];
    return kernels::test_bit(out.bits(0), step) ||
           (!histograms.empty() && histograms[step] != nullptr);
  }

  /// The first sample of `window` that is not before `now_ms`; the window's end when there is none.
  static std::uint32_t find_next(const std::vector<std::int64_t>& timestamps_ms, Window window,
                                 std::int64_t now_ms) {
    const auto begin = timestamps_ms.begin();
    return static_cast<std::uint32_t>(
        std::lower_bound(begin + window.begin, begin + window.end, now_ms) - begin);
  }

  static void put_float(const SampleColumns& columns, Window window, std::uint32_t next,
                        std::int64_t now_ms, const RowsView& out, std::size_t step) {
    const bool has_next = next < window.end;
    double value = 0;
    if (has_next && columns.timestamps_ms[next] == now_ms) {
      value = columns.values[next];
    } else if (next == window.begin) {
      return;  // Only later samples.
    } else if (has_next) {
      value = interpolate({columns.timestamps_ms[next - 1], columns.values[next - 1]},
                          {columns.timestamps_ms[next], columns.values[next]}, now_ms, false);
    } else {
      value = columns.values[next - 1];
    }
    out.row(0)[step] = value;
    kernels::set_bit(out.bits(0), step);
  }

  static void put_histogram(const std::vector<HistogramPoint>& points, Window window,
                            std::uint32_t next, std::int64_t now_ms, const HistogramNotes& notes,
                            const RowsView& out, std::size_t step) {
    const bool has_next = next < window.end;
    HistogramPtr value;
    if (has_next && points[next].timestamp_ms == now_ms) {
      value = points[next].histogram;
    } else if (next == window.begin) {
      return;  // Only later samples.
    } else if (has_next) {
      value = between(points[next - 1], points[next], now_ms, notes);
    } else {
      // The hint tells a sample from the one before it, which says nothing of this moment.
      auto carried = std::make_shared<telemetry::FloatHistogram>(*points[next - 1].histogram);
      carried->hint = CounterResetHint::Unknown;
      value = std::move(carried);
    }
    if (value == nullptr) return;
    HistogramRow& row = out.histograms[0];
    if (row.empty()) row.resize(out.steps);
    row[step] = std::move(value);
  }

  static HistogramPtr between(const HistogramPoint& previous, const HistogramPoint& next,
                              std::int64_t now_ms, const HistogramNotes& notes) {
    if (previous.histogram->uses_custom_buckets() != next.histogram->uses_custom_buckets()) {
      warn_mixed_schemas(notes);
      return nullptr;
    }
    const bool is_counter = previous.histogram->hint != CounterResetHint::Gauge ||
                            next.histogram->hint != CounterResetHint::Gauge;
    std::optional<telemetry::FloatHistogram> value =
        interpolate_histogram(previous, next, now_ms, is_counter, notes);
    if (!value) return nullptr;
    return std::make_shared<const telemetry::FloatHistogram>(*std::move(value));
  }

  QueryContext& context_;
  SeriesInputPtr input_;
  kernels::WindowGrid around_;
  Position position_;
};

}  // namespace

Result<RowProducerPtr> make_smoothed_selector(QueryContext& context, const VectorSelector& selector,
                                              const Grid& grid, Position position,
                                              std::string_view within) {
  kernels::WindowGrid around = window_grid(context, grid, selector.time, 2 * context.lookback_ms);
  around.first_end_ms += context.lookback_ms;
  GANTRY_TRY(SeriesInputPtr input, select_series(context, selector, around, grid.count, within, 0));
  return std::make_unique<SmoothedSelector>(context, std::move(input), around, position);
}

}  // namespace gantry::promql::eval
