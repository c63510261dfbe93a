#include "gateway/chunk_times.h"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "core/metrics.h"

namespace gantry::gateway {
namespace {

TEST(ChunkTimes, FillTheSameBucketsAsTheWaitsThemselves) {
  const std::vector<double> waits = {0.0, 0.01, 0.0100001, 0.015, 0.02, 0.03, 0.1, 0.1, 0.1, 100};
  const std::vector<double> bounds(ChunkTimes::kBoundsS.begin(), ChunkTimes::kBoundsS.end());
  core::Histogram plain(bounds);
  core::Histogram bucketed(bounds);
  ChunkTimes times;
  for (const double wait : waits) {
    plain.observe(wait);
    times.add(wait);
  }
  times.each([&](double seconds) { bucketed.observe(seconds); });
  EXPECT_EQ(bucketed.snapshot().cumulative_counts, plain.snapshot().cumulative_counts);
  EXPECT_NEAR(bucketed.snapshot().sum, std::reduce(waits.begin(), waits.end()), 1e-9);
}

}  // namespace
}  // namespace gantry::gateway
