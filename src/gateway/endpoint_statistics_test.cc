#include "gateway/endpoint_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::gateway {
namespace {

constexpr EndpointId kEndpoint(7);

class EndpointStatisticsTest : public ::testing::Test {
 protected:
  void record(AttemptOutcome outcome) {
    statistics_.record(kEndpoint, {.outcome = outcome, .latency_s = {}, .tokens_per_second = {}});
  }

  void record_latency(double latency_s) {
    statistics_.record(kEndpoint, {.latency_s = latency_s, .tokens_per_second = {}});
  }

  ManualClock clock_{TimestampMs{1'000'000}};
  EndpointStatistics statistics_{clock_};
};

TEST_F(EndpointStatisticsTest, NothingIsKnownOfWhatWasNotMeasured) {
  EXPECT_FALSE(statistics_.pace(kEndpoint).latency_s);
  record(AttemptOutcome::Success);
  EXPECT_FALSE(statistics_.pace(kEndpoint).latency_s);
  EXPECT_FALSE(statistics_.pace(kEndpoint).tokens_per_second);
}

TEST_F(EndpointStatisticsTest, PercentilesTellWhatMostCallsReached) {
  for (int i = 100; i >= 1; --i) {
    statistics_.record(kEndpoint, {.latency_s = i / 10.0, .tokens_per_second = i});
  }
  const EndpointPace pace = statistics_.pace(kEndpoint);
  EXPECT_EQ(pace.latency_s->at(Percentile::P50), 5.0);
  EXPECT_EQ(pace.latency_s->at(Percentile::P75), 7.5);
  EXPECT_EQ(pace.latency_s->at(Percentile::P90), 9.0);
  EXPECT_EQ(pace.latency_s->at(Percentile::P99), 9.9);
  EXPECT_EQ(pace.tokens_per_second->at(Percentile::P50), 51);
  EXPECT_EQ(pace.tokens_per_second->at(Percentile::P90), 11);
  EXPECT_EQ(pace.tokens_per_second->at(Percentile::P99), 2);
  EXPECT_FALSE(statistics_.pace(EndpointId(8)).latency_s);
}

TEST_F(EndpointStatisticsTest, MeasurementsLastFiveMinutes) {
  record_latency(9);
  clock_.advance({200'000});
  record_latency(1);
  EXPECT_EQ(statistics_.pace(kEndpoint).latency_s->at(Percentile::P99), 9);
  clock_.advance({100'000});
  EXPECT_EQ(statistics_.pace(kEndpoint).latency_s->at(Percentile::P99), 1);
  clock_.advance({200'000});
  EXPECT_FALSE(statistics_.pace(kEndpoint).latency_s);
}

TEST_F(EndpointStatisticsTest, IsComputedOncePerSecond) {
  record_latency(1);
  EXPECT_EQ(statistics_.pace(kEndpoint).latency_s->at(Percentile::P99), 1);
  record_latency(2);
  clock_.advance({999});
  EXPECT_EQ(statistics_.pace(kEndpoint).latency_s->at(Percentile::P99), 1);
  clock_.advance({1});
  EXPECT_EQ(statistics_.pace(kEndpoint).latency_s->at(Percentile::P99), 2);
}

TEST_F(EndpointStatisticsTest, KeepsTheNewestOfMany) {
  for (std::size_t i = 0; i < EndpointStatistics::kSamplesMax; ++i) record_latency(1);
  for (std::size_t i = 0; i < EndpointStatistics::kSamplesMax; ++i) record_latency(2);
  EXPECT_EQ(statistics_.pace(kEndpoint).latency_s->at(Percentile::P50), 2);
}

TEST_F(EndpointStatisticsTest, TakesNoImpossibleMeasurement) {
  record_latency(-1);
  record_latency(std::nan(""));
  record_latency(std::numeric_limits<double>::infinity());
  EXPECT_FALSE(statistics_.pace(kEndpoint).latency_s);
}

TEST_F(EndpointStatisticsTest, ATenthOfFailuresIsSignificantForThirtySeconds) {
  EXPECT_FALSE(statistics_.has_significant_failures(kEndpoint));
  for (int i = 0; i < 10; ++i) record(AttemptOutcome::Success);
  record(AttemptOutcome::Failure);
  record(AttemptOutcome::Neither);
  EXPECT_FALSE(statistics_.has_significant_failures(kEndpoint));
  record(AttemptOutcome::Failure);
  EXPECT_TRUE(statistics_.has_significant_failures(kEndpoint));
  clock_.advance({29'000});
  EXPECT_TRUE(statistics_.has_significant_failures(kEndpoint));
  clock_.advance({1'000});
  EXPECT_FALSE(statistics_.has_significant_failures(kEndpoint));
}

TEST_F(EndpointStatisticsTest, ForgetsDroppedEndpoints) {
  record_latency(1);
  statistics_.record(EndpointId(8), {.latency_s = 2.0, .tokens_per_second = {}});
  const std::array kept = {EndpointId(8)};
  statistics_.retain(kept);
  EXPECT_FALSE(statistics_.pace(kEndpoint).latency_s);
  EXPECT_TRUE(statistics_.pace(EndpointId(8)).latency_s);
}

RC_GTEST_PROP(EndpointStatisticsProperty, APercentileIsReachedByThatManyCalls, ()) {
  const auto values =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 50)));
  ManualClock clock(TimestampMs{0});
  EndpointStatistics statistics(clock);
  for (const int value : values) {
    statistics.record(kEndpoint, {.latency_s = value, .tokens_per_second = value});
  }
  const EndpointPace pace = statistics.pace(kEndpoint);
  constexpr std::array<std::size_t, 4> kPercent = {50, 75, 90, 99};
  for (const Percentile percentile : kPercentiles) {
    const std::size_t percent = kPercent.at(static_cast<std::size_t>(percentile));
    const double latency = pace.latency_s->at(percentile);
    const double throughput = pace.tokens_per_second->at(percentile);
    const auto as_quick = std::ranges::count_if(values, [&](int v) { return v <= latency; });
    const auto quicker = std::ranges::count_if(values, [&](int v) { return v < latency; });
    const auto as_fast = std::ranges::count_if(values, [&](int v) { return v >= throughput; });
    const auto faster = std::ranges::count_if(values, [&](int v) { return v > throughput; });
    const std::size_t wanted = percent * values.size();
    RC_ASSERT(static_cast<std::size_t>(as_quick) * 100 >= wanted);
    RC_ASSERT(static_cast<std::size_t>(quicker) * 100 < wanted);
    RC_ASSERT(static_cast<std::size_t>(as_fast) * 100 >= wanted);
    RC_ASSERT(static_cast<std::size_t>(faster) * 100 < wanted);
  }
}

}  // namespace
}  // namespace gantry::gateway
