#include "promql/eval/histogram_hints.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "promql/eval/series_input.h"
#include "promql/histogram/arithmetic.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::eval {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using HistogramPointer = std::shared_ptr<const FloatHistogram>;

HistogramPointer statistics_of(const FloatHistogram& histogram, CounterResetHint hint) {
  auto result = std::make_shared<FloatHistogram>();
  result->hint = hint;
  result->schema = histogram.schema;
  result->count = histogram.count;
  result->sum = histogram.sum;
  return result;
}

constexpr std::size_t kFloat = std::numeric_limits<std::size_t>::max();

struct Sample {
  std::int64_t timestamp_ms = 0;
  std::size_t histogram = kFloat;  ///< Index, or kFloat.
};

std::vector<Sample> in_order_of_time(const SampleColumns& columns) {
  std::vector<Sample> samples;
  samples.reserve(columns.timestamps_ms.size() + columns.histograms.size());
  std::size_t f = 0;
  for (std::size_t h = 0; h < columns.histograms.size(); ++h) {
    const std::int64_t time_ms = columns.histograms[h].timestamp_ms;
    for (; f < columns.timestamps_ms.size() && columns.timestamps_ms[f] < time_ms; ++f) {
      samples.push_back({.timestamp_ms = columns.timestamps_ms[f]});
    }
    samples.push_back({.timestamp_ms = time_ms, .histogram = h});
  }
  for (; f < columns.timestamps_ms.size(); ++f) {
    samples.push_back({.timestamp_ms = columns.timestamps_ms[f]});
  }
  return samples;
}

/// Reads a series as an iterator does that is moved from window to window.
class Reader {
 public:
  explicit Reader(SampleColumns& columns)
      : columns_(columns), samples_(in_order_of_time(columns)) {}

  /// Sees what lies in (start, end], and what is passed on the way.
  void read(std::int64_t start_ms, std::int64_t end_ms) {
    if (is_at_end()) return;
    if (start_ms > time_ms()) {
      previous_ = nullptr;
      while (!is_at_end() && time_ms() < start_ms) ++position_;
    }
    while (!is_at_end() && time_ms() < end_ms) {
      see();
      ++position_;
    }
    if (!is_at_end() && time_ms() == end_ms) see();
  }

  void finish() {
    for (std::size_t i = 0; i < columns_.histograms.size(); ++i) {
      HistogramPointer& histogram = columns_.histograms[i].histogram;
      histogram = statistics_of(*histogram, i < hints_.size() ? hints_[i] : histogram->hint);
    }
  }

 private:
  [[nodiscard]] bool is_at_end() const { return position_ == samples_.size(); }

  [[nodiscard]] std::int64_t time_ms() const { return samples_[position_].timestamp_ms; }

  void see() {
    const std::size_t index = samples_[position_].histogram;
    if (index == kFloat || index < hints_.size()) return;
    while (hints_.size() < index)
      hints_.push_back(columns_.histograms[hints_.size()].histogram->hint);
    const FloatHistogram& current = *columns_.histograms[index].histogram;
    CounterResetHint hint = current.hint;
    if (!is_stale_histogram(current)) {
      if (hint == CounterResetHint::Unknown && previous_ != nullptr) {
        hint = histogram::is_counter_reset(current, *previous_) ? CounterResetHint::Reset
                                                                : CounterResetHint::NotReset;
      }
      previous_ = &current;
    }
    hints_.push_back(hint);
  }

  SampleColumns& columns_;
  std::vector<Sample> samples_;
  std::size_t position_ = 0;
  std::vector<CounterResetHint> hints_;       ///< Of the histograms seen or passed so far.
  const FloatHistogram* previous_ = nullptr;  ///< Owned by columns_.
};

}  // namespace

void reduce_to_statistics(const kernels::WindowGrid& windows, std::size_t steps,
                          SampleColumns& columns) {
  if (columns.histograms.empty()) return;
  Reader reader(columns);
  for (std::size_t step = 0; step < steps; ++step) {
    reader.read(windows.start_ms(step), windows.end_ms(step));
  }
  reader.finish();
}

}  // namespace gantry::promql::eval
