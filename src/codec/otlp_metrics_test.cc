#include "codec/otlp_metrics.h"

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/delta_to_cumulative.h"
#include "codec/otlp_histograms.h"
#include "codec/testing/batch_text.h"
#include "codec/testing/conformance.h"
#include "codec/testing/otlp_builder.h"

namespace gantry::codec {
namespace {

using testing::batch_text;
using testing::metrics_protobuf;
using testing::request_with;

/// Without target_info and metadata, which have tests of their own.
std::string points_text(std::string_view metrics_json, OtlpOptions options = {}) {
  options.has_target_info = false;
  const std::string body = metrics_protobuf(request_with(metrics_json));
  OtlpMetricsDecoder decoder;
  const auto result = decoder.decode_protobuf(body, options);
  if (!result) return "error: " + result.error().message;
  std::string text;
  for (const std::string& line : testing::batch_lines(decoder.batch())) {
    if (!line.starts_with("metadata ")) text += line + "\n";
  }
  const OtlpOutcome& outcome = decoder.outcome();
  if (outcome.rejected_data_points != 0) {
    text += "rejected " + std::to_string(outcome.rejected_data_points) + "\n";
  }
  if (!outcome.message().empty()) text += "message: " + outcome.message() + "\n";
  return text;
}

constexpr std::string_view kIds = R"({instance="i-1", job="shop/checkout"})";

std::string id_labels(std::string_view more) {
  std::string labels(kIds);
  // Sorted by name: callers give what goes behind `instance` and `job`.
  labels.insert(labels.size() - 1, ", " + std::string(more));
  return labels;
}

TEST(OtlpMetrics, Gauge) {
  EXPECT_EQ(points_text(R"({"name":"queue.depth","unit":"{item}","gauge":{"dataPoints":[
              {"timeUnixNano":"60000000000","asInt":"-4","startTimeUnixNano":"1",
               "attributes":[{"key":"q.name","value":{"stringValue":"a"}}],
               "exemplars":[{"asDouble":1}]}]}})"),
            "queue_depth" + id_labels("q_name=\"a\"") + " -4 @60000\n");
}

TEST(OtlpMetrics, MonotonicSumKeepsStartAndExemplars) {
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

TEST(OtlpMetrics, LongExemplarAttributesAreLeftOut) {
  const std::string long_value(100, 'x');
  const std::string text = points_text(
      R"({"name":"c","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
      {"timeUnixNano":"60000000000","asInt":1,"exemplars":[{"asInt":3,"spanId":"eee19b7ec3c1b174",
       "traceId":"00000000000000000000000000000000",
       "filteredAttributes":[{"key":"u","value":{"stringValue":")" +
      long_value + R"("}},{"key":"v","value":{"stringValue":"some more text"}}]}]}]}})");
  EXPECT_NE(text.find("{span_id=\"eee19b7ec3c1b174\"} 3"), std::string::npos) << text;
}

TEST(OtlpMetrics, NonMonotonicSumIsAGauge) {
  EXPECT_EQ(points_text(R"({"name":"mem","unit":"By","sum":{"aggregationTemporality":2,
              "dataPoints":[{"startTimeUnixNano":"1000000000","timeUnixNano":"60000000000","asInt":5}]}})"),
            "mem_bytes" + std::string(kIds) + " 5 @60000\n");
}

constexpr std::string_view kHistogram =
    R"({"name":"lat","unit":"s","histogram":{"aggregationTemporality":2,
    "dataPoints":[{"timeUnixNano":"60000000000","count":"6","sum":3.5,
     "bucketCounts":["0","3","0","2","1"],"explicitBounds":[0.1,0.5,1,5],
     "exemplars":[{"timeUnixNano":"1000000000","asDouble":0.5},{"timeUnixNano":"1000000000","asDouble":7}]}]}})";

