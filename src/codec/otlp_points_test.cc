#include <algorithm>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "codec/otlp_metrics.h"
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/otlp_histograms.h"
#include "codec/testing/otlp_text.h"

namespace gantry::codec {
namespace {

using testing::id_labels;
using testing::kHistogram;
using testing::kIds;
using testing::metrics_protobuf;
using testing::points_text;
using testing::request_with;
using testing::whole_text;

TEST(OtlpPoints, Gauge) {
  EXPECT_EQ(points_text(R"({"name":"queue.depth","unit":"{item}","gauge":{"dataPoints":[
              {"timeUnixNano":"60000000000","asInt":"-4","startTimeUnixNano":"1",
               "attributes":[{"key":"q.name","value":{"stringValue":"a"}}],
               "exemplars":[{"asDouble":1}]}]}})"),
            "queue_depth" + id_labels("q_name=\"a\"") + " -4 @60000\n");
}

TEST(OtlpPoints, MonotonicSumKeepsStartAndExemplars) {
  EXPECT_EQ(
      points_text(R"({"name":"http.requests","sum":{"aggregationTemporality":2,"isMonotonic":true,
              "dataPoints":[{"startTimeUnixNano":"1000000000","timeUnixNano":"60000000000","asDouble":10,
               "exemplars":[{"timeUnixNano":"59000000000","asInt":"3","spanId":"EEE19B7EC3C1B174",
                 "traceId":"5b8efff798038103d269b633813fc60c",
                 "filteredAttributes":[{"key":"user","value":{"stringValue":"u"}}]}]}]}})"),
      "exemplar http_requests_total" + std::string(kIds) +
          " {span_id=\"eee19b7ec3c1b174\", trace_id=\"5b8efff798038103d269b633813fc60c\", "
          "user=\"u\"} 3 @59000\n"
          "http_requests_total" +
          std::string(kIds) + " 10 @60000 start=1000\n");
}

TEST(OtlpPoints, LongExemplarAttributesAreLeftOut) {
  const std::string long_value(100, 'x');
  const std::string text = points_text(
      R"({"name":"c","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
      {"timeUnixNano":"60000000000","asInt":1,"exemplars":[{"asInt":3,"spanId":"eee19b7ec3c1b174",
       "traceId":"00000000000000000000000000000000",
       "filteredAttributes":[{"key":"u","value":{"stringValue":")" +
      long_value + R"("}},{"key":"v","value":{"stringValue":"some more text"}}]}]}]}})");
  EXPECT_NE(text.find("{span_id=\"eee19b7ec3c1b174\"} 3"), std::string::npos) << text;
}

TEST(OtlpPoints, NonMonotonicSumIsAGauge) {
  EXPECT_EQ(points_text(R"({"name":"mem","unit":"By","sum":{"aggregationTemporality":2,
              "dataPoints":[{"startTimeUnixNano":"1000000000","timeUnixNano":"60000000000","asInt":5}]}})"),
            "mem_bytes" + std::string(kIds) + " 5 @60000\n");
}

TEST(OtlpPoints, ClassicHistogram) {
  const auto bucket = [](std::string_view le) {
    return "lat_seconds_bucket" + id_labels("le=\"" + std::string(le) + "\"");
  };
  EXPECT_EQ(points_text(kHistogram),
            "exemplar " + bucket("+Inf") + " {} 7 @1000\n" + "exemplar " + bucket("0.5") +
                " {} 0.5 @1000\n" + bucket("+Inf") + " 6 @60000\n" + bucket("0.1") + " 0 @60000\n" +
                bucket("0.5") + " 3 @60000\n" + bucket("1") + " 3 @60000\n" + bucket("5") +
                " 5 @60000\n" + "lat_seconds_count" + std::string(kIds) + " 6 @60000\n" +
                "lat_seconds_sum" + std::string(kIds) + " 3.5 @60000\n");
}

TEST(OtlpPoints, CustomBucketHistogram) {
  EXPECT_EQ(points_text(kHistogram, {.explicit_histograms = ExplicitHistograms::CustomBuckets}),
            "exemplar lat_seconds" + std::string(kIds) + " {} 0.5 @1000\n" +
                "exemplar lat_seconds" + std::string(kIds) + " {} 7 @1000\n" + "lat_seconds" +
                std::string(kIds) +
                " {count:6, sum:3.5, (0.1,0.5]:3, (1,5]:2, (5,+Inf]:1} @60000\n");
}

