#include "promql/eval/instant_selector.h"

#include <bit>
#include <memory>
#include <utility>

#include "promql/eval/input_rows.h"
#include "promql/eval/series_input.h"
#include "promql/histogram/size.h"
#include "telemetry/sample.h"

namespace gantry::promql::eval {
namespace {

double seconds(std::int64_t timestamp_ms) {
  return static_cast<double>(timestamp_ms) / 1000;
}

class InstantSelector final : public InputRows {
 public:
  InstantSelector(QueryContext& context, SeriesInputPtr input, const kernels::WindowGrid& windows,
                  std::size_t steps, InstantValue value)
      : InputRows(context, std::move(input), NameRule::Keep),
        windows_(windows),
        steps_(steps),
        value_(value) {}

  [[nodiscard]] Result<void> produce(std::size_t first, const RowsView& out,
                                     BatchScratch& scratch) const override {
    for (std::size_t i = 0; i < out.count; ++i) {
      GANTRY_CHECK(input_->read(first + i, scratch.columns));
      const SampleColumns& columns = scratch.columns;
      const std::uint64_t samples = count_samples(columns);
      Reservation reservation(context_.budget);
      GANTRY_CHECK(reservation.grow(samples, histogram_bytes(columns)));
      scratch.samples_read += samples;
      if (columns.histograms.empty()) {
        fill_floats(columns, out.row(i), out.bits(i), scratch);
      } else {
        fill_mixed(columns, out, i, scratch);
        GANTRY_CHECK(hold_histograms(out.histograms[i], scratch));
      }
    }
    return {};
  }

 private:
  /// Which sample each step sees. Series that are scraped together share it.
  void find_newest(const std::vector<std::int64_t>& timestamps_ms, BatchScratch& scratch) const {
    if (scratch.newest.size() == steps_ && scratch.last_timestamps_ms == timestamps_ms) return;
    scratch.last_timestamps_ms = timestamps_ms;
    scratch.newest.resize(steps_);
    const auto count = static_cast<std::uint32_t>(timestamps_ms.size());
    std::uint32_t next = 0;
    for (std::size_t step = 0; step < steps_; ++step) {
      const std::int64_t now = windows_.end_ms(step);
      while (next < count && timestamps_ms[next] <= now) ++next;
      const bool is_recent = next > 0 && timestamps_ms[next - 1] > now - windows_.range_ms;
      scratch.newest[step] = is_recent ? next : 0;
    }
  }

  // Hot: per step of a series.
  void fill_floats(const SampleColumns& columns, std::span<double> values,
                   std::span<std::uint64_t> bits, BatchScratch& scratch) const {
    find_newest(columns.timestamps_ms, scratch);
    const bool is_plain = value_ == InstantValue::Sample;
    for (std::size_t step = 0; step < steps_; ++step) {
      const std::uint32_t newest = scratch.newest[step];
      if (newest == 0) continue;
      const double value = columns.values[newest - 1];
      if (telemetry::is_stale_nan(value)) continue;
      values[step] = is_plain ? value : float_cell(columns, newest - 1);
      bits[step / 64] |= std::uint64_t{1} << (step % 64);
    }
    for (const std::uint64_t word : bits) {
      scratch.samples_total += static_cast<std::uint64_t>(std::popcount(word));
    }
  }

  void fill_mixed(const SampleColumns& columns, const RowsView& out, std::size_t row,
                  BatchScratch& scratch) const {
    std::size_t next_float = 0;
    std::size_t next_histogram = 0;
    for (std::size_t step = 0; step < steps_; ++step) {
      const std::int64_t now = windows_.end_ms(step);
      const std::int64_t oldest = now - windows_.range_ms;
      while (next_float < columns.timestamps_ms.size() &&
             columns.timestamps_ms[next_float] <= now) {
        ++next_float;
      }
      while (next_histogram < columns.histograms.size() &&
             columns.histograms[next_histogram].timestamp_ms <= now) {
        ++next_histogram;
      }
      const std::int64_t float_ms =
          next_float == 0 ? oldest : columns.timestamps_ms[next_float - 1];
      const std::int64_t histogram_ms =
          next_histogram == 0 ? oldest : columns.histograms[next_histogram - 1].timestamp_ms;
      if (float_ms > oldest && float_ms > histogram_ms) {
        if (telemetry::is_stale_nan(columns.values[next_float - 1])) continue;
        out.row(row)[step] = float_cell(columns, next_float - 1);
        kernels::set_bit(out.bits(row), step);
        ++scratch.samples_total;
      } else if (histogram_ms > oldest) {
        const SampleColumns::HistogramPoint& point = columns.histograms[next_histogram - 1];
        if (is_stale_histogram(*point.histogram)) continue;
        put_histogram(point, out, row, step);
        scratch.samples_total += histogram::count_samples(*point.histogram);
      }
    }
  }

  [[nodiscard]] double float_cell(const SampleColumns& columns, std::size_t index) const {
    switch (value_) {
      case InstantValue::Sample:
        return columns.values[index];
      case InstantValue::Timestamp:
        return seconds(columns.timestamps_ms[index]);
      case InstantValue::FloatTimeMs:
        return static_cast<double>(columns.timestamps_ms[index]);
      case InstantValue::StartTimestamp:
        return columns.start_timestamps_ms.empty() ? 0
                                                   : seconds(columns.start_timestamps_ms[index]);
    }
    return 0;
  }

  void put_histogram(const SampleColumns::HistogramPoint& point, const RowsView& out,
                     std::size_t row, std::size_t step) const {
    if (value_ == InstantValue::Sample || value_ == InstantValue::FloatTimeMs) {
      HistogramRow& histograms = out.histograms[row];
      if (histograms.empty()) histograms.resize(steps_);
      histograms[step] = point.histogram;
      return;
    }
    out.row(row)[step] =
        seconds(value_ == InstantValue::Timestamp ? point.timestamp_ms : point.start_timestamp_ms);
    kernels::set_bit(out.bits(row), step);
  }

  kernels::WindowGrid windows_;
  std::size_t steps_;
  InstantValue value_;
};

}  // namespace

Result<RowProducerPtr> make_instant_selector(QueryContext& context, const VectorSelector& selector,
                                             const Grid& grid, InstantValue value,
                                             std::string_view within) {
  const kernels::WindowGrid windows =
      window_grid(context, grid, selector.time, context.lookback_ms);
  GANTRY_TRY(SeriesInputPtr input,
             select_series(context, selector, windows, grid.count, within, 0));
  return std::make_unique<InstantSelector>(context, std::move(input), windows, grid.count, value);
}

}  // namespace gantry::promql::eval