TEST(OtlpMetrics, ClassicHistogram) {
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

TEST(OtlpMetrics, CustomBucketHistogram) {
  EXPECT_EQ(points_text(kHistogram, {.explicit_histograms = ExplicitHistograms::CustomBuckets}),
            "exemplar lat_seconds" + std::string(kIds) + " {} 0.5 @1000\n" +
                "exemplar lat_seconds" + std::string(kIds) + " {} 7 @1000\n" + "lat_seconds" +
                std::string(kIds) +
                " {count:6, sum:3.5, (0.1,0.5]:3, (1,5]:2, (5,+Inf]:1} @60000\n");
}

TEST(OtlpMetrics, SumOfHistogramsIsOptional) {
  constexpr std::string_view kNoSum = R"({"name":"h","histogram":{"aggregationTemporality":2,
      "dataPoints":[{"timeUnixNano":"60000000000","count":"2","bucketCounts":["1","1"],"explicitBounds":[1]}]}})";
  EXPECT_EQ(points_text(kNoSum).find("h_sum"), std::string::npos);
  EXPECT_TRUE(points_text(kNoSum, {.explicit_histograms = ExplicitHistograms::CustomBuckets})
                  .ends_with("message: histogram h has no sum: stored with sum 0\n"));
}

TEST(OtlpMetrics, ExponentialHistogram) {
  EXPECT_EQ(
      points_text(R"({"name":"sz","unit":"By","exponentialHistogram":{"aggregationTemporality":2,
              "dataPoints":[{"timeUnixNano":"60000000000","count":"5","sum":9,"scale":0,"zeroCount":"1",
               "zeroThreshold":0.25,"positive":{"offset":0,"bucketCounts":["1","2"]},
               "negative":{"offset":1,"bucketCounts":["1"]}}]}})"),
      "sz_bytes" + std::string(kIds) +
          " {count:5, sum:9, [-4,-2):1, [-0.25,0.25]:1, (1,2]:1, (2,4]:2} @60000\n");
}

TEST(OtlpMetrics, Summary) {
  EXPECT_EQ(
      points_text(R"({"name":"s","unit":"ms","summary":{"dataPoints":[{"timeUnixNano":"60000000000",
         "count":"10","sum":100,"quantileValues":[{"quantile":0.5,"value":7},{"quantile":1,"value":20}]}]}})"),
      "s_milliseconds_count" + std::string(kIds) + " 10 @60000\n" + "s_milliseconds_sum" +
          std::string(kIds) + " 100 @60000\n" + "s_milliseconds" + id_labels("quantile=\"0.5\"") +
          " 7 @60000\n" + "s_milliseconds" + id_labels("quantile=\"1\"") + " 20 @60000\n");
}

TEST(OtlpMetrics, NoRecordedValueIsStale) {
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

TEST(OtlpMetrics, TimeZeroIsTheReceiveTime) {
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

TEST(OtlpMetrics, RejectedPointsAreCountedExactly) {
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

TEST(OtlpMetrics, GoodPointsSurviveBadOnes) {
  EXPECT_EQ(points_text(R"({"name":"d","sum":{"aggregationTemporality":1,"dataPoints":[{}]}},
              {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asInt":1}]}})"),
            "g" + std::string(kIds) +
                " 1 @1\nrejected 1\nmessage: invalid temporality and type combination for metric "
                "\"d\"\n");
}

TEST(OtlpMetrics, LabelsMeetAndAreOverwritten) {
  EXPECT_EQ(points_text(R"({"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asInt":1,
              "attributes":[{"key":"a.b","value":{"stringValue":"2"}},{"key":"a-b","value":{"stringValue":"1"}},
               {"key":"job","value":{"stringValue":"mine"}},{"key":"__name__","value":{"stringValue":"evil"}}]}]}})"),
            "g{a_b=\"1;2\", instance=\"i-1\", job=\"shop/checkout\"} 1 @1\n");
}

TEST(OtlpMetrics, AttributeValuesBecomeText) {
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

std::string whole_text(std::string_view json, const OtlpOptions& options) {
  const std::string body = metrics_protobuf(json);
  OtlpMetricsDecoder decoder;
  EXPECT_TRUE(decoder.decode_protobuf(body, options));
  return batch_text(decoder.batch());
}

constexpr std::string_view kOneGauge =
    R"({"name":"g","description":"d","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"60000000000","asInt":1}]}})";

TEST(OtlpMetrics, TargetInfo) {
  EXPECT_EQ(
      whole_text(request_with(kOneGauge), {}),
      "g_ratio" + std::string(kIds) + " 1 @60000\n" +
          "metadata g_ratio gauge \"d\" \"\"\n"
          "metadata target_info gauge \"Target metadata\" \"\"\n"
          "target_info{instance=\"i-1\", job=\"shop/checkout\", k8s_pod_name=\"p-1\"}! 1 @60000\n");
}

