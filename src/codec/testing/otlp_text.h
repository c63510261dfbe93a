#pragma once

// OTLP metrics requests and what they become, as text.

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "codec/otlp_metrics.h"
#include "codec/testing/batch_text.h"
#include "codec/testing/otlp_builder.h"

namespace gantry::codec::testing {

/// Without target_info and metadata, which have tests of their own.
inline std::string points_text(std::string_view metrics_json, OtlpOptions options = {}) {
  options.has_target_info = false;
  const std::string body = metrics_protobuf(request_with(metrics_json));
  OtlpMetricsDecoder decoder;
  const auto result = decoder.decode_protobuf(body, options);
  if (!result) return "error: " + result.error().message;
  std::string text;
  for (const std::string& line : batch_lines(decoder.batch())) {
    if (!line.starts_with("metadata ")) text += line + "\n";
  }
  const OtlpOutcome& outcome = decoder.outcome();
  if (outcome.rejected_data_points != 0) {
    text += "rejected " + std::to_string(outcome.rejected_data_points) + "\n";
  }
  if (!outcome.message().empty()) text += "message: " + outcome.message() + "\n";
  return text;
}

inline constexpr std::string_view kIds = R"({instance="i-1", job="shop/checkout"})";

inline std::string id_labels(std::string_view more) {
  std::string labels(kIds);
  // Sorted by name: callers give what goes behind `instance` and `job`.
  labels.insert(labels.size() - 1, ", " + std::string(more));
  return labels;
}

/// The whole batch.
inline std::string whole_text(std::string_view json, const OtlpOptions& options) {
  const std::string body = metrics_protobuf(json);
  OtlpMetricsDecoder decoder;
  EXPECT_TRUE(decoder.decode_protobuf(body, options));
  return batch_text(decoder.batch());
}

inline constexpr std::string_view kOneGauge =
    R"({"name":"g","description":"d","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"60000000000","asInt":1}]}})";

inline constexpr std::string_view kHistogram =
    R"({"name":"lat","unit":"s","histogram":{"aggregationTemporality":2,
    "dataPoints":[{"timeUnixNano":"60000000000","count":"6","sum":3.5,
     "bucketCounts":["0","3","0","2","1"],"explicitBounds":[0.1,0.5,1,5],
     "exemplars":[{"timeUnixNano":"1000000000","asDouble":0.5},{"timeUnixNano":"1000000000","asDouble":7}]}]}})";

}  // namespace gantry::codec::testing
