#pragma once

// The functions of range vectors in the plain evaluator: one window of one series at a time.

#include <optional>
#include <string>
#include <vector>

#include "promql/function_table.h"
#include "promql/testing/plain_value.h"

namespace gantry::promql::promqltest {

/// The samples of a series in (start, end], by kind, without stale markers.
struct PlainWindow {
  std::vector<PlainSample> floats;
  std::vector<PlainSample> histograms;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;  ///< When the function is asked.
  std::int64_t range_ms = 0;
  std::string metric_name;
  Position position;             ///< Of the range vector.
  Position first_argument;       ///< Of the call.
  bool has_start_times = false;  ///< Start timestamps count.
};

struct PlainAnswer {
  double value = 0;
  HistogramPointer histogram;
};

/// What rate, increase, delta, irate, idelta, resets and changes make of the window; nothing where
/// the series gets no sample.
[[nodiscard]] std::optional<PlainAnswer> rate_over_time(PlainNotes& notes, FunctionId function,
                                                        const PlainWindow& window);
[[nodiscard]] std::optional<PlainAnswer> last_two_over_time(PlainNotes& notes, FunctionId function,
                                                            const PlainWindow& window);
[[nodiscard]] std::optional<PlainAnswer> resets_over_time(const PlainWindow& window);
[[nodiscard]] std::optional<PlainAnswer> changes_over_time(const PlainWindow& window);

/// Any function of a range vector. `scalars` are its other arguments at this step, in order. The
/// window holds a sample.
[[nodiscard]] Result<std::optional<PlainAnswer>> over_time(PlainNotes& notes, FunctionId function,
                                                           const PlainWindow& window,
                                                           const std::vector<double>& scalars);

}  // namespace gantry::promql::promqltest
