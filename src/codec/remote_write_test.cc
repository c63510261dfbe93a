#include "codec/remote_write.h"

#include <limits>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/testing/batch_text.h"
#include "codec/testing/conformance.h"
#include "codec/testing/remote_write_requests.h"
#include "telemetry/sample.h"

namespace gantry::codec {
namespace {

using telemetry::RejectReason;
using testing::batch_text;
using testing::custom_histogram;
using testing::encoded;
using testing::float_histogram;
using testing::full_request;
using testing::integer_histogram;
using testing::kVersions;
using testing::series_text;
using testing::simple_series;

TEST(RemoteWrite, BothVersionsCarryTheSame) {
  for (const RemoteWriteVersion version : kVersions) {
    const std::string body = encoded(version, full_request());
    RemoteWriteDecoder decoder;
    ASSERT_TRUE(decoder.decode(version, body));
    EXPECT_TRUE(decoder.rejections().is_empty());
    std::string expected = "exemplar up{job=\"j\"} {trace_id=\"abc\"} 0.67 @1500\n";
    const auto add_histogram = [&](const telemetry::FloatHistogram& h, int timestamp_ms) {
      expected += "h{job=\"j\"} " + telemetry::format_histogram(h) + " @" +
                  std::to_string(timestamp_ms) + "\n";
    };
    add_histogram(telemetry::to_float(custom_histogram()), 3);
    add_histogram(telemetry::to_float(integer_histogram()), 1);
    add_histogram(float_histogram(), 2);
    expected +=
        "metadata h histogram \"sizes\" \"\"\n"
        "metadata up gauge \"help text\" \"s\"\n"
        "up{job=\"j\"} -0 @-5\n"
        "up{job=\"j\"} 1 @1000\n"
        "up{job=\"j\"} StaleNaN @2000\n";
    EXPECT_EQ(batch_text(decoder.batch()), expected);
    ASSERT_EQ(decoder.batch().histograms.size(), 3U);
    EXPECT_TRUE(
        telemetry::is_identical(decoder.batch().histograms[0].histogram, integer_histogram()));
    EXPECT_TRUE(
        telemetry::is_identical(decoder.batch().histograms[1].histogram, float_histogram()));
  }
}

TEST(RemoteWrite, StartTimestampsComeWithVersion2) {
  WriteRequest request;
  request.series.push_back(simple_series("a"));
  request.series.push_back(simple_series("b"));
  request.series[1].samples[0].start_timestamp_ms = 900;
  request.series.push_back(simple_series("c"));
  RemoteWriteDecoder decoder;
  const std::string v2 = encoded(RemoteWriteVersion::V2, request);
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, v2));
  EXPECT_EQ(decoder.batch().start_timestamps_ms, (std::vector<std::int64_t>{0, 900, 0}));
  const std::string v1 = encoded(RemoteWriteVersion::V1, request);
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, v1));
  EXPECT_TRUE(decoder.batch().start_timestamps_ms.empty());
}

TEST(RemoteWrite, KeysFollowLabels) {
  for (const RemoteWriteVersion version : kVersions) {
    WriteRequest request;
    request.series = {simple_series("a"), simple_series("b"), simple_series("a", 2)};
    const std::string body = encoded(version, request);
    RemoteWriteDecoder decoder;
    ASSERT_TRUE(decoder.decode(version, body));
    const auto& series = decoder.batch().series;
    ASSERT_EQ(series.size(), 3U);
    EXPECT_EQ(series[0].key, series[2].key);
    EXPECT_NE(series[0].key, series[1].key);
  }
}

TEST(RemoteWrite, KeysOfVersion2DoNotDependOnTheSymbolTable) {
  WriteRequest alone;
  alone.series = {simple_series("b")};
  WriteRequest second;
  second.series = {simple_series("a"), simple_series("b")};
  RemoteWriteDecoder first_decoder;
  RemoteWriteDecoder second_decoder;
  const std::string alone_body = encoded(RemoteWriteVersion::V2, alone);
  const std::string second_body = encoded(RemoteWriteVersion::V2, second);
  ASSERT_TRUE(first_decoder.decode(RemoteWriteVersion::V2, alone_body));
  ASSERT_TRUE(second_decoder.decode(RemoteWriteVersion::V2, second_body));
  EXPECT_EQ(first_decoder.batch().series[0].key, second_decoder.batch().series[1].key);
}