TEST(OtlpMetrics, TargetInfoKeepsIdentifyingAttributesWhenAsked) {
  const std::string text =
      whole_text(request_with(kOneGauge), {.keeps_identifying_attributes = true});
  EXPECT_NE(text.find("service_name=\"checkout\""), std::string::npos);
}

TEST(OtlpMetrics, TargetInfoSpansThePointsAndIsBounded) {
  const auto times = [](std::string_view first, std::string_view last) {
    OtlpMetricsDecoder decoder;
    const std::string body = metrics_protobuf(request_with(
        R"({"name":"g","gauge":{"dataPoints":[{"timeUnixNano":")" + std::string(first) +
        R"(","asInt":1},{"timeUnixNano":")" + std::string(last) + R"(","asInt":1}]}})"));
    const OtlpOptions options;
    EXPECT_TRUE(decoder.decode_protobuf(body, options));
    std::vector<std::int64_t> result;
    for (const auto& sample : decoder.batch().samples) {
      if (decoder.batch().series[sample.series].is_best_effort) {
        result.push_back(sample.timestamp_ms);
      }
    }
    return result;
  };
  EXPECT_EQ(times("1000000000000", "1400000000000"),
            (std::vector<std::int64_t>{1000000, 1150000, 1300000, 1400000}));
  EXPECT_EQ(times("1000000000000", "1150000000000"), (std::vector<std::int64_t>{1000000, 1150000}));
  EXPECT_LE(times("1", "1700000000000000000").size(), 101U);
}

TEST(OtlpMetrics, TargetInfoComesOncePerMoment) {
  std::string request = request_with(kOneGauge);
  const std::string resource = request.substr(20, request.size() - 22);
  const std::string twice = "{\"resourceMetrics\":[" + resource + "," + resource + "]}";
  const std::string text = whole_text(twice, {});
  EXPECT_EQ(text.find("target_info{"), text.rfind("target_info{")) << text;
}

TEST(OtlpMetrics, ResourceAndScopePromotion) {
  OtlpOptions options{.promotes_scope = true, .has_target_info = false};
  options.promotion.attributes = {"k8s.pod.name", "absent"};
  EXPECT_TRUE(whole_text(request_with(kOneGauge), options)
                  .starts_with("g_ratio{instance=\"i-1\", job=\"shop/checkout\", "
                               "k8s_pod_name=\"p-1\", otel_scope_name=\"lib\", "
                               "otel_scope_version=\"1.2\"} 1 @60000\n"));
  options.promotes_scope = false;
  options.promotion = {.all = true, .ignored = {"service.namespace"}};
  EXPECT_TRUE(whole_text(request_with(kOneGauge), options)
                  .starts_with("g_ratio{instance=\"i-1\", job=\"shop/checkout\", "
                               "k8s_pod_name=\"p-1\", service_instance_id=\"i-1\", "
                               "service_name=\"checkout\"} 1 @60000\n"));
}

TEST(OtlpMetrics, TypeAndUnitLabels) {
  EXPECT_TRUE(
      points_text(
          R"({"name":"m","unit":"By","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asInt":1}]}})",
          {.adds_type_and_unit_labels = true})
          .starts_with("m_bytes{__type__=\"gauge\", __unit__=\"bytes\", "));
}

TEST(OtlpMetrics, KeysFollowEverythingThatMakesLabels) {
  const auto key = [](std::string_view json, const OtlpOptions& options) {
    OtlpMetricsDecoder decoder;
    const std::string body = metrics_protobuf(json);
    EXPECT_TRUE(decoder.decode_protobuf(body, options));
    return decoder.batch().series.at(0).key;
  };
  const std::string base = request_with(kOneGauge);
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string json = base;
    json.replace(json.find(from), from.size(), to);
    return json;
  };
  const core::Hash128 plain = key(base, {});
  EXPECT_EQ(plain, key(changed("\"asInt\":1", "\"asInt\":2"), {}));
  EXPECT_EQ(plain, key(changed("\"lib\"", "\"other\""), {}));
  EXPECT_NE(plain, key(changed("i-1", "i-2"), {}));
  EXPECT_NE(plain, key(changed("\"name\":\"g\"", "\"name\":\"h\""), {}));
  EXPECT_NE(plain, key(changed("\"unit\":\"1\"", "\"unit\":\"s\""), {}));
  EXPECT_NE(plain, key(base, {.promotes_scope = true}));
  EXPECT_NE(key(base, {.promotes_scope = true}),
            key(changed("\"lib\"", "\"other\""), {.promotes_scope = true}));
  EXPECT_NE(plain, key(base, {.strategy = TranslationStrategy::NoTranslation}));
}

