#pragma once

// A batch as lines of text, so that a test can say what it expects of one.

#include <string>
#include <vector>

#include "telemetry/metric_batch.h"

namespace gantry::codec::testing {

/// The labels of a series as format_series prints them, or "error: <message>".
[[nodiscard]] std::string series_text(const telemetry::MetricBatch& batch, std::uint32_t series);

/// One line per sample, sorted: `up{job="x"} 1 @1000`, with ` start=900` when known, `StaleNaN` for
/// the stale marker, `!` after the series for best-effort ones; histograms as format_histogram
/// prints them; exemplars as `exemplar up{…} {trace_id="a"} 1 @1000`; metadata as `metadata
/// family type "help" "unit"`.
[[nodiscard]] std::vector<std::string> batch_lines(const telemetry::MetricBatch& batch);

/// The same joined by newlines.
[[nodiscard]] std::string batch_text(const telemetry::MetricBatch& batch);

}  // namespace gantry::codec::testing
