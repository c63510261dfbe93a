#include "pipeline/service_graph.h"

#include <thread>

#include <gtest/gtest.h>

#include "pipeline/testing/collected_text.h"
#include "pipeline/testing/spans.h"

namespace gantry::pipeline {
namespace {

using telemetry::SpanKind;
using telemetry::SpanStatus;
using testing::SpanBatchBuilder;
using Lines = std::vector<std::string>;

class ServiceGraphTest : public ::testing::Test {
 protected:
  /// "name{…} value", without the zeros of new series, for counters and the _count of histograms.
  Lines totals(ServiceGraph& graph) {
    clock_.set(clock_.now() + DurationMs{15'000});
    graph.collect(clock_.now(), batch_);
    clock_.set(clock_.now() + DurationMs{15'000});
    graph.collect(clock_.now(), batch_);
    Lines lines = testing::sample_lines(batch_);
    std::erase_if(lines, [](const std::string& line) {
      return line.contains("_bucket{") || line.contains("_sum{") || line.contains("_count{");
    });
    for (std::string& line : lines) line = line.substr(0, line.rfind('@'));
    return lines;
  }

  static SpanBatchBuilder client(std::uint64_t trace = 1) {
    SpanBatchBuilder build;
    build.resource({{"service.name", "web"}});
    build.span({.trace = trace, .id = 10, .kind = SpanKind::Client, .seconds = 0.5});
    return build;
  }

  static SpanBatchBuilder server(std::uint64_t trace = 1, SpanStatus status = SpanStatus::Unset) {
    SpanBatchBuilder build;
    build.resource({{"service.name", "shop"}});
    build.span({.trace = trace,
                .id = 11,
                .parent = 10,
                .kind = SpanKind::Server,
                .status = status,
                .seconds = 0.25});
    return build;
  }

  static Lines one_request(std::string_view labels) {
    return {"traces_service_graph_request_total{" + std::string(labels) + "} 1"};
  }

  core::MetricRegistry registry_;
  ManualClock clock_{TimestampMs{1'000'000}};
  telemetry::MetricBatch batch_;
};

TEST_F(ServiceGraphTest, PairsClientAndServerInEitherOrder) {
  for (const bool is_client_first : {true, false}) {
    ServiceGraph graph({}, registry_, clock_);
    graph.observe(is_client_first ? client().batch() : server().batch());
    EXPECT_EQ(graph.waiting_count(), 1U);
    graph.observe(is_client_first ? server().batch() : client().batch());
    EXPECT_EQ(graph.waiting_count(), 0U);
    EXPECT_EQ(totals(graph), one_request("client=\"web\", server=\"shop\""));
    EXPECT_EQ(testing::sample_lines(batch_, "traces_service_graph_request_server_seconds_sum"),
              (Lines{"traces_service_graph_request_server_seconds_sum{client=\"web\", server="
                     "\"shop\"} 0.25@" +
                     std::to_string(clock_.now().since_epoch)}));
    EXPECT_EQ(testing::sample_lines(batch_, "traces_service_graph_request_client_seconds_sum"),
              (Lines{"traces_service_graph_request_client_seconds_sum{client=\"web\", server="
                     "\"shop\"} 0.5@" +
                     std::to_string(clock_.now().since_epoch)}));
  }
}

TEST_F(ServiceGraphTest, PairsByTraceAndSpan) {
  ServiceGraph graph({}, registry_, clock_);
  graph.observe(client(1).batch());
  graph.observe(server(2).batch());
  EXPECT_EQ(graph.waiting_count(), 2U);
}

TEST_F(ServiceGraphTest, ARequestFailedIfEitherSideSaysSo) {
  ServiceGraph graph({}, registry_, clock_);
  graph.observe(client().batch());
  graph.observe(server(1, SpanStatus::Error).batch());
  EXPECT_EQ(totals(graph),
            (Lines{"traces_service_graph_request_failed_total{client=\"web\", server=\"shop\"} 1",
                   "traces_service_graph_request_total{client=\"web\", server=\"shop\"} 1"}));
}

TEST_F(ServiceGraphTest, ProducersAndConsumersMeetThroughMessaging) {
  ServiceGraph graph({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "web"}}).span({.id = 10, .kind = SpanKind::Producer});
  build.resource({{"service.name", "mail"}})
      .span({.id = 11, .parent = 10, .kind = SpanKind::Consumer});
  graph.observe(build.batch());
  EXPECT_EQ(totals(graph),
            one_request("client=\"web\", connection_type=\"messaging_system\", server=\"mail\""));
}

struct DatabaseCase {
  std::string_view name;
  testing::TextAttributes attributes;
  std::string_view server;
};

class DatabaseTest : public ServiceGraphTest, public ::testing::WithParamInterface<DatabaseCase> {};

TEST_P(DatabaseTest, IsNamedByTheClientAlone) {
  ServiceGraph graph({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "web"}});
  build.span({.id = 10, .kind = SpanKind::Client, .attributes = GetParam().attributes});
  graph.observe(build.batch());
  EXPECT_EQ(graph.waiting_count(), 0U);
  EXPECT_EQ(totals(graph), one_request("client=\"web\", connection_type=\"database\", server=\"" +
                                       std::string(GetParam().server) + "\""));
}

INSTANTIATE_TEST_SUITE_P(
    Attributes, DatabaseTest,
    ::testing::Values(
        DatabaseCase{"name", {{"db.name", "orders"}}, "orders"},
        DatabaseCase{"new_name", {{"db.namespace", "orders"}}, "orders"},
        DatabaseCase{"peer_before_all",
                     {{"db.name", "orders"}, {"server.address", "h"}, {"peer.service", "pg"}},
                     "pg"},
        DatabaseCase{"server_address", {{"db.system", "pg"}, {"server.address", "h"}}, "h"},
        DatabaseCase{"host_and_port",
                     {{"db.system", "pg"},
                      {"network.peer.address", "10.0.0.1"},
                      {"network.peer.port", "5432"}},
                     "10.0.0.1:5432"},
        DatabaseCase{
            "host", {{"db.system", "pg"}, {"network.peer.address", "10.0.0.1"}}, "10.0.0.1"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST_F(ServiceGraphTest, ARootServerSpanWasCalledByAUser) {
  ServiceGraph graph({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "web"}}).span({.id = 10, .kind = SpanKind::Server});
  graph.observe(build.batch());
  EXPECT_EQ(totals(graph),
            one_request("client=\"user\", connection_type=\"virtual_node\", server=\"web\""));
}

TEST_F(ServiceGraphTest, AnUnansweredClientKnowsItsPeer) {
  ServiceGraph graph({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "web"}});
  build.span({.id = 10, .kind = SpanKind::Client, .attributes = {{"peer.service", "stripe"}}});
  graph.observe(build.batch());
  EXPECT_EQ(totals(graph),
            one_request("client=\"web\", connection_type=\"virtual_node\", server=\"stripe\""));
}

TEST_F(ServiceGraphTest, OthersThatWaitedInVainAreUnpaired) {
  ServiceGraph graph({}, registry_, clock_);
  graph.observe(client(1).batch());
  graph.observe(server(2).batch());
  EXPECT_EQ(totals(graph), (Lines{"traces_service_graph_unpaired_spans_total{client=\"web\"} 1",
                                  "traces_service_graph_unpaired_spans_total{server=\"shop\"} 1"}));
  EXPECT_EQ(graph.waiting_count(), 0U);
}

TEST_F(ServiceGraphTest, SpansWaitTenSecondsFromTheFirst) {
  ServiceGraph graph({}, registry_, clock_);
  graph.observe(client().batch());
  clock_.set(clock_.now() + DurationMs{9'999});
  graph.observe(client(2).batch());
  EXPECT_EQ(graph.waiting_count(), 2U);
  clock_.set(clock_.now() + DurationMs{1});
  graph.observe(client(3).batch());
  EXPECT_EQ(graph.waiting_count(), 2U);
  // Seeing the same side again does not prolong it.
  graph.observe(client(2).batch());
  clock_.set(clock_.now() + DurationMs{9'999});
  graph.observe(client(4).batch());
  EXPECT_EQ(graph.waiting_count(), 2U);
}

TEST_F(ServiceGraphTest, RefusesMoreThanMayWaitAndCountsIt) {
  ServiceGraph graph({.waiting_max = 2}, registry_, clock_);
  for (std::uint64_t trace = 1; trace <= 5; ++trace) graph.observe(client(trace).batch());
  EXPECT_EQ(graph.waiting_count(), 2U);
  EXPECT_EQ(registry_
                .counter("gantry_pipeline_refused_total", "",
                         {{"processor", "service_graph"}, {"reason", "waiting_limit"}})
                .value(),
            3U);
  // A partner of one that waits needs no room.
  graph.observe(server(1).batch());
  EXPECT_EQ(graph.waiting_count(), 1U);
}

TEST_F(ServiceGraphTest, PairsSpansOfSeveralThreads) {
  ServiceGraph graph({}, registry_, clock_);
  constexpr std::uint64_t kTraces = 500;
  std::vector<std::jthread> threads;
  for (const bool is_client : {true, false}) {
    for (const std::uint64_t parity : {0U, 1U}) {
      threads.emplace_back([&graph, is_client, parity] {
        for (std::uint64_t trace = 1 + parity; trace <= kTraces; trace += 2) {
          graph.observe(is_client ? client(trace).batch() : server(trace).batch());
        }
      });
    }
  }
  threads.clear();
  EXPECT_EQ(graph.waiting_count(), 0U);
  EXPECT_EQ(totals(graph),
            (Lines{"traces_service_graph_request_total{client=\"web\", server=\"shop\"} 500"}));
}

TEST_F(ServiceGraphTest, LeavesOutOtherKindsAndSpansWithoutAService) {
  ServiceGraph graph({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "web"}}).span({.id = 10, .kind = SpanKind::Internal});
  build.resource({{"host.name", "h"}}).span({.id = 11, .kind = SpanKind::Client});
  graph.observe(build.batch());
  EXPECT_EQ(graph.waiting_count(), 0U);
  EXPECT_TRUE(totals(graph).empty());
}

}  // namespace
}  // namespace gantry::pipeline
