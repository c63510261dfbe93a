#include "gateway/gateway_metrics.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <fmt/format.h>

#include "codec/otlp_names.h"

namespace gantry::gateway {
namespace {

Generation finished() {
  Generation made;
  made.end_ms = 1'010;
  made.api_key_name = "batch";
  made.requested_model = "openai/gpt-4o";
  made.served_model = "openai/gpt-4o-x";
  made.is_stream = true;
  made.is_ok = true;
  made.attempts = {{.provider_slug = "azure",
                    .sent_ms = 2,
                    .failed_ms = 102,
                    .error_type = "provider_overloaded"},
                   {.provider_slug = "openai",
                    .server_address = "api.openai.com",
                    .server_port = 443,
                    .sent_ms = 105,
                    .headers_ms = 200,
                    .first_token_ms = 205,
                    .body_end_ms = 1'005,
                    .status = 200,
                    .is_ok = true}};
  made.chunk_times.add(0.03);
  made.chunk_times.add(0.5);
  made.usage = Usage{.input = 10, .output = 41, .total = 51, .cached = 4};
  made.cost = Cost{.total = PicoUsd{142'500'000}};
  return made;
}

class GatewayMetricsTest : public testing::Test {
 protected:
  /// The sum over all series whose labels hold all of `wanted`; -1 when there is none.
  double sum(std::string_view sample_name, const core::MetricLabels& wanted = {}) {
    double total = -1;
    for (const core::CollectedFamily& family : registry_.collect())
      for (const core::CollectedSample& sample : family.samples)
        if (sample.name == sample_name && std::ranges::all_of(wanted, [&](const auto& label) {
              return std::ranges::find(sample.labels, label) != sample.labels.end();
            }))
          total = std::max(total, 0.0) + sample.value;
    return total;
  }

