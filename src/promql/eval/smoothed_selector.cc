#include "promql/eval/smoothed_selector.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "promql/eval/extended_window.h"
#include "promql/eval/input_rows.h"
#include "promql/eval/range_notes.h"
#include "promql/eval/series_input.h"

namespace gantry::promql::eval {
namespace {

using kernels::Window;
using telemetry::CounterResetHint;
using HistogramPoint = SampleColumns::HistogramPoint;

/// Where a step lies among the samples of one kind that the lookback reaches on both sides of it.
struct Place {
  std::int64_t now_ms = 0;
  Window window;
  std::uint32_t next = 0;  ///< The first sample not before the step; the window's end: none.

  [[nodiscard]] bool has_previous() const { return next > window.begin; }

  [[nodiscard]] bool has_next() const { return next < window.end; }
};

Place find_place(const std::vector<std::int64_t>& timestamps_ms, Window window,
                 std::int64_t now_ms) {
  const auto begin = timestamps_ms.begin();
  const auto next = std::lower_bound(begin + window.begin, begin + window.end, now_ms);
  return {.now_ms = now_ms, .window = window, .next = static_cast<std::uint32_t>(next - begin)};
}

/// Nothing where all samples are later.
std::optional<double> value_at(const Place& place, const SampleColumns& columns) {
  const std::uint32_t next = place.next;
  if (place.has_next() && columns.timestamps_ms[next] == place.now_ms) return columns.values[next];
  if (!place.has_previous()) return std::nullopt;
  if (!place.has_next()) return columns.values[next - 1];
  return interpolate({columns.timestamps_ms[next - 1], columns.values[next - 1]},
                     {columns.timestamps_ms[next], columns.values[next]}, place.now_ms, false);
}

HistogramPtr between(const HistogramPoint& previous, const HistogramPoint& next,
                     std::int64_t now_ms, RangeNotes& notes) {
  if (previous.histogram->uses_custom_buckets() != next.histogram->uses_custom_buckets()) {
    notes.mixes_buckets = true;
    return nullptr;
  }
  const bool is_counter = previous.histogram->hint != CounterResetHint::Gauge ||
                          next.histogram->hint != CounterResetHint::Gauge;
  std::optional<telemetry::FloatHistogram> value =
      interpolate_histogram(previous, next, now_ms, is_counter, notes);
  if (!value) return nullptr;
  return std::make_shared<const telemetry::FloatHistogram>(*std::move(value));
}

/// Null where all samples are later, or where buckets do not mix.
HistogramPtr histogram_at(const Place& place, const std::vector<HistogramPoint>& points,
                          RangeNotes& notes) {
  const std::uint32_t next = place.next;
  if (place.has_next() && points[next].timestamp_ms == place.now_ms) return points[next].histogram;
  if (!place.has_previous()) return nullptr;
  if (place.has_next()) return between(points[next - 1], points[next], place.now_ms, notes);
  // The hint tells a sample from the one before it, which says nothing of this moment.
  auto carried = std::make_shared<telemetry::FloatHistogram>(*points[next - 1].histogram);
  carried->hint = CounterResetHint::Unknown;
  return carried;
}

class SmoothedSelector final : public InputRows {
 public:
  /// `around`: what the lookback reaches on both sides of each step.
  SmoothedSelector(QueryContext& context, SeriesInputPtr input, const kernels::WindowGrid& around,
                   Position position)
      : InputRows(context, std::move(input), NameRule::Keep),
        around_(around),
        position_(position) {}

  [[nodiscard]] Result<void> produce(std::size_t first, const RowsView& out,
                                     BatchScratch& scratch) const override {
    for (std::size_t i = 0; i < out.count; ++i) {
      GANTRY_CHECK(input_->read(first + i, scratch.columns));
      remove_stale_markers(scratch.columns);
      Reservation reservation(context_.budget);
      const std::uint64_t samples = count_samples(scratch.columns);
      GANTRY_CHECK(reservation.grow(samples, histogram_bytes(scratch.columns)));
      scratch.samples_read += samples;
      produce_row(first + i, out.sub(i, 1), scratch);
      GANTRY_CHECK(hold_histograms(out.histograms[i], scratch));
    }
    return {};
  }

 private:
  // Hot: per series.
  void produce_row(std::size_t series, const RowsView& out, BatchScratch& scratch) const {
    const SampleColumns& columns = scratch.columns;
    find_windows(out.steps, scratch);
    RangeNotes notes;
    for (std::size_t step = 0; step < out.steps; ++step) {
      const std::int64_t now_ms = around_.end_ms(step) - (around_.range_ms / 2);
      const Window floats = scratch.windows[step];
      const Window histograms = scratch.histogram_windows[step];
      if (floats.size() > 0 && histograms.size() > 0) {
        notes.mixes_kinds = true;
      } else if (histograms.size() > 0) {
        const Place place = find_place(scratch.histogram_times_ms, histograms, now_ms);
        put(histogram_at(place, columns.histograms, notes), out, step, scratch);
      } else if (floats.size() > 0) {
        put(value_at(find_place(columns.timestamps_ms, floats, now_ms), columns), out, step,
            scratch);
      }
    }
    notes.write(input_->metric_name(series), position_, position_, scratch.annotations);
  }

  void find_windows(std::size_t steps, BatchScratch& scratch) const {
    const SampleColumns& columns = scratch.columns;
    if (scratch.windows.size() != steps || scratch.last_timestamps_ms != columns.timestamps_ms) {
      scratch.last_timestamps_ms = columns.timestamps_ms;
      scratch.windows.resize(steps);
      kernels::build_windows(columns.timestamps_ms, around_, scratch.windows);
    }
    scratch.histogram_times_ms.clear();
    for (const HistogramPoint& point : columns.histograms) {
      scratch.histogram_times_ms.push_back(point.timestamp_ms);
    }
    scratch.histogram_windows.resize(steps);
    kernels::build_windows(scratch.histogram_times_ms, around_, scratch.histogram_windows);
  }

  static void put(std::optional<double> value, const RowsView& out, std::size_t step,
                  BatchScratch& scratch) {
    if (!value) return;
    out.row(0)[step] = *value;
    kernels::set_bit(out.bits(0), step);
    ++scratch.samples_total;
  }

  static void put(HistogramPtr value, const RowsView& out, std::size_t step,
                  BatchScratch& scratch) {
    if (value == nullptr) return;
    HistogramRow& row = out.histograms[0];
    if (row.empty()) row.resize(out.steps);
    row[step] = std::move(value);
    ++scratch.samples_total;
  }

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
