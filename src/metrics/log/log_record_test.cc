#include "metrics/log/log_record.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::metrics {
namespace {

telemetry::NativeHistogram some_histogram(std::uint64_t count) {
  telemetry::IntegerHistogram histogram;
  histogram.schema = 2;
  histogram.count = count;
  histogram.positive_spans = {{.offset = 3, .length = 1}};
  histogram.positive_counts = {count};
  return histogram;
}

TEST(LogRecord, BatchRoundTrip) {
  const std::vector<telemetry::LabelView> labels{{.name = "__name__", .value = "up"},
                                                 {.name = "job", .value = "a"}};
  const std::vector<telemetry::LabelView> trace{{.name = "trace_id", .value = "1234"}};
  const telemetry::NativeHistogram histogram = some_histogram(5);
  BatchRecord record;
  record.definitions = {{.series = 7, .labels = labels}, {.series = 3, .labels = labels}};
  record.floats = {
      {.series = 7, .point = {.timestamp_ms = 1000, .value = 1.5, .start_timestamp_ms = 500}},
      {.series = 3, .mode = StoreMode::Overwrite, .point = {.timestamp_ms = -1000, .value = -0.0}}};
  record.histograms = {
      {.series = 3, .timestamp_ms = 2000, .start_timestamp_ms = 9, .histogram = &histogram}};
  record.exemplars = {{.series = 7, .timestamp_ms = 1, .value = 2, .labels = trace}};
  std::vector<std::byte> bytes;
  encode_batch(record, bytes);

  DecodedBatch decoded;
  ASSERT_TRUE(decode_batch(bytes, decoded));
  ASSERT_EQ(decoded.record.definitions.size(), 2U);
  EXPECT_EQ(decoded.record.definitions[1].series, 3U);
  EXPECT_TRUE(std::ranges::equal(decoded.record.definitions[1].labels, labels));
  ASSERT_EQ(decoded.record.floats.size(), 2U);
  EXPECT_EQ(decoded.record.floats[0].point.start_timestamp_ms, 500);
  EXPECT_EQ(decoded.record.floats[0].mode, StoreMode::Insert);
  EXPECT_EQ(decoded.record.floats[1].series, 3U);
  EXPECT_EQ(decoded.record.floats[1].point.timestamp_ms, -1000);
  EXPECT_TRUE(std::signbit(decoded.record.floats[1].point.value));
  EXPECT_EQ(decoded.record.floats[1].mode, StoreMode::Overwrite);
  ASSERT_EQ(decoded.record.histograms.size(), 1U);
  EXPECT_EQ(decoded.record.histograms[0].start_timestamp_ms, 9);
  EXPECT_TRUE(telemetry::is_identical(*decoded.record.histograms[0].histogram, histogram));
  ASSERT_EQ(decoded.record.exemplars.size(), 1U);
  EXPECT_TRUE(std::ranges::equal(decoded.record.exemplars[0].labels, trace));

  // No prefix of it is a record.
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    DecodedBatch cut;
    EXPECT_FALSE(decode_batch(std::span(bytes).first(size), cut)) << size;
  }
}

RC_GTEST_PROP(LogRecord, FloatsRoundTrip, ()) {
  BatchRecord record;
  const int count = *rc::gen::inRange(0, 50);
  for (int i = 0; i < count; ++i) {
    record.floats.push_back({.series = *rc::gen::inRange<std::uint32_t>(0, 1U << 28),
                             .point = {.timestamp_ms = *rc::gen::arbitrary<std::int64_t>(),
                                       .value = *rc::gen::arbitrary<double>()}});
  }
  std::vector<std::byte> bytes;
  encode_batch(record, bytes);
  DecodedBatch decoded;
  RC_ASSERT(decode_batch(bytes, decoded).has_value());
  RC_ASSERT(decoded.record.floats.size() == record.floats.size());
  for (std::size_t i = 0; i < record.floats.size(); ++i) {
    RC_ASSERT(decoded.record.floats[i].series == record.floats[i].series);
    RC_ASSERT(decoded.record.floats[i].point.timestamp_ms == record.floats[i].point.timestamp_ms);
    RC_ASSERT(decoded.record.floats[i].point.value == record.floats[i].point.value);
  }
}

RC_GTEST_PROP(LogRecord, GarbageIsRefusedOrDecodedWithoutHarm,
              (const std::vector<std::uint8_t>& in)) {
  const auto bytes = std::as_bytes(std::span(in));
  DecodedBatch decoded;
  static_cast<void>(decode_batch(bytes, decoded));
  static_cast<void>(decode_metadata(bytes));
  static_cast<void>(decode_delete(bytes));
}

TEST(LogRecord, MetadataAndDeleteRoundTrip) {
  const telemetry::MetricMetadata entry{.family = "http_requests",
                                        .type = telemetry::MetricType::Counter,
                                        .help = "Requests.",
                                        .unit = "1"};
  std::vector<std::byte> bytes;
  encode_metadata({&entry, 1}, bytes);
  const auto metadata = decode_metadata(bytes);
  ASSERT_TRUE(metadata.has_value());
  ASSERT_EQ(metadata->size(), 1U);
  EXPECT_EQ((*metadata)[0].family, "http_requests");
  EXPECT_EQ((*metadata)[0].type, telemetry::MetricType::Counter);
  EXPECT_EQ((*metadata)[0].unit, "1");

  const promql::Matcher matchers[] = {*promql::Matcher::make(promql::MatchOp::Regex, "job", "a.*"),
                                      *promql::Matcher::make(promql::MatchOp::NotEqual, "x", "")};
  encode_delete(matchers, -5, 9, bytes);
  const auto deletion = decode_delete(bytes);
  ASSERT_TRUE(deletion.has_value());
  EXPECT_EQ(deletion->start_ms, -5);
  EXPECT_EQ(deletion->end_ms, 9);
  ASSERT_EQ(deletion->matchers.size(), 2U);
  EXPECT_EQ(deletion->matchers[0].op(), promql::MatchOp::Regex);
  EXPECT_EQ(deletion->matchers[0].value(), "a.*");
}

}  // namespace
}  // namespace gantry::metrics
