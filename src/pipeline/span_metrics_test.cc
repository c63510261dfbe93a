#include "pipeline/span_metrics.h"

#include <gtest/gtest.h>

#include "pipeline/span_size.h"
#include "pipeline/testing/collected_text.h"
#include "pipeline/testing/spans.h"

namespace gantry::pipeline {
namespace {

using telemetry::SpanKind;
using telemetry::SpanStatus;
using testing::SpanBatchBuilder;
using Lines = std::vector<std::string>;

class SpanMetricsTest : public ::testing::Test {
 protected:
  /// Everything but the zeros of new series.
  Lines collect(SpanMetrics& metrics, std::string_view prefix) {
    clock_.set(clock_.now() + DurationMs{15'000});
    metrics.collect(clock_.now(), batch_);
    clock_.set(clock_.now() + DurationMs{15'000});
    metrics.collect(clock_.now(), batch_);
    return testing::sample_lines(batch_, prefix);
  }

  core::MetricRegistry registry_;
  ManualClock clock_{TimestampMs{1'000'000}};
  telemetry::MetricBatch batch_;
};

TEST_F(SpanMetricsTest, CountsTimesAndWeighsSpansByOperation) {
  SpanMetrics metrics({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "shop"}});
  build.span(
      {.name = "GET /", .kind = SpanKind::Server, .status = SpanStatus::Ok, .seconds = 0.003});
  build.span({.trace = 2,
              .name = "GET /",
              .kind = SpanKind::Server,
              .status = SpanStatus::Ok,
              .seconds = 20});
  build.span({.name = "work", .status = SpanStatus::Error});
  metrics.observe(build.batch());
  const std::uint64_t size = span_size_bytes(build.batch(), build.batch().spans[0]) +
                             span_size_bytes(build.batch(), build.batch().spans[1]);
  EXPECT_EQ(
      collect(metrics, "traces_spanmetrics_calls_total"),
      (Lines{"traces_spanmetrics_calls_total{service=\"shop\", span_kind=\"SPAN_KIND_INTERNAL\", "
             "span_name=\"work\", status_code=\"STATUS_CODE_ERROR\"} 1@1030000",
             "traces_spanmetrics_calls_total{service=\"shop\", span_kind=\"SPAN_KIND_SERVER\", "
             "span_name=\"GET /\", status_code=\"STATUS_CODE_OK\"} 2@1030000"}));
  const std::string labels =
      "service=\"shop\", span_kind=\"SPAN_KIND_SERVER\", span_name=\"GET /\", "
      "status_code=\"STATUS_CODE_OK\"}";
  EXPECT_EQ(
      testing::sample_lines(batch_, "traces_spanmetrics_latency_bucket{le=\"0.002\", " + labels),
      (Lines{"traces_spanmetrics_latency_bucket{le=\"0.002\", " + labels + " 0@1030000"}));
  EXPECT_EQ(
      testing::sample_lines(batch_, "traces_spanmetrics_latency_bucket{le=\"16.384\", " + labels),
      (Lines{"traces_spanmetrics_latency_bucket{le=\"16.384\", " + labels + " 1@1030000"}));
  EXPECT_EQ(testing::sample_lines(batch_, "traces_spanmetrics_latency_count{" + labels),
            (Lines{"traces_spanmetrics_latency_count{" + labels + " 2@1030000"}));
  EXPECT_EQ(testing::sample_lines(batch_, "traces_spanmetrics_latency_sum{" + labels),
            (Lines{"traces_spanmetrics_latency_sum{" + labels + " 20.003@1030000"}));
  EXPECT_EQ(
      testing::sample_lines(batch_, "traces_spanmetrics_size_total{" + labels),
      (Lines{"traces_spanmetrics_size_total{" + labels + " " + std::to_string(size) + "@1030000"}));
  EXPECT_TRUE(testing::sample_lines(batch_, "traces_target_info").empty());
}

TEST_F(SpanMetricsTest, DurationsThatRunBackwardsAreZero) {
  SpanMetrics metrics({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "shop"}}).span({.name = "x"});
  telemetry::SpanBatch batch;
  telemetry::copy_span(build.batch(), build.batch().spans[0], batch).end_ns = 5;
  metrics.observe(batch);
  EXPECT_EQ(
      collect(metrics, "traces_spanmetrics_latency_sum"),
      (Lines{"traces_spanmetrics_latency_sum{service=\"shop\", span_kind=\"SPAN_KIND_INTERNAL\""
             ", span_name=\"x\", status_code=\"STATUS_CODE_UNSET\"} 0@1030000"}));
}

TEST_F(SpanMetricsTest, DimensionsComeFromTheResourceOrTheSpan) {
  SpanMetrics metrics({.has_status_message = true,
                       .dimensions = {"http.method", "cloud.zone", "service", "absent"}},
                      registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "shop"}, {"cloud.zone", "z1"}, {"service", "mine"}});
  build.span({.name = "x", .attributes = {{"http.method", "GET"}, {"cloud.zone", "z2"}}});
  metrics.observe(build.batch());
  EXPECT_EQ(collect(metrics, "traces_spanmetrics_calls_total"),
            (Lines{"traces_spanmetrics_calls_total{__service=\"mine\", cloud_zone=\"z1\", "
                   "http_method=\"GET\", service=\"shop\", span_kind=\"SPAN_KIND_INTERNAL\", "
                   "span_name=\"x\", status_code=\"STATUS_CODE_UNSET\"} 1@1030000"}));
}

TEST_F(SpanMetricsTest, TargetInfoJoinsAttributesToJobAndInstance) {
  SpanMetrics metrics({.has_target_info = true}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "shop"},
                  {"service.namespace", "eu"},
                  {"service.instance.id", "i-1"},
                  {"host.name", "h"},
                  {"job", "theirs"}});
  build.span({.name = "x"}).span({.id = 2, .name = "y"});
  build.resource({{"service.name", "bare"}}).span({.id = 3, .name = "x"});
  metrics.observe(build.batch());
  EXPECT_EQ(collect(metrics, "traces_target_info"),
            (Lines{"traces_target_info{__job=\"theirs\", host_name=\"h\", instance=\"i-1\", "
                   "job=\"eu/shop\"} 1@1030000"}));
  EXPECT_EQ(
      testing::sample_lines(batch_, "traces_spanmetrics_calls_total{instance"),
      (Lines{"traces_spanmetrics_calls_total{instance=\"i-1\", job=\"eu/shop\", service=\"shop\", "
             "span_kind=\"SPAN_KIND_INTERNAL\", span_name=\"x\", "
             "status_code=\"STATUS_CODE_UNSET\"} 1@1030000",
             "traces_spanmetrics_calls_total{instance=\"i-1\", job=\"eu/shop\", service=\"shop\", "
             "span_kind=\"SPAN_KIND_INTERNAL\", span_name=\"y\", "
             "status_code=\"STATUS_CODE_UNSET\"} 1@1030000"}));
}

TEST_F(SpanMetricsTest, LatenciesCarryTheTraceAsExemplar) {
  SpanMetrics metrics({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "shop"}}).span({.trace = 0x2f3e, .name = "x", .seconds = 1});
  metrics.observe(build.batch());
  metrics.collect(clock_.now() + DurationMs{15'000}, batch_);
  EXPECT_EQ(testing::exemplar_lines(batch_),
            (Lines{"traces_spanmetrics_latency_bucket{le=\"1.024\", service=\"shop\", span_kind="
                   "\"SPAN_KIND_INTERNAL\", span_name=\"x\", status_code=\"STATUS_CODE_UNSET\"} "
                   "traceID=2f3e 1@1015000"}));
}

TEST_F(SpanMetricsTest, TellsTheStoreWhatTheFamiliesAre) {
  SpanMetrics metrics({}, registry_, clock_);
  metrics.collect(clock_.now(), batch_);
  ASSERT_EQ(batch_.metadata.size(), 3U);
  EXPECT_EQ(batch_.metadata[1].family, "traces_spanmetrics_latency");
  EXPECT_EQ(batch_.metadata[1].type, telemetry::MetricType::Histogram);
}

}  // namespace
}  // namespace gantry::pipeline
