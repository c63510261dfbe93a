// The engine against the plain evaluator: random queries over random spans, cut into groups.

#include "traceql/testing/plain_agreement.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traceql/engine.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/random_traces.h"

namespace gantry::traceql {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the words of the tests

constexpr std::uint64_t kQueriesPerRun = 5;

struct Sample {
  explicit Sample(std::uint64_t seed)
      : plain(one_batch(seed)),
        source(one_batch(seed),
               {.groups = 1 + seed % 3,
                .split = seed % 2 == 0 ? GroupSplit::ByTime : GroupSplit::Interleaved}) {}

  static std::vector<telemetry::SpanBatch> one_batch(std::uint64_t seed) {
    std::vector<telemetry::SpanBatch> batches;
    batches.push_back(random_traces(seed));
    return batches;
  }

  PlainEvaluator plain;
  MemorySource source;
};

void check_search(std::uint64_t seed) {
  const Sample sample(seed);
  EXPECT_EQ(search_disagreement(seed, Engine({}), sample.source, sample.plain), "");
}

void check_metrics(std::uint64_t seed) {
  const Sample sample(seed);
  EXPECT_EQ(metrics_disagreement(seed, Engine({}), sample.source, sample.plain), "");
}

// For a long run: RC_PARAMS="max_success=10000" makes 50,000 queries of each kind.

RC_GTEST_PROP(PlainAgreement, OfSearches, (std::uint64_t seed)) {
  for (std::uint64_t i = 0; i < kQueriesPerRun; ++i) check_search(seed * kQueriesPerRun + i);
  RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(PlainAgreement, OfMetrics, (std::uint64_t seed)) {
  for (std::uint64_t i = 0; i < kQueriesPerRun; ++i) check_metrics(seed * kQueriesPerRun + i);
  RC_ASSERT(!::testing::Test::HasFailure());
}

// compare() once lost the spans of groups where no resource has a service's name.
TEST(PlainAgreement, OfCompareWithoutServices) {
  for (const std::uint64_t seed : {685, 1016, 1874}) check_metrics(seed);
}

}  // namespace
}  // namespace gantry::traceql
