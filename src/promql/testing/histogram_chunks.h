#pragma once

// Which counter-reset hints a store gives back: Prometheus keeps counter histograms in chunks
// without a reset inside, so only the first of a chunk has an unknown hint.

#include <optional>

#include "telemetry/native_histogram.h"

namespace gantry::promql::promqltest {

/// Feed the samples of one series in order of time.
class HistogramChunks {
 public:
  /// The hint that `histogram` reads back with.
  [[nodiscard]] telemetry::CounterResetHint next(const telemetry::FloatHistogram& histogram);

  /// A float between histograms ends the chunk.
  void cut() { previous_.reset(); }

 private:
  std::optional<telemetry::FloatHistogram> previous_;
  int count_ = 0;
};

}  // namespace gantry::promql::promqltest
