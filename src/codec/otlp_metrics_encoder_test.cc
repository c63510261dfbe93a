#include "codec/otlp_metrics_encoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "codec/compression.h"
#include "codec/otlp_metrics.h"
#include "codec/remote_write.h"
#include "codec/remote_write_encoder.h"
#include "codec/testing/batch_text.h"
#include "telemetry/sample.h"

namespace gantry::codec {
namespace {

using telemetry::MetricType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Lines = std::vector<std::string>;

telemetry::Labels labels_of(std::string name, std::vector<telemetry::Label> labels = {}) {
  labels.push_back({.name = "__name__", .value = std::move(name)});
  return telemetry::make_labels(std::move(labels));
}

WriteSeries one(std::string name, std::vector<telemetry::Label> labels, double value,
                std::int64_t at_ms = 1000) {
  return {.labels = labels_of(std::move(name), std::move(labels)),
          .samples = {{.timestamp_ms = at_ms, .value = value}}};
}

/// A histogram of two bounds, all of it.
std::vector<WriteSeries> histogram(double first, double second, double all,
                                   std::int64_t at_ms = 1000) {
  return {one("took_seconds_bucket", {{"le", "0.5"}}, first, at_ms),
          one("took_seconds_bucket", {{"le", "2"}}, second, at_ms),
          one("took_seconds_bucket", {{"le", "+Inf"}}, all, at_ms),
          one("took_seconds_count", {}, all, at_ms), one("took_seconds_sum", {}, 7.5, at_ms)};
}

/// What goes in and what another Gantry makes of it.
class OtlpMetricsEncoderTest : public ::testing::Test {
 protected:
  struct Sent {
    std::string protobuf;
    std::string json;
    OtlpOmissions omissions;
    Lines before;
    Lines after;
    Lines after_json;
  };

  /// Samples and exemplars only; those of target_info need not be marked as the receiver's own.
  static Lines without_metadata(Lines lines) {
    std::erase_if(lines, [](const std::string& line) { return line.starts_with("metadata "); });
    for (std::string& line : lines)
      if (const std::size_t mark = line.find("}! "); mark != std::string::npos)
        line.erase(mark + 1, 1);
    return lines;
  }

  Sent send(const WriteRequest& request) {
    Sent sent;
    std::string body;
    encode_remote_write(RemoteWriteVersion::V1, request, body);
    RemoteWriteDecoder decoder;
    const auto decoded = decoder.decode(RemoteWriteVersion::V1, body);
    EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
    sent.before = without_metadata(testing::batch_lines(decoder.batch()));
    sent.omissions = encoder_.append_protobuf(decoder.batch(), sent.protobuf);
    encoder_.append_json(decoder.batch(), sent.json);
    OtlpMetricsDecoder received;
    const auto taken = received.decode_protobuf(sent.protobuf, options_);
    EXPECT_TRUE(taken) << (taken ? "" : taken.error().message);
    EXPECT_EQ(received.outcome().rejected_data_points, 0U) << received.outcome().message();
    sent.after = without_metadata(testing::batch_lines(received.batch()));
    if (sent.json.empty()) return sent;
    sent.json.reserve(sent.json.size() + kBodyPaddingBytes);
    OtlpMetricsDecoder from_json;
    const auto read = from_json.decode_json(sent.json, options_);
    EXPECT_TRUE(read) << (read ? "" : read.error().message);
    sent.after_json = without_metadata(testing::batch_lines(from_json.batch()));
    return sent;
  }

  void expect_same(const WriteRequest& request) {
    const Sent sent = send(request);
    EXPECT_EQ(sent.after, sent.before);
    EXPECT_EQ(sent.after_json, sent.before);
    EXPECT_EQ(sent.omissions.total(), 0U);
  }

