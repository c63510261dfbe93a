#pragma once

// Which spans become exemplars: few, spread over the range, and the same ones every time. Tempo
// draws them at random (spec: at most one per trace, two per slice of the range); here a span's
// rank is a hash of its trace id, so that neither the order of groups nor the workers matter.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "telemetry/span_batch.h"
#include "traceql/engine.h"
#include "traceql/metrics/intervals.h"

namespace gantry::traceql::metrics {

struct ExemplarCandidate {
  telemetry::TraceId trace_id;
  std::uint64_t rank = 0;  ///< exemplar_rank(trace_id).
  std::int64_t start_ns = 0;
  std::uint32_t interval = 0;
  std::uint32_t series = 0;                                 ///< Of whoever offers it.
  double value = std::numeric_limits<double>::quiet_NaN();  ///< NaN: the series' sample.
  std::uint32_t row = 0;                                    ///< Of the group, to find its labels.
  std::vector<NamedValue> labels;
};

[[nodiscard]] std::uint64_t exemplar_rank(const telemetry::TraceId& trace_id);

/// "2f3e": as answers write trace ids, leading zeros stripped.
[[nodiscard]] std::string trace_id_text(const telemetry::TraceId& trace_id);

/// Keeps the two of lowest rank in each of max / 2 equal slices of the range. One thread.
class ExemplarChoice {
 public:
  /// `count_max` 0: keeps none.
  ExemplarChoice(const Intervals& intervals, std::uint32_t count_max);

  [[nodiscard]] bool keeps_any() const { return !slices_.empty(); }

  /// Offer one span per trace.
  void offer(ExemplarCandidate candidate);

  /// Those that are kept, by time.
  [[nodiscard]] std::vector<ExemplarCandidate> take();

 private:
  static constexpr std::size_t kPerSlice = 2;

  std::int64_t start_ns_ = 0;
  std::uint64_t slice_ns_ = 1;
  std::size_t per_slice_ = kPerSlice;
  std::vector<std::vector<ExemplarCandidate>> slices_;  ///< Lowest rank first.
};

}  // namespace gantry::traceql::metrics
