#pragma once

// Metrics for tests: as a codec would bring them, and as a receiver sees them.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broadcast/metric_items.h"
#include "codec/remote_write.h"
#include "codec/remote_write_encoder.h"
#include "codec/testing/remote_write_requests.h"
#include "core/arena.h"
#include "telemetry/labels.h"

namespace gantry::broadcast::testing {

/// A batch, with what it views.
class DecodedRequest {
 public:
  explicit DecodedRequest(std::string body,
                          codec::RemoteWriteVersion version = codec::RemoteWriteVersion::V1)
      : body_(std::move(body)) {
    const auto decoded = decoder_.decode(version, body_);
    EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
  }

  explicit DecodedRequest(const codec::WriteRequest& request) : DecodedRequest(encoded(request)) {}

  [[nodiscard]] const telemetry::MetricBatch& batch() const { return decoder_.batch(); }

  [[nodiscard]] std::string series(std::uint32_t index) const {
    core::Arena arena;
    std::vector<telemetry::LabelView> views;
    EXPECT_TRUE(batch().resolver->resolve(index, arena, views));
    std::vector<telemetry::Label> labels;
    for (const auto& [name, value] : views)
      labels.push_back({.name = std::string(name), .value = std::string(value)});
    return telemetry::format_series(telemetry::make_labels(std::move(labels)));
  }

  /// Timestamps of each series, in the order of the request.
  [[nodiscard]] std::map<std::string, std::vector<std::int64_t>> timestamps() const {
    std::map<std::string, std::vector<std::int64_t>> all;
    for (const auto& sample : batch().samples)
      all[series(sample.series)].push_back(sample.timestamp_ms);
    for (const auto& sample : batch().histograms)
      all[series(sample.series)].push_back(sample.timestamp_ms);
    return all;
  }

  static std::string encoded(const codec::WriteRequest& request) {
    std::string body;
    codec::encode_remote_write(codec::RemoteWriteVersion::V1, request, body);
    return body;
  }

 private:
  std::string body_;
  codec::RemoteWriteDecoder decoder_;
};

/// `name{i="index"}`, with samples of value `index` at these times.
inline codec::WriteSeries numbered_series(std::string_view name, int index,
                                          const std::vector<std::int64_t>& timestamps_ms) {
  codec::WriteSeries series{.labels = {{.name = "__name__", .value = std::string(name)},
                                       {.name = "i", .value = std::to_string(index)}}};
  for (const std::int64_t timestamp_ms : timestamps_ms)
    series.samples.push_back({.timestamp_ms = timestamp_ms, .value = static_cast<double>(index)});
  return series;
}

/// A counter's sample and a native histogram with a start each, and a sample without.
inline codec::WriteRequest request_with_starts() {
  codec::WriteRequest request;
  request.series = {numbered_series("work_total", 1, {1000}),
                    numbered_series("work_total", 2, {1000})};
  request.series[0].samples[0].start_timestamp_ms = 400;
  codec::WriteSeries took{.labels = {{.name = "__name__", .value = "took"}}};
  took.histograms = {{.timestamp_ms = 1000,
                      .start_timestamp_ms = 500,
                      .histogram = codec::testing::integer_histogram()}};
  request.series.push_back(std::move(took));
  return request;
}

/// What lies in the queue of it, one after the other.
inline std::string queued(const codec::WriteRequest& request) {
  const DecodedRequest came(codec::testing::encoded(codec::RemoteWriteVersion::V2, request),
                            codec::RemoteWriteVersion::V2);
  std::string messages;
  for (const MetricItem& item : encode_metric_items(came.batch(), {}, {})) messages += item.payload;
  return messages;
}

}  // namespace gantry::broadcast::testing