TEST(RemoteWrite, LabelsMaySurroundSamplesOnTheWire) {
  // __name__ label, sample {1.0, ts 0}, job label.
  const std::string body = testing::from_hex(
      "0a240a0e0a085f5f6e616d655f5f12027570120909000000000000f03f0a070a016a12027879");
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, body));
  EXPECT_EQ(batch_text(decoder.batch()), "up{j=\"xy\"} 1 @0\n");
}

TEST(RemoteWrite, LongLabelsAndOddSamplesAreReadTheSame) {
  // Long labels, a sample with its fields swapped, and one without a timestamp take the general
  // reader; the series is the same as with short ones alone.
  WriteRequest request;
  request.series = {simple_series("up")};
  request.series[0].labels.push_back({"long", std::string(300, 'x')});
  request.series[0].labels.push_back({"z", "short"});
  const std::string body = encoded(RemoteWriteVersion::V1, request);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, body));
  EXPECT_EQ(batch_text(decoder.batch()),
            "up{job=\"j\", long=\"" + std::string(300, 'x') + "\", z=\"short\"} 1 @1000\n");
  const std::string swapped = testing::from_hex(
      "0a280a0d0a085f5f6e616d655f5f120161120c10e80709000000000000f03f120909000000000000f03f");
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, swapped));
  EXPECT_EQ(batch_text(decoder.batch()), "a 1 @0\na 1 @1000\n");
}

TEST(RemoteWrite, SymbolsMayFollowTheSeries) {
  const std::string body = encoded(RemoteWriteVersion::V2, [] {
    WriteRequest request;
    request.series = {simple_series("up")};
    return request;
  }());
  const std::size_t series_at = body.find('\x2a');
  ASSERT_NE(series_at, std::string::npos);
  const std::string swapped = body.substr(series_at) + body.substr(0, series_at);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, swapped));
  EXPECT_EQ(batch_text(decoder.batch()), "up{job=\"j\"} 1 @1000\n");
}

TEST(RemoteWrite, BadLabelsFailOneSeriesWhenResolved) {
  struct Case {
    telemetry::Labels labels;
    std::string_view expected;
  };

  const Case cases[] = {
      {{{"job", "j"}}, "error: invalid metric name or labels, got {job=\"j\"}"},
      {{{"__name__", "a"}, {"x", "1"}, {"x", "2"}},
       "error: invalid labels for series, labels {__name__=\"a\", x=\"1\", x=\"2\"}, duplicated "
       "label x"},
      {{{"__name__", "a"}, {"", "1"}},
       "error: invalid metric name or labels, got {\"\"=\"1\", __name__=\"a\"}"},
      {{{"__name__", "a"}, {"x", "\xff"}},
       "error: invalid metric name or labels, got {__name__=\"a\", x=\"\\xff\"}"},
  };
  for (const RemoteWriteVersion version : kVersions) {
    for (const Case& c : cases) {
      WriteRequest request;
      request.series = {simple_series("good"), simple_series("bad")};
      request.series[1].labels = c.labels;
      const std::string body = encoded(version, request);
      RemoteWriteDecoder decoder;
      ASSERT_TRUE(decoder.decode(version, body));
      ASSERT_EQ(decoder.batch().series.size(), 2U);
      EXPECT_EQ(series_text(decoder.batch(), 0), "good{job=\"j\"}");
      EXPECT_EQ(series_text(decoder.batch(), 1), c.expected);
    }
  }
}

TEST(RemoteWrite, ManyLabelsAreCheckedForDuplicatesToo) {
  WriteRequest request;
  request.series = {simple_series("wide")};
  for (int i = 0; i < 40; ++i) request.series[0].labels.push_back({"l" + std::to_string(i), "v"});
  request.series[0].labels.push_back({"l7", "again"});
  const std::string body = encoded(RemoteWriteVersion::V1, request);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, body));
  EXPECT_TRUE(series_text(decoder.batch(), 0).ends_with("duplicated label l7"));
}

