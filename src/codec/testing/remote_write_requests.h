#pragma once

// Remote write requests for tests.

#include <string>
#include <string_view>

#include "codec/remote_write.h"
#include "codec/remote_write_encoder.h"
#include "telemetry/native_histogram.h"
#include "telemetry/sample.h"

namespace gantry::codec::testing {

inline constexpr RemoteWriteVersion kVersions[] = {RemoteWriteVersion::V1, RemoteWriteVersion::V2};

inline WriteSeries simple_series(std::string_view name, double value = 1) {
  return {.labels = {{"__name__", std::string(name)}, {"job", "j"}},
          .samples = {{.timestamp_ms = 1000, .value = value}}};
}

inline telemetry::IntegerHistogram integer_histogram() {
  telemetry::IntegerHistogram h;
  h.schema = 3;
  h.zero_threshold = 1e-128;
  h.zero_count = 1;
  h.count = 9;
  h.sum = 18.4;
  h.positive_spans = {{-1, 2}, {3, 1}};
  h.positive_counts = {2, 1, 2};
  h.negative_spans = {{0, 1}};
  h.negative_counts = {3};
  h.hint = telemetry::CounterResetHint::NotReset;
  return h;
}

inline telemetry::FloatHistogram float_histogram() {
  telemetry::FloatHistogram h = telemetry::to_float(integer_histogram());
  h.positive_counts[0] = 2.5;
  h.count = 9.5;
  return h;
}

inline telemetry::IntegerHistogram custom_histogram() {
  telemetry::IntegerHistogram h;
  h.schema = telemetry::kCustomBucketsSchema;
  h.custom_values = {0.5, 1.0};
  h.count = 3;
  h.sum = 4.5;
  h.positive_spans = {{0, 3}};
  h.positive_counts = {1, 1, 1};
  return h;
}

inline WriteRequest full_request() {
  WriteRequest request;
  WriteSeries floats = simple_series("up");
  floats.samples.push_back({.timestamp_ms = 2000, .value = telemetry::stale_nan()});
  floats.samples.push_back({.timestamp_ms = -5, .value = -0.0});
  floats.exemplars.push_back(
      {.timestamp_ms = 1500, .value = 0.67, .labels = {{"trace_id", "abc"}}});
  floats.metadata = {.type = telemetry::MetricType::Gauge, .help = "help text", .unit = "s"};
  request.series.push_back(floats);
  WriteSeries histograms = simple_series("h");
  histograms.samples.clear();
  histograms.histograms = {{.timestamp_ms = 1, .histogram = integer_histogram()},
                           {.timestamp_ms = 2, .histogram = float_histogram()},
                           {.timestamp_ms = 3, .histogram = custom_histogram()}};
  histograms.metadata = {.type = telemetry::MetricType::Histogram, .help = "sizes"};
  request.series.push_back(histograms);
  request.metadata = {
      {.family = "up", .type = telemetry::MetricType::Gauge, .help = "help text", .unit = "s"},
      {.family = "h", .type = telemetry::MetricType::Histogram, .help = "sizes"}};
  return request;
}

inline std::string encoded(RemoteWriteVersion version, const WriteRequest& request) {
  std::string out;
  encode_remote_write(version, request, out);
  return out;
}

}  // namespace gantry::codec::testing
