#pragma once

// io.prometheus.client.MetricFamily messages to bytes, as far as federation needs them: untyped
// samples, native histograms, and classic ones made from custom buckets.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/metric_family_fields.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::codec {

struct ClassicBucket {
  double upper_bound = 0;
  double cumulative_count = 0;
};

/// The buckets of a histogram with custom bounds, the last one up to +Inf.
[[nodiscard]] std::vector<ClassicBucket> classic_buckets(
    const telemetry::FloatHistogram& histogram);

/// Appends a family's field `metric`. The metric's name is not among the labels.
void append_metric(std::string& out, std::span<const telemetry::Label> labels, double value,
                   std::int64_t timestamp_ms);
void append_metric(std::string& out, std::span<const telemetry::Label> labels,
                   const telemetry::FloatHistogram& histogram, std::int64_t timestamp_ms);

/// Appends a family of what `append_metric` wrote into `metrics`, with its length in front.
void append_metric_family(std::string& out, std::string_view name, wire::client::MetricType type,
                          std::string_view metrics);

}  // namespace gantry::codec
