#include "codec/remote_write.h"

#include <limits>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/compression.h"
#include "codec/remote_write_encoder.h"
#include "codec/testing/batch_text.h"
#include "codec/testing/conformance.h"
#include "telemetry/sample.h"

namespace gantry::codec {
namespace {

using telemetry::RejectReason;
using testing::batch_text;
using testing::series_text;

constexpr RemoteWriteVersion kVersions[] = {RemoteWriteVersion::V1, RemoteWriteVersion::V2};

WriteSeries simple_series(std::string_view name, double value = 1) {
  return {.labels = {{"__name__", std::string(name)}, {"job", "j"}},
          .samples = {{.timestamp_ms = 1000, .value = value}}};
}

telemetry::IntegerHistogram integer_histogram() {
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

telemetry::FloatHistogram float_histogram() {
  telemetry::FloatHistogram h = telemetry::to_float(integer_histogram());
  h.positive_counts[0] = 2.5;
  h.count = 9.5;
  return h;
}

telemetry::IntegerHistogram custom_histogram() {
  telemetry::IntegerHistogram h;
  h.schema = telemetry::kCustomBucketsSchema;
  h.custom_values = {0.5, 1.0};
  h.count = 3;
  h.sum = 4.5;
  h.positive_spans = {{0, 3}};
  h.positive_counts = {1, 1, 1};
  return h;
}

WriteRequest full_request() {
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

std::string encoded(RemoteWriteVersion version, const WriteRequest& request) {
  std::string out;
  encode_remote_write(version, request, out);
  return out;
}

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

/// A 2.0 body by hand: symbols "", "__name__", "a" and one series.
std::string v2_with_series(std::string_view series_hex) {
  const std::string series = testing::from_hex(series_hex);
  return testing::from_hex("220022085f5f6e616d655f5f220161") + "\x2a" +
         static_cast<char>(series.size()) + series;
}

TEST(RemoteWrite, Version2RulesAreHeldPerSeries) {
  struct Case {
    std::string_view series_hex;
    std::string_view message;
  };

  const std::string good = "0a020102120c09000000000000f03f10e807";
  for (const Case& c : {
           Case{"0a03010201120c09000000000000f03f10e807", "invalid labelRefs length 3"},
           Case{"0a020109120c09000000000000f03f10e807",
                "labelRefs 1 (name) = 9 (value) outside of symbols table (size 3)"},
           Case{"0a020102",
                "TimeSeries must contain at least one sample or histogram for series "
                "{__name__=\"a\"}"},
       }) {
    const std::string good_series = testing::from_hex(good);
    const std::string body =
        v2_with_series(c.series_hex) + "\x2a" + static_cast<char>(good_series.size()) + good_series;
    RemoteWriteDecoder decoder;
    ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body)) << c.message;
    EXPECT_EQ(batch_text(decoder.batch()), "a 1 @1000\n");
    ASSERT_EQ(decoder.rejections().kept().size(), 1U);
    EXPECT_EQ(decoder.rejections().kept()[0].message, c.message);
    EXPECT_EQ(decoder.rejections().kept()[0].count, 1U);
    EXPECT_EQ(decoder.rejections().count(RejectReason::InvalidLabels), 1U);
  }
}

TEST(RemoteWrite, Version2LabelReferencesMayBeSplitAndLate) {
  // {1, 2} in two unpacked pieces, the second behind the sample.
  const std::string body = v2_with_series("0801120c09000000000000f03f10e8070802");
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body));
  EXPECT_EQ(batch_text(decoder.batch()), "a 1 @1000\n");
}

TEST(RemoteWrite, Version2RefusedSeriesLeaveNothingBehind) {
  WriteRequest request;
  request.series = {simple_series("a"), simple_series("b"), simple_series("c")};
  request.series[1].samples[0].start_timestamp_ms = 5;
  request.series[1].samples.push_back({.timestamp_ms = 2000, .value = 2});
  request.series[1].histograms = {{.timestamp_ms = 1, .histogram = integer_histogram()}};
  request.series[1].exemplars = {{.timestamp_ms = 1, .value = 1, .labels = {{"t", "x"}}}};
  std::string body = encoded(RemoteWriteVersion::V2, request);
  // The name's reference of the second series: "b" is the sixth symbol.
  const std::size_t at = body.find(std::string("\x0a\x04\x01\x05", 4));
  ASSERT_NE(at, std::string::npos);
  body[at + 3] = 0x7f;
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body));
  EXPECT_EQ(batch_text(decoder.batch()), "a{job=\"j\"} 1 @1000\nc{job=\"j\"} 1 @1000\n");
  EXPECT_EQ(decoder.rejections().count(RejectReason::InvalidLabels), 3U);
}

TEST(RemoteWrite, Version2ExemplarsNeedATimestamp) {
  WriteRequest request;
  request.series = {simple_series("a")};
  request.series[0].exemplars = {{.timestamp_ms = 0, .value = 1, .labels = {{"trace_id", "x"}}}};
  const std::string body = encoded(RemoteWriteVersion::V2, request);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body));
  EXPECT_TRUE(decoder.batch().exemplars.empty());
  EXPECT_EQ(decoder.rejections().count(RejectReason::InvalidExemplar), 1U);
  telemetry::AppendResult result;
  decoder.rejections().add_to(result);
  EXPECT_EQ(result.samples_rejected, 0U);
}