  OtlpOptions options_;
  OtlpMetricsEncoder encoder_{OtlpNames::AsTyped};
};

TEST_F(OtlpMetricsEncoderTest, ACounterIsAMonotonicSumWithItsUnitAndHelp) {
  const Sent sent = send({.series = {one("sent_bytes_total", {{"job", "a"}, {"instance", "b"}}, 3)},
                          .metadata = {{"sent_bytes", MetricType::Counter, "Sent.", "bytes"}}});
  EXPECT_EQ(
      sent.json,
      R"({"resourceMetrics":[{"resource":{"attributes":[)"
      R"({"key":"service.name","value":{"stringValue":"a"}},)"
      R"({"key":"service.instance.id","value":{"stringValue":"b"}}]},)"
      R"("scopeMetrics":[{"scope":{},"metrics":[{"name":"sent_bytes_total","description":"Sent.",)"
      R"("unit":"By","sum":{"dataPoints":[{"timeUnixNano":"1000000000","asDouble":3}],)"
      R"("aggregationTemporality":2,"isMonotonic":true},)"
      R"("metadata":[{"key":"prometheus.type","value":{"stringValue":"counter"}}]}]}]}]})");
  EXPECT_EQ(sent.after, sent.before);
}

TEST_F(OtlpMetricsEncoderTest, WhatIsUnknownIsAGauge) {
  const Sent sent = send({.series = {one("sent_total", {}, 3)}});
  EXPECT_THAT(sent.json, HasSubstr(R"("gauge")"));
  EXPECT_THAT(sent.json,
              HasSubstr(R"({"key":"prometheus.type","value":{"stringValue":"unknown"}})"));
  EXPECT_EQ(sent.after, sent.before);
}

TEST_F(OtlpMetricsEncoderTest, RemembersWhatWasSaidBefore) {
  send({.metadata = {{"sent_total", MetricType::Counter, "", ""}}});
  EXPECT_THAT(send({.series = {one("sent_total", {}, 3)}}).json,
              HasSubstr(R"("isMonotonic":true)"));
}

TEST_F(OtlpMetricsEncoderTest, InfoIsASumThatIsNotMonotonic) {
  const Sent sent = send({.series = {one("build_info", {{"version", "1"}}, 1)},
                          .metadata = {{"build", MetricType::Info, "", ""}}});
  EXPECT_THAT(sent.json, HasSubstr(R"("aggregationTemporality":2})"));
  EXPECT_EQ(sent.after, sent.before);
}

TEST_F(OtlpMetricsEncoderTest, ACounterOfAnotherNameMayBeAGaugeToKeepIt) {
  const WriteRequest request{.series = {one("requests", {}, 1)},
                             .metadata = {{"requests", MetricType::Counter, "", ""}}};
  EXPECT_THAT(send(request).after, ElementsAre("requests_total 1 @1000"));
  encoder_ = OtlpMetricsEncoder(OtlpNames::Stable);
  expect_same(request);
}

TEST_F(OtlpMetricsEncoderTest, AUnitThatIsNotInTheNameIsNotTold) {
  for (const std::string_view unit : {"seconds", "kilobytes", "apples"}) {
    const Sent sent = send({.series = {one("age", {}, 1)},
                            .metadata = {{"age", MetricType::Gauge, "", std::string(unit)}}});
    EXPECT_THAT(sent.json, Not(HasSubstr(R"("unit")"))) << unit;
    EXPECT_EQ(sent.after, sent.before);
  }
}

TEST_F(OtlpMetricsEncoderTest, AWholeHistogramIsOnePoint) {
  const WriteRequest request{.series = histogram(2, 3, 5),
                             .metadata = {{"took_seconds", MetricType::Histogram, "", "seconds"}}};
  EXPECT_THAT(send(request).json, HasSubstr(R"("count":"5","sum":7.5,"bucketCounts":["2","1","2"],)"
                                            R"("explicitBounds":[0.5,2])"));
  expect_same(request);
}

TEST_F(OtlpMetricsEncoderTest, AHistogramWithoutASumHasNone) {
  WriteRequest request{.series = histogram(2, 3, 5),
                       .metadata = {{"took_seconds", MetricType::Histogram, "", ""}}};
  request.series.pop_back();
  EXPECT_THAT(send(request).json, Not(HasSubstr(R"("sum")")));
  expect_same(request);
}

TEST_F(OtlpMetricsEncoderTest, PiecesOfAHistogramAreGaugesOfTheirOwn) {
  for (std::size_t missing = 0; missing < 4; ++missing) {
    if (missing == 0 || missing == 1) continue;  // A bound less is a histogram still.
    WriteRequest request{.series = histogram(2, 3, 5),
                         .metadata = {{"took_seconds", MetricType::Histogram, "", ""}}};
    request.series.erase(request.series.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_THAT(send(request).json, Not(HasSubstr(R"("histogram":)"))) << missing;
    expect_same(request);
  }
}

TEST_F(OtlpMetricsEncoderTest, CountsThatAreNoneAreGauges) {
  const std::vector<std::vector<WriteSeries>> odd = {histogram(3, 2, 5),
                                                     histogram(0.5, 2, 5),
                                                     histogram(-1, 2, 5),
                                                     histogram(2, 3, 1e300),
                                                     histogram(2, std::nan(""), 5),
                                                     histogram(2, telemetry::stale_nan(), 5)};
  for (const auto& series : odd)
    expect_same({.series = series, .metadata = {{"took_seconds", MetricType::Histogram, "", ""}}});
  std::vector<WriteSeries> uneven = histogram(2, 3, 5);
  uneven[2].samples[0].value = 4;  // Not the count.
  expect_same({.series = uneven, .metadata = {{"took_seconds", MetricType::Histogram, "", ""}}});
}

TEST_F(OtlpMetricsEncoderTest, TwoSpellingsOfABoundStayTwoSeries) {
  std::vector<WriteSeries> series = histogram(2, 3, 5);
  series.push_back(one("took_seconds_bucket", {{"le", "2.0"}}, 3));
  expect_same({.series = series, .metadata = {{"took_seconds", MetricType::Histogram, "", ""}}});
}

TEST_F(OtlpMetricsEncoderTest, TheEndOfAHistogramIsAPointWithoutAValue) {
  const double stale = telemetry::stale_nan();
  std::vector<WriteSeries> series = histogram(stale, stale, stale);
  series.back().samples[0].value = stale;
  const WriteRequest request{.series = series,
                             .metadata = {{"took_seconds", MetricType::Histogram, "", ""}}};
  EXPECT_THAT(send(request).json, HasSubstr(R"("explicitBounds":[0.5,2],"flags":1)"));
  expect_same(request);
}

TEST_F(OtlpMetricsEncoderTest, SummariesArePutTogetherToo) {
  std::vector<WriteSeries> series = {one("rpc", {{"quantile", "0.5"}}, 3),
                                     one("rpc", {{"quantile", "0.99"}}, std::nan("")),
                                     one("rpc_sum", {}, 12), one("rpc_count", {}, 4)};
  const WriteRequest request{.series = series, .metadata = {{"rpc", MetricType::Summary, "", ""}}};
  EXPECT_THAT(send(request).json, HasSubstr(R"("quantileValues":[{"quantile":0.5,"value":3},)"
                                            R"({"quantile":0.99,"value":"NaN"}])"));
  expect_same(request);
  series.pop_back();
  expect_same({.series = series});
}

TEST_F(OtlpMetricsEncoderTest, ATargetIsTheAttributesOfItsResource) {
  const std::vector<telemetry::Label> target = {{"job", "shop/cart"}, {"instance", "i"}};
  std::vector<telemetry::Label> info = target;
  info.push_back({.name = "k8s_pod_name", .value = "p"});
  const WriteRequest first{.series = {one("target_info", info, 1), one("up", target, 1)}};
  expect_same(first);
  EXPECT_THAT(send({.series = {one("up", target, 1)}}).json, HasSubstr("k8s_pod_name"));
  EXPECT_THAT(send({.series = {one("target_info", info, 1)}}).after,
              ::testing::Each(HasSubstr(R"(k8s_pod_name="p"} 1 @1000)")))
      << "alone it is a gauge too, and its resource's";
  expect_same({.series = {one("target_info", info, telemetry::stale_nan())}});
  EXPECT_THAT(send({.series = {one("up", target, 1)}}).json, Not(HasSubstr("k8s_pod_name")));
}

TEST_F(OtlpMetricsEncoderTest, ScopesAreTakenFromTheirLabels) {
  options_.promotes_scope = true;
  expect_same({.series = {one("up",
                              {{"otel_scope_name", "lib"},
                               {"otel_scope_version", "2"},
                               {"otel_scope_schema_url", "https://x"},
                               {"otel_scope_colour", "red"}},
                              1),
                          one("up", {{"otel_scope_name", "other"}}, 2)}});
}

telemetry::IntegerHistogram native() {
  telemetry::IntegerHistogram histogram;
  histogram.schema = 3;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = 2;
  histogram.count = 14;
  histogram.sum = 18.4;
  histogram.positive_spans = {{.offset = -2, .length = 2}, {.offset = 5, .length = 1}};
  histogram.positive_counts = {1, 2, 3};
  histogram.negative_spans = {{.offset = 4, .length = 1}};
  histogram.negative_counts = {6};
  return histogram;
}

WriteSeries native_series(telemetry::NativeHistogram histogram) {
  return {.labels = labels_of("size_bytes"),
          .histograms = {{.timestamp_ms = 1000, .histogram = std::move(histogram)}}};
}

TEST_F(OtlpMetricsEncoderTest, NativeHistogramsAreExponential) {
  const WriteRequest request{.series = {native_series(native())},
                             .metadata = {{"size_bytes", MetricType::Histogram, "", "bytes"}}};
  EXPECT_THAT(send(request).json,
              HasSubstr(R"("scale":3,"zeroCount":"2","positive":{"offset":-3,"bucketCounts":)"
                        R"(["1","2","0","0","0","0","0","3"]},)"
                        R"("negative":{"offset":3,"bucketCounts":["6"]})"));
  expect_same(request);
  telemetry::IntegerHistogram stale;
  stale.sum = telemetry::stale_nan();
  expect_same({.series = {native_series(stale)}});
}

TEST_F(OtlpMetricsEncoderTest, OwnBoundsStayOwnBounds) {
  options_.explicit_histograms = ExplicitHistograms::CustomBuckets;
  telemetry::IntegerHistogram histogram;
  histogram.schema = telemetry::kCustomBucketsSchema;
  histogram.custom_values = {1, 2, 4};
  histogram.count = 6;
  histogram.sum = 9;
  histogram.positive_spans = {{.offset = 1, .length = 3}};
  histogram.positive_counts = {1, 2, 3};
  expect_same({.series = {native_series(histogram)}});
}

TEST_F(OtlpMetricsEncoderTest, HistogramsThatOtlpDoesNotHaveAreLeftOut) {
  telemetry::IntegerHistogram gauge = native();
  gauge.hint = telemetry::CounterResetHint::Gauge;
  telemetry::IntegerHistogram wide = native();
  wide.positive_spans.back().offset = 20'000;
  const Sent sent =
      send({.series = {native_series(gauge), native_series(wide),
                       native_series(telemetry::to_float(native())), one("up", {}, 1)}});
  EXPECT_EQ(sent.omissions.histograms, 3U);
  EXPECT_THAT(sent.after, ElementsAre("up 1 @1000"));
}

TEST_F(OtlpMetricsEncoderTest, ExemplarsGoWithTheLastPoint) {
  WriteSeries series = one("sent_total", {}, 3);
  series.samples.push_back({.timestamp_ms = 2000, .value = 4});
  series.exemplars = {
      {.timestamp_ms = 1500,
       .value = 1,
       .labels = telemetry::make_labels({{"trace_id", "0123456789abcdef0123456789abcdef"},
                                         {"span_id", "0123456789abcdef"},
                                         {"user", "u"}})},
      {.timestamp_ms = 1600,
       .value = 2,
       .labels = telemetry::make_labels({{"trace_id", "short"}})}};
  const WriteRequest request{.series = {series},
                             .metadata = {{"sent_total", MetricType::Counter, "", ""}}};
  EXPECT_THAT(
      send(request).json,
      HasSubstr(R"("spanId":"0123456789abcdef","traceId":"0123456789abcdef0123456789abcdef")"));
  const Sent sent = send(request);
  EXPECT_EQ(sent.after.size(), sent.before.size());
  EXPECT_EQ(sent.after_json, sent.after);
}

TEST_F(OtlpMetricsEncoderTest, NothingIsSaidOfNothing) {
  const Sent sent = send({.metadata = {{"sent_total", MetricType::Counter, "", ""}}});
  EXPECT_TRUE(sent.protobuf.empty());
  EXPECT_TRUE(sent.json.empty());
}

TEST(MetricFamilies, ASuffixCountsWhereTheTypeHasIt) {
  MetricFamilies families;
  families.learn({.family = "a", .type = MetricType::Histogram});
  families.learn({.family = "b", .type = MetricType::Gauge});
  families.learn({.family = "c_total", .type = MetricType::Counter});
  families.learn({.family = "d", .type = MetricType::Counter});
  const auto family_of = [&](std::string_view name) {
    const auto match = families.find(name);
    return match ? match->family->family + "|" + std::string(match->suffix) : "";
  };
  EXPECT_EQ(family_of("a_bucket"), "a|_bucket");
  EXPECT_EQ(family_of("a_created"), "a|_created");
  EXPECT_EQ(family_of("a_total"), "");
  EXPECT_EQ(family_of("b_sum"), "");
  EXPECT_EQ(family_of("b"), "b|");
  EXPECT_EQ(family_of("c_total"), "c_total|");
  EXPECT_EQ(family_of("d_total"), "d|_total");
}

// Whatever comes, in whatever pieces: the same samples arrive, in both encodings.
RC_GTEST_FIXTURE_PROP(OtlpMetricsEncoderTest, SamplesSurvive, ()) {
  static constexpr std::array<std::string_view, 6> kNames = {"t_bucket", "t_sum",   "t_count",
                                                             "t",        "n_total", "g_ratio"};
  static constexpr std::array<std::string_view, 5> kBounds = {"0.1", "1", "2.5", "+Inf", "x"};
  encoder_ = OtlpMetricsEncoder(OtlpNames::Stable);
  WriteRequest request;
  for (const auto& [family, units] :
       {std::pair("t", ""), std::pair("n_total", ""), std::pair("g_ratio", "ratio")})
    if (*rc::gen::arbitrary<bool>())
      request.metadata.push_back(
          {family,
           *rc::gen::element(MetricType::Unknown, MetricType::Counter, MetricType::Gauge,
                             MetricType::Histogram, MetricType::Summary, MetricType::Info),
           "", units});
  std::vector<std::string> seen;
  const int count = *rc::gen::inRange(0, 40);
  for (int i = 0; i < count; ++i) {
    std::vector<telemetry::Label> labels;
    const std::string_view name = *rc::gen::elementOf(kNames);
    if (*rc::gen::arbitrary<bool>())
      labels.push_back({"job", *rc::gen::element<std::string>("a", "b/c")});
    if (*rc::gen::arbitrary<bool>()) labels.push_back({"instance", "i"});
    if (*rc::gen::arbitrary<bool>())
      labels.push_back({"zone", *rc::gen::element<std::string>("x", "y")});
    if (*rc::gen::arbitrary<bool>())
      labels.push_back({*rc::gen::element<std::string>("le", "quantile"),
                        std::string(*rc::gen::elementOf(kBounds))});
    WriteSeries series{.labels = labels_of(std::string(name), labels)};
    std::string text = telemetry::format_series(series.labels);
    if (std::ranges::find(seen, text) != seen.end()) continue;
    seen.push_back(std::move(text));
    for (const std::int64_t at_ms : {1000, 2000})
      if (*rc::gen::arbitrary<bool>())
        series.samples.push_back(
            {.timestamp_ms = at_ms,
             .value = *rc::gen::element(0.0, 1.0, 2.0, 0.25, telemetry::stale_nan(), -3.0)});
    request.series.push_back(std::move(series));
  }
  const Sent sent = send(request);
  RC_ASSERT(sent.after == sent.before);
  RC_ASSERT(sent.after_json == (sent.json.empty() ? Lines() : sent.before));
}

}  // namespace
}  // namespace gantry::codec