TEST(RemoteWrite, BadHistogramsCostOnlyThemselves) {
  struct Case {
    std::string_view name;
    telemetry::NativeHistogram histogram;
    std::string_view message_start;
  };

  auto bad_schema = integer_histogram();
  bad_schema.schema = 53;
  auto reserved_schema = integer_histogram();
  reserved_schema.schema = -9;
  auto bad_spans = integer_histogram();
  bad_spans.positive_spans[0].length = 7;
  const Case cases[] = {
      {"schema", bad_schema,
       "histogram has an invalid schema, which must be between -4 and 52 for exponential buckets, "
       "or -53 for custom buckets, got 53 for series {__name__=\"h\", job=\"j\"}"},
      {"reserved", reserved_schema, "histogram has an invalid schema"},
      {"spans", bad_spans, "positive side: spans need 8 buckets, have 3 buckets for series"},
  };
  for (const RemoteWriteVersion version : kVersions) {
    for (const Case& c : cases) {
      WriteRequest request = full_request();
      request.series[1].histograms[1].histogram = c.histogram;
      const std::string body = encoded(version, request);
      RemoteWriteDecoder decoder;
      ASSERT_TRUE(decoder.decode(version, body)) << c.name;
      EXPECT_EQ(decoder.batch().samples.size(), 3U);
      EXPECT_EQ(decoder.batch().histograms.size(), 2U);
      EXPECT_EQ(decoder.rejections().count(RejectReason::InvalidHistogram), 1U);
      EXPECT_TRUE(decoder.rejections().kept().at(0).message.starts_with(c.message_start))
          << decoder.rejections().kept().at(0).message;
    }
  }
}

TEST(RemoteWrite, FineSchemasAreReduced) {
  telemetry::IntegerHistogram fine;
  fine.schema = 10;
  fine.count = 15;
  fine.sum = 1;
  fine.positive_spans = {{1, 5}};
  fine.positive_counts = {1, 2, 3, 4, 5};
  WriteRequest request;
  request.series = {simple_series("h")};
  request.series[0].samples.clear();
  request.series[0].histograms = {{.timestamp_ms = 1, .histogram = fine}};
  const std::string body = encoded(RemoteWriteVersion::V2, request);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body));
  ASSERT_EQ(decoder.batch().histograms.size(), 1U);
  const auto& h = std::get<telemetry::IntegerHistogram>(decoder.batch().histograms[0].histogram);
  // Four buckets of schema 10 make one of schema 8: indices 1 to 4 become 1, 5 becomes 2.
  EXPECT_EQ(h.schema, 8);
  EXPECT_EQ(h.positive_counts, (std::vector<std::uint64_t>{10, 5}));
  ASSERT_EQ(h.positive_spans.size(), 1U);
  EXPECT_EQ(h.positive_spans[0].offset, 1);
}

TEST(RemoteWrite, TheBatchSaysHowLargeTheBodyWas) {
  for (const RemoteWriteVersion version : kVersions) {
    RemoteWriteDecoder decoder;
    const std::string body = encoded(version, full_request());
    ASSERT_TRUE(decoder.decode(version, body));
    EXPECT_EQ(decoder.batch().body_bytes, body.size());
    ASSERT_FALSE(decoder.decode(version, "\xff"));
    EXPECT_EQ(decoder.batch().body_bytes, 0U);
  }
}

TEST(RemoteWrite, WrongMessageDecodesEmpty) {
  RemoteWriteDecoder decoder;
  const std::string body = encoded(RemoteWriteVersion::V2, full_request());
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, body));
  EXPECT_TRUE(decoder.batch().series.empty());
  EXPECT_TRUE(decoder.batch().samples.empty());
}

TEST(RemoteWrite, TruncatedAtEveryByteErrsOrDecodes) {
  for (const RemoteWriteVersion version : kVersions) {
    const std::string whole = encoded(version, full_request());
    int error_count = 0;
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const std::string part(whole, 0, length);
      RemoteWriteDecoder decoder;
      const auto result = decoder.decode(version, part);
      if (!result) {
        ++error_count;
        EXPECT_EQ(result.error().code, Code::InvalidArgument);
        EXPECT_TRUE(decoder.batch().series.empty());
      } else {
        EXPECT_NO_THROW(static_cast<void>(batch_text(decoder.batch())));
      }
    }
    EXPECT_GT(error_count, 100);
  }
}

TEST(RemoteWrite, EveryBitFlipErrsOrDecodes) {
  for (const RemoteWriteVersion version : kVersions) {
    const std::string whole = encoded(version, full_request());
    RemoteWriteDecoder decoder;
    for (std::size_t i = 0; i < whole.size() * 8; ++i) {
      std::string flipped(whole);
      flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
      if (decoder.decode(version, flipped)) {
        EXPECT_NO_THROW(static_cast<void>(batch_text(decoder.batch())));
      }
    }
  }
}

