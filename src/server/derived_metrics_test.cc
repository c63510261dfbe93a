#include "server/derived_metrics.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "promql/engine.h"
#include "storage/faulty_file_system.h"

namespace gantry::server {
namespace {

constexpr StackId kStack{1000000};
constexpr std::int64_t kStartMs = 1'700'000'000'000;

class DerivedMetricsTest : public testing::Test {
 protected:
  void attach(bool is_enabled) {
    auto opened_metrics = metrics::Store::open(
        "/metrics", {}, {.files = files, .clock = clock, .registry = registry});
    ASSERT_TRUE(opened_metrics) << opened_metrics.error().message;
    metrics_store = *std::move(opened_metrics);
    auto opened_traces =
        traces::Store::open("/traces", {}, {.files = files, .clock = clock, .registry = registry});
    ASSERT_TRUE(opened_traces) << opened_traces.error().message;
    traces_store = derived.attach(kStack, *std::move(opened_traces), metrics_store, is_enabled);
  }

  /// A call from web to api; the server's span failed.
  void append_call(std::uint8_t number) {
    telemetry::SpanBatch batch;
    for (const char* service : {"web", "api"}) {
      telemetry::AttributeValue name;
      name.kind = telemetry::AttributeValue::Kind::String;
      name.text = service;
      const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
      batch.attributes.push_back({.key = "service.name", .value = name});
      batch.resources.push_back({.attributes = {.begin = begin, .count = 1}});
    }
    batch.scopes.emplace_back();
    telemetry::BatchSpan client;
    client.trace_id.bytes[15] = number;
    client.span_id = 1;
    client.name = "GET";
    client.kind = telemetry::SpanKind::Client;
    client.start_ns = static_cast<std::uint64_t>(clock.now().since_epoch) * 1'000'000;
    client.end_ns = client.start_ns + 50'000'000;
    telemetry::BatchSpan server = client;
    server.span_id = 2;
    server.parent_id = 1;
    server.kind = telemetry::SpanKind::Server;
    server.status = telemetry::SpanStatus::Error;
    server.resource = 1;
    batch.spans = {client, server};
    const auto appended = traces_store->append(batch);
    ASSERT_TRUE(appended) << appended.error().message;
    ASSERT_EQ(appended->spans_written, 2U);
  }

  void round() {
    clock.advance({15'000});
    derived.collect_round(clock.now());
  }

  /// The value of the only series; -1 when there is none.
  double value(const std::string& query) {
    const promql::Engine engine({});
    const auto answer = engine.instant({.query = query, .time_ms = clock.now().since_epoch},
                                       metrics_store->source(), CancelToken());
    EXPECT_TRUE(answer) << answer.error().message;
    const auto& elements = std::get<std::vector<promql::VectorElement>>(answer->value);
    EXPECT_LE(elements.size(), 1U) << query;
    return elements.empty() ? -1 : elements.front().value;
  }

  storage::FaultyFileSystem files;
  ManualClock clock{TimestampMs{kStartMs}};
  core::MetricRegistry registry;
  DerivedMetrics derived{{}, registry, clock};
  std::shared_ptr<metrics::Store> metrics_store;
  std::shared_ptr<traces::Store> traces_store;
};

TEST_F(DerivedMetricsTest, CountsSpansAndCalls) {
  attach(true);
  append_call(1);
  append_call(2);
  round();
  EXPECT_EQ(
      value(
          R"(traces_spanmetrics_calls_total{service="api",span_name="GET",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"})"),
      2);
  EXPECT_EQ(value(R"(traces_spanmetrics_latency_count{service="web"})"), 2);
  EXPECT_EQ(value(R"(traces_service_graph_request_total{client="web",server="api"})"), 2);
  EXPECT_EQ(value(R"(traces_service_graph_request_failed_total{client="web",server="api"})"), 2);
  append_call(3);
  round();
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{service="api"})"), 3);
}

TEST_F(DerivedMetricsTest, WhatIsSentAgainCountsOnce) {
  attach(true);
  append_call(1);
  clock.set(TimestampMs{kStartMs});  // the same spans
  append_call(1);
  round();
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{service="web"})"), 1);
}

TEST_F(DerivedMetricsTest, CountsWhatTheStoreNeverSees) {
  attach(true);
  append_call(1);
  telemetry::SpanBatch left_out;
  left_out.resources.resize(1);
  left_out.scopes.resize(1);
  telemetry::BatchSpan span;
  span.name = "left out";
  span.kind = telemetry::SpanKind::Server;
  left_out.spans = {span, span};
  derived.observe(kStack, left_out);
  derived.observe(StackId(7), left_out);
  round();
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{span_name="left out"})"), 2);
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{service="web"})"), 1);
  derived.enable(kStack, false);
  derived.observe(kStack, left_out);
  round();
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{span_name="left out"})"), 2);
}

TEST_F(DerivedMetricsTest, IsOptionalForEachStack) {
  attach(false);
  append_call(1);
  round();
  EXPECT_EQ(value("count(traces_spanmetrics_calls_total)"), -1);
  derived.enable(kStack, true);
  append_call(2);
  round();
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{service="web"})"), 1);
}

TEST_F(DerivedMetricsTest, LeavesDetachedStacksAlone) {
  attach(true);
  append_call(1);
  derived.detach(kStack);
  round();
  EXPECT_EQ(value("count(traces_spanmetrics_calls_total)"), -1);
  append_call(2);  // requests in flight may still hold the store
}

TEST_F(DerivedMetricsTest, GoesOnAfterTheMetricsStoreRefused) {
  attach(true);
  append_call(1);
  files.set_capacity(0);
  round();
  files.set_capacity(std::uint64_t{1} << 40);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // until the log tries again
  clock.advance({10'000});
  round();
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{service="web"})"), 1);
}

TEST_F(DerivedMetricsTest, WritesALastRoundWhenItStops) {
  attach(true);
  derived.start();
  append_call(1);
  clock.advance({1000});
  derived.stop();
  EXPECT_EQ(value(R"(traces_spanmetrics_calls_total{service="web"})"), 1);
  derived.stop();
}

}  // namespace
}  // namespace gantry::server
