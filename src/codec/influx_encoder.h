#pragma once

// Samples as Influx line protocol, as senders of Prometheus metrics write it: the metric's name is
// the measurement, its labels are the tags, and the value is the field "value".
//
//   up,instance=a,job=node value=1 1465839830100000000

#include <cstddef>
#include <cstdint>
#include <string>

#include "telemetry/metric_batch.h"

namespace gantry::codec {

/// What the protocol cannot say is left out.
struct InfluxOmissions {
  std::uint64_t values = 0;  ///< NaN (stale markers too), infinities, and times that no
                             ///< nanosecond count holds.
  std::uint64_t labels = 0;  ///< Samples of series with a line break, a last backslash, no name.
  std::uint64_t histograms = 0;  ///< Native ones.

  [[nodiscard]] std::uint64_t total() const { return values + labels + histograms; }
};

/// Appends a line for each float sample, in the batch's order; timestamps are nanoseconds. Samples
/// of series whose labels cannot be resolved are left out like those with unspeakable ones.
InfluxOmissions append_influx_lines(const telemetry::MetricBatch& batch, std::string& out);

}  // namespace gantry::codec
