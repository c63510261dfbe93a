// Limits of a stack, and what the store says about what they refused.

#include <algorithm>

#include <gtest/gtest.h>

#include "metrics/store.h"
#include "metrics/testing/store_fixture.h"

namespace gantry::metrics {
namespace {

using telemetry::DuplicatePolicy;
using telemetry::RejectReason;

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kAll = std::int64_t{1} << 60;

const telemetry::Labels kUp = make_test_labels({{"__name__", "up"}, {"job", "a"}});
const telemetry::Labels kUpB = make_test_labels({{"__name__", "up"}, {"job", "b"}});
const telemetry::Labels kNameless = make_test_labels({{"job", "a"}});

std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> positions) {
  std::ranges::sort(positions);
  return positions;
}

using RefusedPositions = StoreFixture;

TEST_F(RefusedPositions, NothingIsAllocatedWhenAllIsTaken) {
  open();
  const auto result = append(TestBatch().add(kUp, kTestNowMs, 1).add(kUpB, kTestNowMs, 2));
  EXPECT_EQ(result.refused_samples.capacity(), 0U);
  EXPECT_EQ(result.refused_histograms.capacity(), 0U);
}

TEST_F(RefusedPositions, NameEachRefusedSampleOnce) {
  open();
  append(TestBatch()
             .add(kUp, kTestNowMs - 1, 1)
             .add(kUp, kTestNowMs, 1)
             .add(kUpB, kTestNowMs, test_histogram(1)));
  TestBatch batch;
  batch
      .add(kUp, kTestNowMs, 2)                   // 0: another value there
      .add(kNameless, kTestNowMs, 1)             // 1: no name
      .add(kUp, kTestNowMs + 1, 1)               // 2: good
      .add(kUp, kTestNowMs - 2 * kHour, 1)       // 3: too old
      .add(kUp, kTestNowMs + kHour, 1)           // 4: too far ahead
      .add(kUp, kTestNowMs + 1, 5)               // 5: a second value in the request
      .add(kUp, kTestNowMs - 1, 1)               // 6: there already, and the same
      .add(kUpB, kTestNowMs, test_histogram(2))  // histogram 0: another value there
      .add(kUpB, kTestNowMs + 1, test_histogram(3))
      .add(kNameless, kTestNowMs, test_histogram(1));  // histogram 2: no name
  const auto result = append(batch);
  EXPECT_EQ(sorted(result.refused_samples), (std::vector<std::uint32_t>{0, 1, 3, 4, 5}));
  EXPECT_EQ(sorted(result.refused_histograms), (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(result.samples_rejected, 7U);
}

TEST_F(RefusedPositions, LeaveOutBestEffortSeries) {
  open();
  TestBatch batch;
  batch.add(kNameless, kTestNowMs, 1).add(kUp, kTestNowMs + kHour, 1).set_best_effort();
  batch.add(kUpB, kTestNowMs + kHour, 1);
  const auto result = append(batch);
  EXPECT_EQ(result.refused_samples, (std::vector<std::uint32_t>{2}));
  EXPECT_EQ(result.samples_rejected, 1U);
}

TEST_F(RefusedPositions, NameSamplesOfNewSeriesOverTheLimit) {
  StoreOptions options;
  options.limits.active_series_max = 1;
  open(options);
  append(TestBatch().add(kUp, kTestNowMs, 1));
  TestBatch batch;
  batch.add(kUpB, kTestNowMs, 1).add(kUp, kTestNowMs + 1, 1).add(kUpB, kTestNowMs + 1, 1);
  const auto result = append(batch);
  EXPECT_EQ(sorted(result.refused_samples), (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(result.rejected(RejectReason::SeriesLimit), 2U);
}

class BytesPerDay : public StoreFixture {
 protected:
  BytesPerDay() { options_.limits.bytes_per_day_max = 1000; }

  telemetry::AppendResult append_bytes(std::uint64_t bytes) {
    TestBatch batch;
    batch.add(kUp, kTestNowMs + ++samples_, 1).set_body_bytes(bytes);
    return append(batch);
  }

  Points up() { return read_metric(store_->source(), "up", -kAll, kAll)["up{job=\"a\"}"]; }

  StoreOptions options_;
  std::int64_t samples_ = 0;
};

TEST_F(BytesPerDay, ARequestBeyondTheLimitIsRefusedWhole) {
  open(options_);
  EXPECT_EQ(append_bytes(999).samples_written, 1U);
  TestBatch batch;
  batch.add(kUp, kTestNowMs + 10, 1).set_best_effort();
  batch.add(kUpB, kTestNowMs, 1).add(kUpB, kTestNowMs, test_histogram(1));
  batch.add_metadata("up", telemetry::MetricType::Gauge, "help").set_body_bytes(2);
  const auto refused = append(batch);
  EXPECT_EQ(refused.samples_written + refused.histograms_written + refused.metadata_written, 0U);
  EXPECT_EQ(refused.samples_rejected, 2U);
  EXPECT_EQ(refused.rejected(RejectReason::BytesPerDay), 4U);
  EXPECT_EQ(refused.refused_samples, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(refused.refused_histograms, (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(refused.retry_after.count, 12 * kHour);
  ASSERT_EQ(refused.rejections.size(), 1U);
  EXPECT_EQ(refused.rejections[0].message,
            "the request has 2 bytes, 999 were taken since midnight UTC, the limit for a day is "
            "1000 (limits.bytes_per_day_max); it lifts at 2026-11-22T00:00:00Z");
  EXPECT_EQ(registry_->counter("gantry_metrics_refused_bytes_total", "").value(), 2U);
  EXPECT_EQ(up().size(), 1U);
  EXPECT_TRUE(store_->metadata("up").empty());
  // What still fits is taken.
  EXPECT_EQ(append_bytes(1).samples_written, 1U);
  store_->update_gauges();
  EXPECT_EQ(registry_->gauge("gantry_metrics_day_bytes", "").value(), 1000);
}

TEST_F(BytesPerDay, LiftsAtMidnight) {
  open(options_);
  append_bytes(1000);
  EXPECT_EQ(append_bytes(1).samples_written, 0U);
  clock_.set(TimestampMs{kTestDayMs + 24 * kHour});
  EXPECT_EQ(append_bytes(1000).samples_written, 1U);
}

TEST_F(BytesPerDay, WhatHasNoBodyIsFree) {
  open(options_);
  append_bytes(1000);
  EXPECT_EQ(append_bytes(0).samples_written, 1U);
}

TEST_F(BytesPerDay, TheCountSurvivesARestart) {
  open(options_);
  append_bytes(900);
  ASSERT_TRUE(store_->close());
  open(options_);
  EXPECT_EQ(append_bytes(101).samples_written, 0U);
  EXPECT_EQ(append_bytes(100).samples_written, 1U);
}

TEST_F(BytesPerDay, TheCountSurvivesAPowerCutOnceItWasSaved) {
  open(options_);
  append_bytes(900);
  store_->maintain();
  append_bytes(50);
  store_->maintain();  // Too early to save again.
  store_.reset();
  files_.cut_power();
  open(options_);
  EXPECT_EQ(append_bytes(101).samples_written, 0U);
  EXPECT_EQ(append_bytes(100).samples_written, 1U);
  clock_.advance({10'000});
  store_->maintain();
  open(options_);
  EXPECT_EQ(append_bytes(1).samples_written, 0U);
}

TEST_F(BytesPerDay, ACountOfAnotherDayIsForgotten) {
  open(options_);
  append_bytes(1000);
  ASSERT_TRUE(store_->close());
  clock_.advance({24 * kHour});
  open(options_);
  EXPECT_EQ(append_bytes(1000).samples_written, 1U);
}

TEST_F(BytesPerDay, ADamagedCountBeginsAgain) {
  open(options_);
  append_bytes(1000);
  ASSERT_TRUE(store_->close());
  store_.reset();
  ASSERT_TRUE(files_.corrupt("/data/metrics/day-bytes", 13, 2));
  open(options_);
  EXPECT_EQ(append_bytes(1000).samples_written, 1U);
}

TEST_F(BytesPerDay, WhatTheLogRefusesIsNotCounted) {
  open(options_);
  append_bytes(900);
  files_.inject({.operation = storage::FaultyFileSystem::Operation::Write,
                 .fault = storage::FaultyFileSystem::Fault::DiskFull,
                 .hit_count = 100});
  TestBatch batch;
  batch.add(kUp, kTestNowMs + 100, 1).set_body_bytes(100);
  EXPECT_FALSE(store_->append(batch.batch(), {}));
  files_.clear_injections();
  store_->update_gauges();
  EXPECT_EQ(registry_->gauge("gantry_metrics_day_bytes", "").value(), 900);
}

TEST_F(BytesPerDay, WithoutALimitNothingIsSaved) {
  open();
  append_bytes(900);
  store_->maintain();
  ASSERT_TRUE(store_->close());
  EXPECT_FALSE(*files_.exists("/data/metrics/day-bytes"));
}

}  // namespace
}  // namespace gantry::metrics