TEST(OtlpMetrics, CollidingNamesAreReported) {
  const std::string text = points_text(
      R"({"name":"größe","gauge":{"dataPoints":[{"timeUnixNano":"1000000"}]}},
         {"name":"grüße","gauge":{"dataPoints":[{"timeUnixNano":"1000000"}]}})");
  EXPECT_TRUE(text.ends_with("message: metrics \"größe\" and \"grüße\" both become gr_e\n"))
      << text;
}

TEST(OtlpMetrics, NativeDelta) {
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

TEST(OtlpMetrics, TruncatedAtEveryByteErrsOrDecodes) {
  const std::string whole =
      metrics_protobuf(request_with(std::string(kHistogram) + "," + std::string(kOneGauge)));
  int error_count = 0;
  const OtlpOptions options;
  OtlpMetricsDecoder decoder;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string part(whole, 0, length);
    if (!decoder.decode_protobuf(part, options)) {
      ++error_count;
      EXPECT_TRUE(decoder.batch().samples.empty());
    } else {
      static_cast<void>(batch_text(decoder.batch()));
    }
  }
  EXPECT_GT(error_count, 100);
}

TEST(OtlpMetrics, EveryBitFlipErrsOrDecodes) {
  const std::string whole =
      metrics_protobuf(request_with(std::string(kHistogram) + "," + std::string(kOneGauge)));
  const OtlpOptions options{.promotes_scope = true};
  OtlpMetricsDecoder decoder;
  for (std::size_t i = 0; i < whole.size() * 8; ++i) {
    std::string flipped(whole);
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    if (decoder.decode_protobuf(flipped, options)) {
      EXPECT_NO_THROW(static_cast<void>(batch_text(decoder.batch())));
    }
  }
}

RC_GTEST_PROP(OtlpMetrics, ExponentialBucketsKeepTheirCounts,
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

std::string expected_labels(const nlohmann::json& series) {
  std::vector<telemetry::Label> labels{{"__name__", series.at("name").get<std::string>()}};
  for (const auto& [name, value] : series.at("labels").items()) {
    labels.push_back({name, value.get<std::string>()});
  }
  return telemetry::format_series(telemetry::make_labels(std::move(labels)));
}

/// Index and count of the non-empty buckets.
std::vector<std::pair<std::int64_t, std::uint64_t>> absolute(
    const std::vector<telemetry::BucketSpan>& spans, const std::vector<std::uint64_t>& counts) {
  std::vector<std::pair<std::int64_t, std::uint64_t>> result;
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const auto& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++position) {
      if (counts.at(position) != 0) result.emplace_back(index, counts[position]);
    }
  }
  return result;
}

std::vector<std::pair<std::int64_t, std::uint64_t>> absolute_json(const nlohmann::json& spans,
                                                                  const nlohmann::json& deltas) {
  std::vector<telemetry::BucketSpan> list;
  for (const auto& span : spans) list.push_back({span[0].get<int>(), span[1].get<unsigned>()});
  std::vector<std::uint64_t> counts;
  std::int64_t count = 0;
  for (const auto& delta : deltas) {
    count += delta.get<std::int64_t>();
    counts.push_back(static_cast<std::uint64_t>(count));
  }
  return absolute(list, counts);
}

bool histogram_matches(const nlohmann::json& want, const telemetry::NativeHistogram& native) {
  const auto& h = std::get<telemetry::IntegerHistogram>(native);
  return want.at("schema") == h.schema && want.at("count") == h.count &&
         testing::json_double(want.at("sum")) == h.sum &&
         want.value("zero_count", std::uint64_t{0}) == h.zero_count &&
         want.value("zero_threshold", h.zero_threshold) == h.zero_threshold &&
         want.value("custom_values", std::vector<double>{}) == h.custom_values &&
         absolute_json(want.at("positive_spans"), want.at("positive_deltas")) ==
             absolute(h.positive_spans, h.positive_counts);
}