TEST(OtlpPoints, SumOfHistogramsIsOptional) {
  constexpr std::string_view kNoSum = R"({"name":"h","histogram":{"aggregationTemporality":2,
      "dataPoints":[{"timeUnixNano":"60000000000","count":"2","bucketCounts":["1","1"],"explicitBounds":[1]}]}})";
  EXPECT_EQ(points_text(kNoSum).find("h_sum"), std::string::npos);
  EXPECT_TRUE(points_text(kNoSum, {.explicit_histograms = ExplicitHistograms::CustomBuckets})
                  .ends_with("message: histogram h has no sum: stored with sum 0\n"));
}

TEST(OtlpPoints, ExponentialHistogram) {
  EXPECT_EQ(
      points_text(R"({"name":"sz","unit":"By","exponentialHistogram":{"aggregationTemporality":2,
              "dataPoints":[{"timeUnixNano":"60000000000","count":"5","sum":9,"scale":0,"zeroCount":"1",
               "zeroThreshold":0.25,"positive":{"offset":0,"bucketCounts":["1","2"]},
               "negative":{"offset":1,"bucketCounts":["1"]}}]}})"),
      "sz_bytes" + std::string(kIds) +
          " {count:5, sum:9, [-4,-2):1, [-0.25,0.25]:1, (1,2]:1, (2,4]:2} @60000\n");
}

TEST(OtlpPoints, Summary) {
  EXPECT_EQ(
      points_text(R"({"name":"s","unit":"ms","summary":{"dataPoints":[{"timeUnixNano":"60000000000",
         "count":"10","sum":100,"quantileValues":[{"quantile":0.5,"value":7},{"quantile":1,"value":20}]}]}})"),
      "s_milliseconds_count" + std::string(kIds) + " 10 @60000\n" + "s_milliseconds_sum" +
          std::string(kIds) + " 100 @60000\n" + "s_milliseconds" + id_labels("quantile=\"0.5\"") +
          " 7 @60000\n" + "s_milliseconds" + id_labels("quantile=\"1\"") + " 20 @60000\n");
}

TEST(OtlpPoints, NoRecordedValueIsStale) {
  EXPECT_EQ(
      points_text(
          R"({"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"60000000000","flags":1}]}})"),
      "g" + std::string(kIds) + " StaleNaN @60000\n");
  const std::string histogram = points_text(
      R"({"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
         {"timeUnixNano":"60000000000","flags":1,"explicitBounds":[1]}]}})");
  EXPECT_EQ(std::ranges::count(histogram, '\n'), 4);
  EXPECT_EQ(points_text(R"({"name":"e","exponentialHistogram":{"aggregationTemporality":2,
              "dataPoints":[{"timeUnixNano":"60000000000","flags":1,"scale":3}]}})"),
            "e" + std::string(kIds) + " StaleNaN @60000\n");
}

TEST(OtlpPoints, TimeZeroIsTheReceiveTime) {
  OtlpMetricsDecoder decoder;
  const std::string body =
      metrics_protobuf(request_with(R"({"name":"g","gauge":{"dataPoints":[{"asInt":1}]}})"));
  const OtlpOptions options{.now_ms = 1234};
  ASSERT_TRUE(decoder.decode_protobuf(body, options));
  EXPECT_EQ(decoder.batch().samples[0].timestamp_ms, 1234);
  EXPECT_EQ(decoder.outcome().points_without_time, 1U);
}

struct RejectCase {
  std::string_view metrics, expected;
};

