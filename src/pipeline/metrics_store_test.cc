// What collections mean to the metrics store: nothing in them is ever refused.

#include <gtest/gtest.h>

#include "metrics/store.h"
#include "pipeline/service_graph.h"
#include "pipeline/span_metrics.h"
#include "pipeline/testing/spans.h"
#include "storage/faulty_file_system.h"

namespace gantry::pipeline {
namespace {

using testing::SpanBatchBuilder;

/// 2026-11-21 12:00:00 UTC.
constexpr TimestampMs kNow{1'795'262'400'000};

class MetricsStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = metrics::Store::open("/data/metrics", {},
                                       {.files = files_, .clock = clock_, .registry = registry_});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }

  void expect_all_taken(const telemetry::MetricBatch& batch) {
    const auto result = store_->append(batch, {});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->samples_written, batch.samples.size());
    EXPECT_EQ(result->exemplars_written, batch.exemplars.size());
    EXPECT_EQ(result->metadata_written, batch.metadata.size());
    for (const telemetry::Rejection& rejection : result->rejections) {
      ADD_FAILURE() << rejection.message;
    }
  }

  storage::FaultyFileSystem files_;
  ManualClock clock_{kNow};
  core::MetricRegistry registry_;
  std::unique_ptr<metrics::Store> store_;
  telemetry::MetricBatch batch_;
};

TEST_F(MetricsStoreTest, TakesEveryRoundOfALabelSetsLife) {
  SpanMetrics metrics({.has_target_info = true}, registry_, clock_);
  ServiceGraph graph({}, registry_, clock_);
  SpanBatchBuilder build;
  build.resource({{"service.name", "web"}, {"host.name", "h"}});
  build.span({.trace = 1, .id = 10, .name = "GET", .kind = telemetry::SpanKind::Client});
  build.resource({{"service.name", "shop"}, {"host.name", "h"}});
  build.span({.trace = 1,
              .id = 11,
              .parent = 10,
              .name = "GET /",
              .kind = telemetry::SpanKind::Server,
              .status = telemetry::SpanStatus::Error});
  build.span({.trace = 2, .id = 12, .parent = 9, .kind = telemetry::SpanKind::Server});
  std::size_t stale_rounds = 0;
  for (int round = 0; round < 140; ++round) {
    // Active, then quiet for longer than label sets last, then back.
    if (round < 3 || round > 120) {
      metrics.observe(build.batch());
      graph.observe(build.batch());
    }
    clock_.set(clock_.now() + DurationMs{15'000});
    metrics.collect(clock_.now(), batch_);
    if (batch_.samples.empty()) ++stale_rounds;
    expect_all_taken(batch_);
    graph.collect(clock_.now(), batch_);
    expect_all_taken(batch_);
  }
  EXPECT_GT(stale_rounds, 10U);
}

TEST_F(MetricsStoreTest, TakesWhatAnotherProcessGoesOnWith) {
  SpanBatchBuilder build;
  build.resource({{"service.name", "web"}}).span({.name = "GET"});
  for (int process = 0; process < 3; ++process) {
    SpanMetrics metrics({}, registry_, clock_);
    metrics.observe(build.batch());
    clock_.set(clock_.now() + DurationMs{15'000});
    metrics.collect(clock_.now(), batch_);
    expect_all_taken(batch_);
  }
}

}  // namespace
}  // namespace gantry::pipeline
