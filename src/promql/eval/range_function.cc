#include "promql/eval/range_function.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/number_format.h"
#include "promql/eval/counter_note.h"
#include "promql/eval/input_rows.h"
#include "promql/eval/range_histograms.h"

namespace gantry::promql::eval {
namespace {

bool keeps_name(FunctionId function) {
  return function == FunctionId::LastOverTime || function == FunctionId::FirstOverTime;
}

bool uses_start_times(FunctionId function) {
  return function == FunctionId::Rate || function == FunctionId::Increase ||
         function == FunctionId::Irate || function == FunctionId::Resets;
}

bool is_quantile(double phi) {
  return phi >= 0 && phi <= 1;
}

class RangeProducer final : public InputRows {
 public:
  RangeProducer(QueryContext& context, RangeCall call, SeriesInputPtr input)
      : InputRows(context, std::move(input),
                  keeps_name(call.function) ? NameRule::Keep : NameRule::Drop),
        call_(std::move(call)),
        kernel_(kernels::find_range_kernel(call_.function)),
        has_odd_quantile_(call_.function == FunctionId::QuantileOverTime &&
                          !std::ranges::all_of(call_.argument, is_quantile)) {}

  [[nodiscard]] Result<void> produce(std::size_t first, const RowsView& out,
                                     BatchScratch& scratch) const override {
    for (std::size_t i = 0; i < out.count; ++i) {
      GANTRY_CHECK(input_->read(first + i, scratch.columns));
      Reservation reservation(context_.budget);
      GANTRY_CHECK(
          reservation.grow(count_samples(scratch.columns), histogram_bytes(scratch.columns)));
      produce_row(first + i, out.sub(i, 1), scratch);
      GANTRY_CHECK(hold_histograms(out.histograms[i], scratch));
    }
    return {};
  }

 private:
  // Hot: per series.
  void produce_row(std::size_t series, const RowsView& out, BatchScratch& scratch) const {
    SampleColumns& columns = scratch.columns;
    remove_stale_markers(columns);
    scratch.samples_read += count_samples(columns);
    find_windows(columns.timestamps_ms, out.steps, scratch);
    scratch.samples_total += scratch.windows_samples;
    const bool uses_starts =
        context_.options.use_start_timestamps && uses_start_times(call_.function);
    const bool has_starts = uses_starts && !columns.start_timestamps_ms.empty();
    const kernels::RangeInput in{
        .timestamps_ms = columns.timestamps_ms,
        .values = columns.values,
        .start_timestamps_ms = has_starts
                                   ? std::span<const std::int64_t>(columns.start_timestamps_ms)
                                   : std::span<const std::int64_t>(),
        .windows = scratch.windows,
        .grid = call_.windows,
        .argument = call_.argument,
        .second_argument = call_.argument_two,
        .first_step_ms = call_.grid.start_ms,
        .step_ms = call_.grid.step_ms};
    kernel_(in, scratch.range, out.row(0), out.bits(0));
    if (!columns.histograms.empty()) {
      combine_with_histograms({.function = call_.function,
                               .grid = call_.windows,
                               .position = call_.range_position,
                               .first_position = call_.first_position,
                               .metric_name = input_->metric_name(series),
                               .starts = uses_starts ? StartTimes::Used : StartTimes::Ignored},
                              in, out, scratch);
    }
    annotate(series, in, out.bits(0), scratch);
  }

  static bool same_times(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
    return a.size() == b.size() && (a.empty() || (a.front() == b.front() && a == b));
  }

  void find_windows(const std::vector<std::int64_t>& timestamps_ms, std::size_t steps,
                    BatchScratch& scratch) const {
    if (scratch.windows.size() == steps && same_times(scratch.last_timestamps_ms, timestamps_ms)) {
      return;
    }
    scratch.last_timestamps_ms = timestamps_ms;
    scratch.windows.resize(steps);
    kernels::build_windows(timestamps_ms, call_.windows, scratch.windows);
    scratch.windows_samples = 0;
    for (const kernels::Window window : scratch.windows) scratch.windows_samples += window.size();
  }