TEST(OtlpPoints, RejectedPointsAreCountedExactly) {
  for (const RejectCase& c : {
           RejectCase{
               R"({"name":"d","sum":{"aggregationTemporality":1,"dataPoints":[{},{}]}})",
               "rejected 2\nmessage: invalid temporality and type combination for metric \"d\"\n"},
           RejectCase{
               R"({"name":"d","histogram":{"dataPoints":[{}]}})",
               "rejected 1\nmessage: invalid temporality and type combination for metric \"d\"\n"},
           RejectCase{
               R"({"name":"@","gauge":{"dataPoints":[{}]}})",
               "rejected 1\nmessage: metric name \"@\" has no character that a Prometheus name "
               "may hold\n"},
           RejectCase{
               R"({"name":"g","gauge":{"dataPoints":[{"attributes":[{"key":"","value":{}}]}]}})",
               "rejected 1\nmessage: metric \"g\": attribute without a key\n"},
           RejectCase{R"({"name":"g","gauge":{"dataPoints":[]}})",
                      "message: empty data points. g is dropped\n"},
           RejectCase{R"({"name":"n"})", "message: empty data points. n is dropped\n"},
           RejectCase{
               R"({"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
                          {"bucketCounts":["1"],"explicitBounds":[1]}]}})",
               "rejected 1\nmessage: metric \"h\": histogram has 1 bucket counts for 1 bounds\n"},
           RejectCase{R"({"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
                          {"bucketCounts":[1,1,1],"explicitBounds":[2,1]}]}})",
                      "rejected 1\nmessage: metric \"h\": histogram bounds do not ascend\n"},
           RejectCase{R"({"name":"e","exponentialHistogram":{"aggregationTemporality":2,
                          "dataPoints":[{"scale":-5}]}})",
                      "rejected 1\nmessage: metric \"e\": cannot convert exponential to native "
                      "histogram: scale must be >= -4, was -5\n"},
       }) {
    EXPECT_EQ(points_text(c.metrics), c.expected) << c.metrics;
  }
}

/// What a store answers that has refused these positions of a batch.
telemetry::AppendResult refusal(std::vector<std::uint32_t> samples,
                                std::vector<std::uint32_t> histograms = {}) {
  telemetry::AppendResult result;
  result.samples_rejected = samples.size() + histograms.size();
  result.refused_samples = std::move(samples);
  result.refused_histograms = std::move(histograms);
  return result;
}

TEST(OtlpPoints, ARefusedPointCountsOnceForAllItsSeries) {
  const std::string body = metrics_protobuf(request_with(
      std::string(kHistogram) +
      R"(,{"name":"bad","gauge":{"dataPoints":[{"attributes":[{"key":"","value":{}}]}]}},
          {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000"},{"timeUnixNano":"2000000"}]}},
          {"name":"s","summary":{"dataPoints":[{"timeUnixNano":"1000000","quantileValues":[{}]}]}},
          {"name":"e","exponentialHistogram":{"aggregationTemporality":2,
           "dataPoints":[{"timeUnixNano":"1000000","sum":0}]}})"));
  OtlpMetricsDecoder decoder;
  const OtlpOptions options;
  ASSERT_TRUE(decoder.decode_protobuf(body, options));
  const telemetry::MetricBatch& batch = decoder.batch();
  ASSERT_EQ(batch.histograms.size(), 1U);
  EXPECT_EQ(decoder.outcome().rejected_data_points, 1U);

  EXPECT_EQ(decoder.count_refused_points({}), 0U);
  // The classic histogram comes first: _sum, _count and its buckets.
  EXPECT_EQ(decoder.count_refused_points(refusal({2, 0, 1})), 1U);
  EXPECT_EQ(decoder.count_refused_points(refusal({}, {0})), 1U);
  std::vector<std::uint32_t> all(batch.samples.size());
  std::iota(all.begin(), all.end(), 0U);
  // Histogram, two gauges, summary, exponential histogram; target_info is none.
  EXPECT_EQ(decoder.count_refused_points(refusal(all, {0})), 5U);
  const auto target_info = static_cast<std::uint32_t>(batch.samples.size() - 1);
  ASSERT_TRUE(batch.series[batch.samples[target_info].series].is_best_effort);
  EXPECT_EQ(decoder.count_refused_points(refusal({target_info})), 0U);
}

TEST(OtlpPoints, TwoPointsOfOneSeriesAreTwo) {
  const std::string body = metrics_protobuf(request_with(
      R"({"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000"},{"timeUnixNano":"1000000"}]}})"));
  OtlpMetricsDecoder decoder;
  const OtlpOptions options{.has_target_info = false};
  ASSERT_TRUE(decoder.decode_protobuf(body, options));
  EXPECT_EQ(decoder.count_refused_points(refusal({1})), 1U);
  EXPECT_EQ(decoder.count_refused_points(refusal({0, 1})), 2U);
  EXPECT_EQ(decoder.batch().body_bytes, body.size());
}

TEST(OtlpPoints, GoodPointsSurviveBadOnes) {
  EXPECT_EQ(points_text(R"({"name":"d","sum":{"aggregationTemporality":1,"dataPoints":[{}]}},
              {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asInt":1}]}})"),
            "g" + std::string(kIds) +
                " 1 @1\nrejected 1\nmessage: invalid temporality and type combination for metric "
                "\"d\"\n");
}

TEST(OtlpPoints, LabelsMeetAndAreOverwritten) {
  EXPECT_EQ(points_text(R"({"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asInt":1,
              "attributes":[{"key":"a.b","value":{"stringValue":"2"}},{"key":"a-b","value":{"stringValue":"1"}},
               {"key":"job","value":{"stringValue":"mine"}},{"key":"__name__","value":{"stringValue":"evil"}}]}]}})"),
            "g{a_b=\"1;2\", instance=\"i-1\", job=\"shop/checkout\"} 1 @1\n");
}

