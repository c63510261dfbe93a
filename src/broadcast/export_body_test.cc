#include "broadcast/export_body.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broadcast/testing/destinations.h"
#include "broadcast/testing/metric_requests.h"
#include "codec/otlp_metrics.h"

namespace gantry::broadcast {
namespace {

using testing::DecodedRequest;

/// What the destination is sent of these messages.
std::string body_for(const Destination& destination, std::string messages) {
  const std::vector<QueuedItem> items = {
      {.signal = Signal::Metrics, .payload = std::move(messages)}};
  const auto body = ExportBodies(destination.type).make(destination, items);
  EXPECT_TRUE(body) << (body ? "" : body.error().message);
  return body ? body->text : "";
}

TEST(ExportBodies, RemoteWrite1HasNoStartTimestamps) {
  codec::WriteRequest plain = testing::request_with_starts();
  plain.series[0].samples[0].start_timestamp_ms = 0;
  plain.series[2].histograms[0].start_timestamp_ms = 0;
  const std::string queued = testing::queued(testing::request_with_starts());
  EXPECT_NE(queued, testing::queued(plain));
  EXPECT_EQ(body_for(testing::remote_write_destination(), queued), testing::queued(plain));
}

TEST(ExportBodies, RemoteWrite2AndOtlpHaveThem) {
  codec::WriteRequest about;
  about.metadata = {{.family = "work", .type = telemetry::MetricType::Counter, .help = "Done."}};
  const std::string messages =
      DecodedRequest::encoded(about) + testing::queued(testing::request_with_starts());
  const auto expect_starts = [](const telemetry::MetricBatch& batch, std::string_view what) {
    EXPECT_EQ(std::ranges::count(batch.start_timestamps_ms, 400), 1) << what;
    ASSERT_EQ(batch.histograms.size(), 1U) << what;
    EXPECT_EQ(batch.histograms[0].start_timestamp_ms, 500) << what;
  };
  Destination second = testing::remote_write_destination();
  second.config.remote_write_version = 2;
  const DecodedRequest decoded(body_for(second, messages), codec::RemoteWriteVersion::V2);
  expect_starts(decoded.batch(), "remote write 2");
  const Destination otlp = narrowed_to(
      [] {
        Destination both = testing::collector_destination();
        both.config.signals = {.traces = true, .metrics = true};
        both.config.encoding = Encoding::Protobuf;
        return both;
      }(),
      Signal::Metrics);
  const std::string text = body_for(otlp, messages);
  const codec::OtlpOptions options;
  codec::OtlpMetricsDecoder decoder;
  ASSERT_TRUE(decoder.decode_protobuf(text, options));
  expect_starts(decoder.batch(), "OTLP");
}

TEST(ExportBodies, WhatIsNoMessageIsRefusedWhoeverGetsIt) {
  const std::vector<QueuedItem> items = {{.signal = Signal::Metrics, .payload = "\xff\xff"}};
  Destination second = testing::remote_write_destination();
  second.config.remote_write_version = 2;
  for (const Destination& destination :
       {testing::remote_write_destination(), second, testing::influx_destination()}) {
    const auto body = ExportBodies(destination.type).make(destination, items);
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().code, Code::InvalidArgument);
  }
}

}  // namespace
}  // namespace gantry::broadcast
