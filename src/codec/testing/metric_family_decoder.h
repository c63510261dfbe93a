#pragma once

// Reads delimited io.prometheus.client.MetricFamily messages back, for round trips.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/metric_family_encoder.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::codec::testing {

struct DecodedMetric {
  telemetry::Labels labels;
  bool has_untyped = false;
  double untyped = 0;
  bool has_histogram = false;
  telemetry::FloatHistogram histogram;
  std::vector<ClassicBucket> buckets;
  std::int64_t timestamp_ms = 0;
};

struct DecodedFamily {
  std::string name;
  std::int32_t type = -1;
  std::vector<DecodedMetric> metrics;
};

/// Fails the running test on a field that does not belong there; throws on truncated input.
[[nodiscard]] std::vector<DecodedFamily> decode_metric_families(std::string_view bytes);

}  // namespace gantry::codec::testing