TEST(OtlpPoints, AttributeValuesBecomeText) {
  EXPECT_EQ(
      points_text(
          R"({"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asInt":1,"attributes":[
      {"key":"k1","value":{"boolValue":true}},{"key":"k2","value":{"intValue":"9007199254740993"}},
      {"key":"k3","value":{"doubleValue":1.5}},{"key":"k4","value":{"bytesValue":"aGkh"}},
      {"key":"k5","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"x\"y"},{"doubleValue":"NaN"},{}]}}},
      {"key":"k6","value":{"kvlistValue":{"values":[{"key":"z","value":{"boolValue":false}},
        {"key":"a","value":{"kvlistValue":{}}}]}}},
      {"key":"k7","value":{}}]}]}})"),
      "g" +
          id_labels("k1=\"true\", k2=\"9007199254740993\", k3=\"1.5\", k4=\"aGkh\", "
                    "k5=\"[1,\\\"x\\\\\\\"y\\\",\\\"NaN\\\",null]\", "
                    "k6=\"{\\\"a\\\":{},\\\"z\\\":false}\"") +
          " 1 @1\n");
}

TEST(OtlpPoints, NativeDelta) {
  const OtlpOptions options{.has_target_info = false, .delta = DeltaPolicy::Native};
  EXPECT_EQ(
      whole_text(
          request_with(
              R"({"name":"req","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[
                  {"startTimeUnixNano":"1000000000","timeUnixNano":"2000000000","asInt":5}]}})"),
          options),
      "metadata req_total unknown \"\" \"\"\nreq_total" + std::string(kIds) +
          " 5 @2000 start=1000\n");
  OtlpMetricsDecoder decoder;
  const std::string body = metrics_protobuf(request_with(
      R"({"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1000000","sum":0}]}})"));
  ASSERT_TRUE(decoder.decode_protobuf(body, options));
  EXPECT_EQ(std::get<telemetry::IntegerHistogram>(decoder.batch().histograms.at(0).histogram).hint,
            telemetry::CounterResetHint::Gauge);
}

RC_GTEST_PROP(OtlpPoints, ExponentialBucketsKeepTheirCounts,
              (const std::vector<std::uint16_t>& counts, std::int16_t offset)) {
  OtlpExponentialPoint point;
  point.scale = *rc::gen::inRange(-4, 21);
  point.positive = {.offset = offset, .counts = {counts.begin(), counts.end()}};
  for (const std::uint16_t count : counts) point.count += count;
  const auto native = exponential_to_native(point);
  RC_ASSERT(native.has_value());
  std::uint64_t total = 0;
  for (const std::uint64_t count : native->positive_counts) total += count;
  RC_ASSERT(total == point.count);
  RC_ASSERT(native->schema == std::min(point.scale, 8));
}

}  // namespace
}  // namespace gantry::codec
