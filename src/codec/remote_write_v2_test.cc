#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "codec/remote_write.h"
#include "codec/testing/batch_text.h"
#include "codec/testing/conformance.h"
#include "codec/testing/remote_write_requests.h"

namespace gantry::codec {
namespace {

using telemetry::RejectReason;
using testing::batch_text;
using testing::encoded;
using testing::integer_histogram;
using testing::simple_series;

/// A 2.0 body by hand: symbols "", "__name__", "a" and one series.
std::string v2_with_series(std::string_view series_hex) {
  const std::string series = testing::from_hex(series_hex);
  return testing::from_hex("220022085f5f6e616d655f5f220161") + "\x2a" +
         static_cast<char>(series.size()) + series;
}

TEST(RemoteWriteV2, RulesAreHeldPerSeries) {
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

TEST(RemoteWriteV2, LabelReferencesMayBeSplitAndLate) {
  // {1, 2} in two unpacked pieces, the second behind the sample.
  const std::string body = v2_with_series("0801120c09000000000000f03f10e8070802");
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body));
  EXPECT_EQ(batch_text(decoder.batch()), "a 1 @1000\n");
}

TEST(RemoteWriteV2, RefusedSeriesLeaveNothingBehind) {
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

TEST(RemoteWriteV2, ExemplarsNeedATimestamp) {
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

TEST(RemoteWriteV2, MetadataNamesTheFamilyOnce) {
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

struct MetadataLabelsCase {
  std::string_view name;
  telemetry::MetricType type;
  std::string_view unit;
  telemetry::Labels sent;  ///< Besides the name.
  std::string_view expected;
};

class RemoteWriteMetadataLabelsTest : public ::testing::TestWithParam<MetadataLabelsCase> {};

TEST_P(RemoteWriteMetadataLabelsTest, ComeFromTheMetadataWhenAskedFor) {
  const MetadataLabelsCase& c = GetParam();
  WriteRequest request;
  request.series = {simple_series("m")};
  for (const telemetry::Label& label : c.sent) {
    request.series[0].labels.push_back({label.name, label.value});
  }
  request.series[0].metadata = {.type = c.type, .unit = std::string(c.unit)};
  const std::string body = encoded(RemoteWriteVersion::V2, request);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body, {.adds_type_and_unit_labels = true}));
  EXPECT_EQ(testing::series_text(decoder.batch(), 0), c.expected);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RemoteWriteMetadataLabelsTest,
    ::testing::Values(
        MetadataLabelsCase{"both",
                           telemetry::MetricType::Counter,
                           "bytes",
                           {},
                           R"(m{__type__="counter", __unit__="bytes", job="j"})"},
        MetadataLabelsCase{"type_only",
                           telemetry::MetricType::GaugeHistogram,
                           "",
                           {},
                           R"(m{__type__="gaugehistogram", job="j"})"},
        MetadataLabelsCase{
            "unit_only", telemetry::MetricType::Unknown, "s", {}, R"(m{__unit__="s", job="j"})"},
        MetadataLabelsCase{"what_was_sent_goes",
                           telemetry::MetricType::Gauge,
                           "",
                           {{"__type__", "counter"}, {"__unit__", "s"}},
                           R"(m{__type__="gauge", job="j"})"},
        MetadataLabelsCase{"without_metadata_it_stays",
                           telemetry::MetricType::Unknown,
                           "",
                           {{"__type__", "counter"}},
                           R"(m{__type__="counter", job="j"})"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(RemoteWriteV2, MetadataLabelsArePartOfTheSeriesKey) {
  WriteRequest request;
  request.series = {simple_series("m"), simple_series("m"), simple_series("m"), simple_series("m")};
  request.series[1].metadata = {.type = telemetry::MetricType::Counter};
  request.series[2].metadata = {.type = telemetry::MetricType::Gauge};
  request.series[3].metadata = {.type = telemetry::MetricType::Gauge, .unit = "s"};
  const std::string body = encoded(RemoteWriteVersion::V2, request);
  const auto count_keys = [&](bool adds) {
    RemoteWriteDecoder decoder;
    EXPECT_TRUE(decoder.decode(RemoteWriteVersion::V2, body, {.adds_type_and_unit_labels = adds}));
    std::set<std::pair<std::uint64_t, std::uint64_t>> keys;
    for (const telemetry::BatchSeries& series : decoder.batch().series) {
      keys.emplace(series.key.high, series.key.low);
    }
    return keys.size();
  };
  EXPECT_EQ(count_keys(false), 1U);
  EXPECT_EQ(count_keys(true), 4U);
}

TEST(RemoteWriteV2, RefusedSeriesTakeTheirMetadataLabelsWithThem) {
  WriteRequest request;
  request.series = {simple_series("a"), simple_series("b"), simple_series("c")};
  request.series[0].metadata = {.type = telemetry::MetricType::Gauge};
  request.series[1].metadata = {.type = telemetry::MetricType::Summary};
  request.series[2].metadata = {.type = telemetry::MetricType::Counter};
  request.series[1].samples.clear();
  const std::string body = encoded(RemoteWriteVersion::V2, request);
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V2, body, {.adds_type_and_unit_labels = true}));
  ASSERT_EQ(decoder.batch().series.size(), 2U);
  EXPECT_EQ(testing::series_text(decoder.batch(), 0), R"(a{__type__="gauge", job="j"})");
  EXPECT_EQ(testing::series_text(decoder.batch(), 1), R"(c{__type__="counter", job="j"})");
}

}  // namespace
}  // namespace gantry::codec