RC_GTEST_PROP(RemoteWrite, FloatsRoundTrip,
              (const std::vector<std::pair<std::int64_t, std::uint64_t>>& samples,
               const std::map<std::string, std::string>& labels)) {
  WriteSeries series{.labels = {{"__name__", "m"}}};
  for (const auto& [name, value] : labels) {
    // Valid names and values only; others are the business of the tests above.
    series.labels.push_back(
        {"l" + std::to_string(std::hash<std::string>{}(name)), std::to_string(value.size() + 1)});
  }
  for (const auto& [timestamp, bits] : samples) {
    series.samples.push_back({.timestamp_ms = timestamp, .value = std::bit_cast<double>(bits)});
  }
  RC_PRE(!samples.empty());
  for (const RemoteWriteVersion version : kVersions) {
    const std::string body = encoded(version, {.series = {series}});
    RemoteWriteDecoder decoder;
    RC_ASSERT(decoder.decode(version, body).has_value());
    const auto& batch = decoder.batch();
    RC_ASSERT(batch.samples.size() == samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      RC_ASSERT(batch.samples[i].timestamp_ms == samples[i].first);
      RC_ASSERT(std::bit_cast<std::uint64_t>(batch.samples[i].value) == samples[i].second);
    }
    RC_ASSERT(series_text(batch, 0) ==
              telemetry::format_series(telemetry::make_labels(series.labels)));
  }
}

RC_GTEST_PROP(RemoteWrite, HistogramsRoundTrip,
              (const std::vector<std::pair<std::uint8_t, std::uint16_t>>& buckets, double sum)) {
  telemetry::IntegerHistogram h;
  h.schema = 2;
  h.sum = sum;
  h.zero_count = 3;
  h.count = 3;
  for (const auto& [gap, count] : buckets) {
    h.positive_spans.push_back({.offset = gap, .length = 1});
    h.positive_counts.push_back(count);
    h.count += count;
  }
  WriteSeries series{.labels = {{"__name__", "h"}},
                     .histograms = {{.timestamp_ms = 5, .start_timestamp_ms = 4, .histogram = h},
                                    {.timestamp_ms = 6, .histogram = telemetry::to_float(h)}}};
  for (const RemoteWriteVersion version : kVersions) {
    const std::string body = encoded(version, {.series = {series}});
    RemoteWriteDecoder decoder;
    RC_ASSERT(decoder.decode(version, body).has_value());
    RC_ASSERT(decoder.batch().histograms.size() == 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      RC_ASSERT(telemetry::is_identical(decoder.batch().histograms[i].histogram,
                                        series.histograms[i].histogram));
    }
    RC_ASSERT(decoder.batch().histograms[0].start_timestamp_ms ==
              (version == RemoteWriteVersion::V2 ? 4 : 0));
  }
}

TEST(RemoteWrite, ContentTypes) {
  struct Case {
    std::string_view value;
    std::string_view expected;
  };

  for (const Case& c : {
           Case{"", "1"},
           Case{"application/x-protobuf", "1"},
           Case{"Application/X-Protobuf", "1"},
           Case{"application/x-protobuf;proto=prometheus.WriteRequest", "1"},
           Case{"application/x-protobuf; proto=io.prometheus.write.v2.Request", "2"},
           Case{"application/x-protobuf;charset=utf-8;proto=\"io.prometheus.write.v2.Request\"",
                "2"},
           Case{"application/x-protobuf;proto=foo.Bar", "415"},
           Case{"application/x-protobuf;proto=", "415"},
           Case{"application/json", "415"},
       }) {
    const auto version = parse_remote_write_content_type(c.value);
    const std::string_view got =
        !version ? "415" : (*version == RemoteWriteVersion::V1 ? "1" : "2");
    EXPECT_EQ(got, c.expected) << c.value;
    if (!version) EXPECT_EQ(version.error().code, Code::Unsupported);
  }
  EXPECT_TRUE(check_remote_write_encoding(""));
  EXPECT_TRUE(check_remote_write_encoding("Snappy"));
  const auto gzip = check_remote_write_encoding("gzip");
  ASSERT_FALSE(gzip);
  EXPECT_EQ(
      gzip.error().message,
      "gzip encoding (compression) is not accepted by this server; only snappy is acceptable");
}

}  // namespace
}  // namespace gantry::codec