  core::MetricRegistry registry_;
};

TEST_F(GatewayMetricsTest, ObservesACall) {
  GatewayMetrics metrics(registry_, {});
  metrics.observe(finished());
  EXPECT_EQ(sum("gen_ai_client_token_usage_sum", {{"gen_ai_token_type", "output"}}), 41);
  EXPECT_DOUBLE_EQ(sum("gen_ai_client_operation_duration_seconds_sum",
                       {{"server_address", "api.openai.com"}, {"server_port", "443"}}),
                   0.9);
  EXPECT_DOUBLE_EQ(
      sum("gen_ai_client_operation_duration_seconds_sum", {{"error_type", "provider_overloaded"}}),
      0.1);
  EXPECT_DOUBLE_EQ(sum("gen_ai_client_operation_time_to_first_chunk_seconds_sum"), 0.1);
  EXPECT_DOUBLE_EQ(sum("gen_ai_server_request_duration_seconds_sum"), 1.01);
  EXPECT_DOUBLE_EQ(sum("gen_ai_server_time_to_first_token_seconds_sum"), 0.205);
  EXPECT_DOUBLE_EQ(sum("gen_ai_server_time_per_output_token_seconds_sum"), 0.02);
  for (const std::string family : {"operation", "inference"}) {
    const std::string name = "gen_ai_client_" + family + "_time_per_output_chunk_seconds";
    EXPECT_DOUBLE_EQ(sum(name + "_sum", {{"server_port", "443"}}), 0.53);
    EXPECT_EQ(sum(name + "_bucket", {{"le", "0.04"}}), 1);
  }
  EXPECT_EQ(sum("gen_ai_server_request_duration_seconds_count",
                {{"gen_ai_provider_name", "openai"}, {"gen_ai_request_model", "openai/gpt-4o"}}),
            1);
  EXPECT_EQ(sum("gen_ai_client_inference_usage_cache_read_input_tokens_total"), 4);
  EXPECT_EQ(sum("gen_ai_client_inference_usage_reasoning_output_tokens_total"), -1);
  EXPECT_EQ(sum("gantry_gateway_requests_total",
                {{"model", "openai/gpt-4o-x"}, {"provider", "openai"}, {"status", "200"}}),
            1);
  EXPECT_EQ(sum("gantry_gateway_attempts_total", {{"provider", "azure"}}), 1);
  EXPECT_NEAR(sum("gantry_gateway_overhead_seconds_sum"), 0.01, 1e-9);
  metrics.observe(finished());
  EXPECT_DOUBLE_EQ(sum("gantry_gateway_cost_usd_total", {{"key", "batch"}}), 0.000285);
}

TEST_F(GatewayMetricsTest, TokensAreCountedByModality) {
  GatewayMetrics metrics(registry_, {});
  Generation made = finished();
  made.usage->reasoning = 5;
  metrics.observe(made);
  constexpr std::string_view kPrefix = "gen_ai_client_inference_usage_";
  const auto counted = [&](std::string_view kind, std::string_view modality) {
    return sum(fmt::format("{}{}_tokens_total", kPrefix, kind),
               {{"gen_ai_token_modality", std::string(modality)}});
  };
  EXPECT_EQ(counted("input", "text"), 10);
  EXPECT_EQ(counted("output", "text"), 41);
  EXPECT_EQ(counted("cache_read_input", "text"), 4);
  EXPECT_EQ(counted("reasoning_output", "text"), 5);
  EXPECT_EQ(counted("input", "audio"), -1) << "no series for what there was none of";

  made.input_media.modalities = {"audio", "image"};
  made.usage->input_audio = 3;
  metrics.observe(made);
  EXPECT_EQ(counted("input", "audio"), 3);
  EXPECT_EQ(counted("input", "unknown"), 7);
  EXPECT_EQ(counted("cache_read_input", "unknown"), 4);
  EXPECT_EQ(sum("gen_ai_client_inference_usage_input_tokens_total"), 20) << "each token once";
  EXPECT_EQ(sum("gen_ai_client_inference_operation_input_tokens_sum"), 20);
  EXPECT_EQ(sum("gen_ai_client_inference_operation_input_tokens_sum",
                {{"gen_ai_token_modality", "text"}}),
            -1)
      << "percentiles of parts do not add up";
}

TEST_F(GatewayMetricsTest, FailuresHaveTheirStatus) {
  GatewayMetrics metrics(registry_, {});
  Generation failed = finished();
  failed.attempts.pop_back();
  failed.is_ok = false;
  failed.error_type = "provider_overloaded";
  failed.usage.reset();
  failed.cost.reset();
  metrics.observe(failed);
  EXPECT_EQ(sum("gantry_gateway_requests_total",
                {{"status", "503"}, {"error_type", "provider_overloaded"}}),
            1);
  EXPECT_EQ(sum("gen_ai_client_token_usage_sum"), -1);
  EXPECT_EQ(sum("gantry_gateway_cost_usd_total"), -1);
}

TEST_F(GatewayMetricsTest, RefusedKeysAreToldFromRefusedPrompts) {
  GatewayMetrics metrics(registry_, {});
  Generation made = finished();
  made.attempts[0].status = 403;
  made.attempts[0].error_type = "content_policy_violation";
  metrics.observe(made);
  EXPECT_EQ(sum("gantry_gateway_provider_key_refusals_total"), -1);
  made.attempts[0].error_type = "provider_unavailable";
  metrics.observe(made);
  made.attempts[0].status = 502;
  metrics.observe(made);
  EXPECT_EQ(sum("gantry_gateway_provider_key_refusals_total", {{"provider", "azure"}}), 1);
  EXPECT_TRUE(is_call_metric("gantry_gateway_provider_key_refusals_total"));
}

TEST_F(GatewayMetricsTest, EstimatesAreCountedAndMakeNoTimes) {
  GatewayMetrics metrics(registry_, {});
  Generation estimated = finished();
  estimated.usage->is_estimated = true;
  metrics.observe(estimated);
  EXPECT_EQ(sum("gantry_gateway_estimated_usage_total"), 1);
  EXPECT_EQ(sum("gen_ai_server_time_per_output_token_seconds_sum"), -1);
}

TEST_F(GatewayMetricsTest, TheSettingPicksTheNames) {
  GatewayMetrics stable(registry_, {.conventions = SemanticConventions::Stable141});
  stable.observe(finished());
  EXPECT_EQ(sum("gen_ai_client_inference_duration_seconds_count"), -1);
  EXPECT_EQ(sum("gen_ai_client_operation_duration_seconds_count"), 2);
  GatewayMetrics latest(registry_, {.conventions = SemanticConventions::Latest});
  latest.observe(finished());
  EXPECT_EQ(sum("gen_ai_client_inference_duration_seconds_count"), 2);
  EXPECT_EQ(sum("gen_ai_client_operation_duration_seconds_count"), 2);
}

TEST_F(GatewayMetricsTest, NamesThatClientsChooseAreBounded) {
  GatewayMetrics metrics(registry_, {.series_max = 100});
  for (int i = 0; i < 500; ++i) {
    Generation made = finished();
    made.requested_model = made.served_model = fmt::format("author/model-{}", i);
    metrics.observe(made);
  }
  std::size_t series = 0;
  for (const core::CollectedFamily& family : registry_.collect())
    for (const core::CollectedSample& sample : family.samples)
      if (!sample.name.ends_with("_bucket") && !sample.name.ends_with("_sum")) ++series;
  EXPECT_LT(series, 150U);
  EXPECT_EQ(sum("gantry_gateway_requests_total"), 500);
  EXPECT_GT(sum("gantry_gateway_requests_total", {{"model", "_other"}}), 400);
}

/// As an OTLP exporter's metrics would be called here.
TEST_F(GatewayMetricsTest, NamesAreThoseOfTheConventions) {
  GatewayMetrics metrics(registry_, {});
  metrics.observe(finished());
  std::map<std::string, std::size_t> bucket_counts;
  for (const core::CollectedFamily& family : registry_.collect())
    for (const core::CollectedSample& sample : family.samples)
      if (sample.name.ends_with("_bucket")) ++bucket_counts[family.name];
  for (const auto& [name, unit, bounds] :
       {std::tuple("gen_ai.client.operation.time_to_first_chunk", "s", 14U),
        {"gen_ai.client.operation.time_per_output_chunk", "s", 14U},
        {"gen_ai.server.request.duration", "s", 14U},
        {"gen_ai.server.time_per_output_token", "s", 13U},
        {"gen_ai.server.time_to_first_token", "s", 16U},
        {"gen_ai.client.inference.operation.input_tokens", "{token}", 14U}}) {
    const auto expected =
        codec::prometheus_metric_name(name, unit, codec::NameType::Other,
                                      codec::TranslationStrategy::UnderscoreEscapingWithSuffixes);
    ASSERT_TRUE(expected);
    EXPECT_EQ(bucket_counts[*expected], bounds + 1) << *expected;
  }
}

}  // namespace
}  // namespace gantry::gateway