TEST(RemoteWrite, Version2MetadataNamesTheFamilyOnce) {
  WriteRequest request;
  for (const std::string_view name : {"d_bucket", "d_bucket", "d_sum", "c_total"}) {
    request.series.push_back(simple_series(name));
    request.series.back().metadata = {.type = name == "c_total" ? telemetry::MetricType::Counter
                                                                : telemetry::MetricType::Histogram,
                                      .help = "h"};
  }
  const std::string body = encoded(RemoteWriteVersion::V2, request);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body));
  std::vector<std::string_view> families;
  for (const auto& metadata : decoder.batch().metadata) families.push_back(metadata.family);
  EXPECT_EQ(families, (std::vector<std::string_view>{"d", "d", "c_total"}));
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

/// What a receiver made of this codec would answer, and the batch.
int answer(const nlohmann::json& test, RemoteWriteDecoder& decoder, std::string& body) {
  const auto version = parse_remote_write_content_type(test.at("content_type").get<std::string>());
  if (!version) return 415;
  if (!check_remote_write_encoding(test.at("content_encoding").get<std::string>())) return 415;
  const std::string sent = testing::from_hex(test.at("body_hex").get<std::string>());
  if (!decompress(Encoding::SnappyBlock, sent, {}, body)) return 400;
  if (!decoder.decode(*version, body)) return 400;
  if (!decoder.rejections().is_empty()) return 400;
  for (std::uint32_t i = 0; i < decoder.batch().series.size(); ++i) {
    if (series_text(decoder.batch(), i).starts_with("error: ")) return 400;
  }
  return 204;
}

std::string expected_series(const nlohmann::json& labels) {
  std::vector<telemetry::Label> list;
  for (const auto& [name, value] : labels.items()) list.push_back({name, value.get<std::string>()});
  return telemetry::format_series(telemetry::make_labels(std::move(list)));
}

bool histogram_matches(const nlohmann::json& want, const telemetry::HistogramSample& got) {
  const telemetry::FloatHistogram h = telemetry::to_float(got.histogram);
  std::vector<std::pair<std::int64_t, double>> buckets;
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const auto& span : h.positive_spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i) {
      buckets.emplace_back(index++, h.positive_counts[position++]);
    }
  }
  std::vector<std::pair<std::int64_t, double>> wanted;
  for (const auto& bucket : want.at("positive_buckets")) {
    wanted.emplace_back(bucket[0].get<std::int64_t>(), testing::json_double(bucket[1]));
  }
  std::erase_if(buckets, [](const auto& bucket) { return bucket.second == 0; });
  return want.at("timestamp_ms") == got.timestamp_ms && want.at("schema") == h.schema &&
         testing::json_double(want.at("count")) == h.count &&
         testing::json_double(want.at("sum")) == h.sum &&
         want.value("zero_threshold", 0.0) == h.zero_threshold &&
         want.value("zero_count", 0.0) == h.zero_count &&
         want.value("start_timestamp_ms", std::int64_t{0}) == got.start_timestamp_ms &&
         want.value("custom_values", std::vector<double>{}) == h.custom_values && buckets == wanted;
}

TEST(RemoteWriteConformance, Vectors) {
  GANTRY_CONFORMANCE_JSON(file, "wire/remote-write/vectors.json");
  testing::Score score("remote-write/vectors.json");
  for (const auto& test : file.at("cases")) {
    const std::string id = test.at("id").get<std::string>();
    RemoteWriteDecoder decoder;
    std::string body;
    bool passed = answer(test, decoder, body) == test.at("status").get<int>();
    EXPECT_TRUE(passed) << id << ": status";
    const std::string text = batch_text(decoder.batch());
    std::size_t sample_count = 0;
    std::size_t histogram_count = 0;
    for (const auto& want : test.at("expect")) {
      std::vector<std::string> lines;
      const std::string name = want.contains("labels") ? expected_series(want["labels"]) : "";
      for (const auto& sample : want.value("samples", nlohmann::json::array())) {
        std::string line = name + " ";
        const double value = testing::json_double(sample[1]);
        line += telemetry::is_stale_nan(value) ? "StaleNaN"
                                               : nlohmann::json(static_cast<int>(value)).dump();
        line += " @" + sample[0].dump();
        lines.push_back(line);
        ++sample_count;
      }
      for (const auto& exemplar : want.value("exemplars", nlohmann::json::array())) {
        lines.push_back("exemplar " + name + " ");
        for (const auto& [key, value] : exemplar.at("labels").items()) {
          lines.push_back(key + "=\"" + value.get<std::string>() + "\"");
        }
        lines.push_back("@" + exemplar.at("timestamp_ms").dump());
      }
      if (want.contains("metadata")) {
        const auto& m = want["metadata"];
        lines.push_back("metadata " + m.at("family").get<std::string>() + " " +
                        m.at("type").get<std::string>() + " " + m.at("help").dump() + " " +
                        m.at("unit").dump());
      }
      if (want.contains("type")) lines.push_back(" " + want["type"].get<std::string>() + " \"");
      for (const std::string& line : lines) {
        const bool found = text.find(line) != std::string::npos;
        EXPECT_TRUE(found) << id << ": wants " << line << " in\n" << text;
        passed &= found;
      }
      for (const auto& histogram : want.value("histograms", nlohmann::json::array())) {
        const bool found =
            histogram_count < decoder.batch().histograms.size() &&
            histogram_matches(histogram, decoder.batch().histograms[histogram_count]);
        EXPECT_TRUE(found) << id << ": histogram " << histogram;
        passed &= found;
        ++histogram_count;
      }
    }
    if (test.at("status") == 204) {
      passed &= decoder.batch().samples.size() == sample_count &&
                decoder.batch().histograms.size() == histogram_count;
      EXPECT_EQ(decoder.batch().samples.size(), sample_count) << id;
      EXPECT_EQ(decoder.batch().histograms.size(), histogram_count) << id;
    }
    score.add(passed);
  }
}

}  // namespace
}  // namespace gantry::codec
