#include <gtest/gtest.h>

#include "codec/otlp_metrics.h"
#include "codec/testing/otlp_text.h"

namespace gantry::codec {
namespace {

using testing::batch_text;
using testing::kIds;
using testing::kOneGauge;
using testing::metrics_protobuf;
using testing::points_text;
using testing::request_with;
using testing::whole_text;

TEST(OtlpResources, TargetInfo) {
  EXPECT_EQ(
      whole_text(request_with(kOneGauge), {}),
      "g_ratio" + std::string(kIds) + " 1 @60000\n" +
          "metadata g_ratio gauge \"d\" \"\"\n"
          "metadata target_info gauge \"Target metadata\" \"\"\n"
          "target_info{instance=\"i-1\", job=\"shop/checkout\", k8s_pod_name=\"p-1\"}! 1 @60000\n");
}

TEST(OtlpResources, TargetInfoKeepsIdentifyingAttributesWhenAsked) {
  const std::string text =
      whole_text(request_with(kOneGauge), {.keeps_identifying_attributes = true});
  EXPECT_NE(text.find("service_name=\"checkout\""), std::string::npos);
}

TEST(OtlpResources, TargetInfoSpansThePointsAndIsBounded) {
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

TEST(OtlpResources, TargetInfoComesOncePerMoment) {
  std::string request = request_with(kOneGauge);
  const std::string resource = request.substr(20, request.size() - 22);
  const std::string twice = "{\"resourceMetrics\":[" + resource + "," + resource + "]}";
  const std::string text = whole_text(twice, {});
  EXPECT_EQ(text.find("target_info{"), text.rfind("target_info{")) << text;
}

TEST(OtlpResources, ResourceAndScopePromotion) {
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

TEST(OtlpResources, TypeAndUnitLabels) {
  EXPECT_TRUE(
      points_text(
          R"({"name":"m","unit":"By","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asInt":1}]}})",
          {.adds_type_and_unit_labels = true})
          .starts_with("m_bytes{__type__=\"gauge\", __unit__=\"bytes\", "));
}

TEST(OtlpResources, KeysFollowEverythingThatMakesLabels) {
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

TEST(OtlpResources, CollidingNamesAreReported) {
  const std::string text = points_text(
      R"({"name":"größe","gauge":{"dataPoints":[{"timeUnixNano":"1000000"}]}},
         {"name":"grüße","gauge":{"dataPoints":[{"timeUnixNano":"1000000"}]}})");
  EXPECT_TRUE(text.ends_with("message: metrics \"größe\" and \"grüße\" both become gr_e\n"))
      << text;
}

}  // namespace
}  // namespace gantry::codec
