#pragma once

// What a collection gave, as text that tests compare.

#include <string>
#include <string_view>
#include <vector>

#include "telemetry/metric_batch.h"

namespace gantry::pipeline::testing {

/// `name{label="value"} value@ms`, one per sample, sorted; stale markers as "stale".
[[nodiscard]] std::vector<std::string> sample_lines(const telemetry::MetricBatch& batch);

/// Of those, the ones that begin with `prefix`.
[[nodiscard]] std::vector<std::string> sample_lines(const telemetry::MetricBatch& batch,
                                                    std::string_view prefix);

/// `series traceID=… value@ms`, one per exemplar, sorted.
[[nodiscard]] std::vector<std::string> exemplar_lines(const telemetry::MetricBatch& batch);

}  // namespace gantry::pipeline::testing