bool series_matches(const nlohmann::json& want, const telemetry::MetricBatch& batch) {
  const std::string name = expected_labels(want);
  const auto time_ms = want.at("timestamp_ms").get<std::int64_t>();
  bool found = false;
  if (want.contains("histogram")) {
    for (const auto& sample : batch.histograms) {
      found |= testing::series_text(batch, sample.series) == name &&
               sample.timestamp_ms == time_ms &&
               histogram_matches(want["histogram"], sample.histogram);
    }
  } else {
    const double value = testing::json_double(want.at("value"));
    for (std::size_t i = 0; i < batch.samples.size(); ++i) {
      const auto& sample = batch.samples[i];
      const std::int64_t start =
          batch.start_timestamps_ms.empty() ? 0 : batch.start_timestamps_ms[i];
      found |= testing::series_text(batch, sample.series) == name &&
               sample.timestamp_ms == time_ms &&
               std::bit_cast<std::uint64_t>(sample.value) == std::bit_cast<std::uint64_t>(value) &&
               want.value("start_timestamp_ms", start) == start;
    }
  }
  const std::string text = batch_text(batch);
  for (const auto& exemplar : want.value("exemplars", nlohmann::json::array())) {
    std::vector<telemetry::Label> labels;
    for (const auto& [key, value] : exemplar.at("labels").items()) {
      labels.push_back({key, value.get<std::string>()});
    }
    found &= text.find("exemplar " + name + " " +
                       telemetry::format_labels(telemetry::make_labels(std::move(labels))) + " " +
                       exemplar.at("value").dump() + " @" + exemplar.at("timestamp_ms").dump()) !=
             std::string::npos;
  }
  if (want.contains("type")) {
    found &= text.find("metadata " + want["name"].get<std::string>() + " " +
                       want["type"].get<std::string>()) != std::string::npos;
  }
  return found;
}

OtlpOptions options_of_mode(const std::string& mode, DeltaToCumulative& state) {
  OtlpOptions options{.delta_state = &state};
  if (mode == "nhcb") options.explicit_histograms = ExplicitHistograms::CustomBuckets;
  if (mode == "native_delta") options.delta = DeltaPolicy::Native;
  if (mode == "to_cumulative") options.delta = DeltaPolicy::ToCumulative;
  if (mode.starts_with("promote ")) {
    options.promotion.attributes = {"k8s.pod.name"};
    options.promotes_scope = true;
  }
  return options;
}

TEST(OtlpMetricsConformance, Points) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/points.json");
  testing::Score score("otlp-prom/points.json");
  for (const auto& test : file.at("cases")) {
    DeltaToCumulative state({});
    const OtlpOptions options = options_of_mode(test.value("mode", ""), state);
    OtlpMetricsDecoder decoder;
    const std::string body = testing::padded(test.at("otlp").dump());
    const auto decoded = decoder.decode_json(body, options);
    bool passed = decoded.has_value();
    const auto& batch = decoder.batch();
    for (const auto& want : test.at("series")) {
      const bool found = series_matches(want, batch);
      EXPECT_TRUE(found) << test.at("id") << " wants " << want << " in\n" << batch_text(batch);
      passed &= found;
    }
    passed &= batch.samples.size() + batch.histograms.size() == test.at("series").size();
    passed &= decoder.outcome().rejected_data_points == test.value("rejected_data_points", 0U);
    passed &=
        decoder.outcome().message().find(test.value("error_contains", "")) != std::string::npos;
    if (test.contains("second_value")) {
      std::string second = body;
      const auto replace = [&](std::string_view from, std::string_view to) {
        second.replace(second.find(from), from.size(), to);
      };
      replace("\"startTimeUnixNano\":\"1700000000000000000\"",
              "\"startTimeUnixNano\":\"1700000060000000000\"");
      replace("\"timeUnixNano\":\"1700000060000000000\"",
              "\"timeUnixNano\":\"1700000120000000000\"");
      replace("\"asInt\":\"5\"", "\"asInt\":\"3\"");
      passed &= decoder.decode_json(testing::padded(second), options).has_value();
      passed &= decoder.batch().samples.at(0).value == test["second_value"].get<double>();
    }
    EXPECT_TRUE(passed) << test.at("id") << "\n"
                        << batch_text(batch) << decoder.outcome().message();
    score.add(passed);
  }
}