  void annotate(std::size_t series, const kernels::RangeInput& in,
                std::span<const std::uint64_t> bits, BatchScratch& scratch) const {
    if (call_.function == FunctionId::Rate || call_.function == FunctionId::Increase) {
      annotate_counter(series, in, bits, scratch);
    } else if (has_odd_quantile_) {
      for_each_bit(bits, [&](std::size_t step) {
        const double phi = call_.argument[step];
        if (is_quantile(phi)) return;
        std::string text = "quantile value should be between 0 and 1, got ";
        core::append_float_general(text, phi);
        scratch.annotations.warn(std::move(text), call_.scalar_position);
      });
    }
  }

  void annotate_counter(std::size_t series, const kernels::RangeInput& in,
                        std::span<const std::uint64_t> bits, BatchScratch& scratch) const {
    const bool has_histograms = !scratch.columns.histograms.empty();
    const std::size_t overlaps = kernels::count_start_time_overlaps(
        in, has_histograms ? std::span<const kernels::Window>(scratch.histogram_windows)
                           : std::span<const kernels::Window>());
    if (overlaps > 0) {
      scratch.annotations.add_start_time_overlaps(input_->metric_name(series), overlaps,
                                                  call_.range_position);
    }
    note_doubtful_counter(context_, *input_, series, bits, call_.range_position,
                          scratch.annotations);
  }

  RangeCall call_;
  kernels::RangeKernel kernel_;
  bool has_odd_quantile_;
};

Result<void> check_factor(std::string_view what, const std::vector<double>& factors) {
  for (const double factor : factors) {
    if (factor > 0 && factor < 1) continue;
    return fail(Code::FailedPrecondition,
                fmt::format("invalid {} factor. Expected: 0 < {} < 1, got: {:f}", what,
                            what == "trend" ? "tf" : "sf", factor));
  }
  return {};
}

}  // namespace

Result<RowProducerPtr> make_range_call(QueryContext& context, RangeCall call,
                                       SeriesInputPtr input) {
  if (call.function == FunctionId::DoubleExponentialSmoothing && input->count() > 0) {
    GANTRY_CHECK(check_factor("smoothing", call.argument));
    GANTRY_CHECK(check_factor("trend", call.argument_two));
  }
  return std::make_unique<RangeProducer>(context, std::move(call), std::move(input));
}

Result<std::vector<std::uint64_t>> steps_with_samples(QueryContext& context,
                                                      const kernels::WindowGrid& windows,
                                                      std::size_t steps, const SeriesInput& input) {
  const std::size_t words = kernels::bitmap_words(steps);
  std::vector<std::uint64_t> found(batch_count(context, input.count()) * words);
  GANTRY_CHECK(run_batches(
      context, input.count(), [&](const Batch& batch, BatchScratch& scratch) -> Result<void> {
        const std::span<std::uint64_t> bits = std::span(found).subspan(batch.index * words, words);
        std::vector<std::int64_t> histogram_times;
        scratch.windows.resize(steps);
        for (std::size_t i = 0; i < batch.count; ++i) {
          GANTRY_CHECK(input.read(batch.first + i, scratch.columns));
          remove_stale_markers(scratch.columns);
          scratch.samples_read += count_samples(scratch.columns);
          histogram_times.clear();
          for (const auto& point : scratch.columns.histograms) {
            histogram_times.push_back(point.timestamp_ms);
          }
          for (const std::vector<std::int64_t>* times :
               {&std::as_const(scratch.columns.timestamps_ms), &std::as_const(histogram_times)}) {
            kernels::build_windows(*times, windows, scratch.windows);
            for (std::size_t step = 0; step < steps; ++step) {
              if (scratch.windows[step].size() == 0) continue;
              kernels::set_bit(bits, step);
              scratch.samples_total += scratch.windows[step].size();
            }
          }
        }
        return {};
      }));
  std::vector<std::uint64_t> result(words);
  for (std::size_t i = 0; i < found.size(); ++i) result[i % words] |= found[i];
  return result;
}

}  // namespace gantry::promql::eval