/// Buckets 3, 6, 7, 8 with counts 10, 20, 5, 2 merge by two into 1, 3, 3, 4. The published result
/// has the 20 in bucket 2, where none of its observations were: Prometheus' merging loop does not
/// move on past a merged bucket that is empty.
bool is_known_wrong_layout(const nlohmann::json& test) {
  return test.at("otlp_offset") == 3 && test.at("scale_down") == 1 &&
         test.at("bucket_counts") == nlohmann::json({10, 0, 0, 20, 5, 2});
}

TEST(OtlpMetrics, MergingPassesOverEmptyBuckets) {
  OtlpExponentialPoint point;
  point.scale = 9;
  point.count = 37;
  point.positive = {.offset = 3, .counts = {10, 0, 0, 20, 5, 2}};
  const auto native = exponential_to_native(point);
  ASSERT_TRUE(native);
  EXPECT_EQ(absolute(native->positive_spans, native->positive_counts),
            (std::vector<std::pair<std::int64_t, std::uint64_t>>{{2, 10}, {4, 25}, {5, 2}}));
}

TEST(OtlpMetricsConformance, ExponentialToNative) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/exponential-to-native.json");
  testing::Score score("otlp-prom/exponential-to-native.json");
  for (const auto& test : file.at("layout")) {
    OtlpExponentialPoint point;
    point.scale = 8 + test.at("scale_down").get<int>();
    point.positive = {.offset = test.at("otlp_offset").get<int>(),
                      .counts = test.at("bucket_counts").get<std::vector<std::uint64_t>>()};
    for (const std::uint64_t count : point.positive.counts) point.count += count;
    const auto native = exponential_to_native(point);
    const bool passed = native && absolute(native->positive_spans, native->positive_counts) ==
                                      absolute_json(test.at("spans"), test.at("deltas"));
    EXPECT_EQ(passed, !is_known_wrong_layout(test)) << test;
    score.add(passed);
  }
  for (const auto& test : file.at("scale")) {
    OtlpExponentialPoint point;
    point.scale = test.at("scale").get<int>();
    const auto native = exponential_to_native(point);
    const auto& want = test.at("result");
    const bool passed = want.contains("error") ? !native.has_value()
                                               : native && want.at("schema") == native->schema;
    EXPECT_TRUE(passed) << test;
    score.add(passed);
  }
}

TEST(OtlpMetricsConformance, ExplicitHistograms) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/explicit-histograms.json");
  testing::Score score("otlp-prom/explicit-histograms.json");
  for (const auto& test : file.at("cases")) {
    const nlohmann::json metric = {{"name", "h"},
                                   {"histogram",
                                    {{"aggregationTemporality", 2},
                                     {"dataPoints",
                                      {{{"timeUnixNano", "1000000"},
                                        {"count", test.at("count")},
                                        {"sum", 1},
                                        {"bucketCounts", test.at("bucket_counts")},
                                        {"explicitBounds", test.at("explicit_bounds")}}}}}}};
    const std::string text = points_text(metric.dump());
    bool passed = true;
    for (const auto& bucket : test.at("classic_buckets")) {
      passed &= text.find("le=\"" + bucket[0].get<std::string>() + "\"} " + bucket[1].dump() +
                          " @1\n") != std::string::npos;
    }
    passed &= std::ranges::count(text, '\n') ==
              static_cast<std::ptrdiff_t>(test.at("classic_buckets").size()) + 2;
    OtlpHistogramPoint point;
    point.count = test.at("count").get<std::uint64_t>();
    point.bucket_counts = test.at("bucket_counts").get<std::vector<std::uint64_t>>();
    point.bounds = test.at("explicit_bounds").get<std::vector<double>>();
    const auto native = explicit_to_native(point);
    const auto& want = test.at("nhcb");
    passed &= native && native->schema == want.at("schema").get<int>() &&
              native->custom_values == want.at("custom_values").get<std::vector<double>>() &&
              absolute(native->positive_spans, native->positive_counts) ==
                  absolute_json(want.at("positive_spans"), want.at("positive_deltas"));
    EXPECT_TRUE(passed) << test << "\n" << text;
    score.add(passed);
  }
}

}  // namespace
}  // namespace gantry::codec
