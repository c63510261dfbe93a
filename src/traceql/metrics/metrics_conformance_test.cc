// Runs the metrics cases of the conformance data: what Tempo's engine answers, in several groups
// and with several workers.

#include <cstddef>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/testing/execute_cases.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/otlp_dataset.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using nlohmann::json;
using testing::MemorySource;

void run_case(const json& test, core::WorkerPool& pool) {
  std::string first;
  for (const std::size_t groups : {1, 2, 5}) {
    for (const auto split : {testing::GroupSplit::ByTime, testing::GroupSplit::Interleaved}) {
      auto dataset = testing::load_dataset(test.at("dataset").get<std::string>());
      ASSERT_TRUE(dataset);
      const MemorySource source(testing::one_batch(std::move(*dataset)),
                                {.groups = groups, .split = split});
      const auto alone = testing::check_metrics_case(test, Engine({}), source);
      EXPECT_EQ(alone.problem, "");
      const auto together = testing::check_metrics_case(test, Engine({.workers = &pool}), source);
      EXPECT_EQ(together.problem, "");
      if (first.empty()) first = alone.fingerprint;
      EXPECT_EQ(alone.fingerprint, first);
      EXPECT_EQ(together.fingerprint, first);
    }
  }
}

TEST(MetricsConformance, AnswersAsTempoDoes) {
  const auto cases = testing::read_execute_cases();
  if (!cases) GTEST_SKIP() << "set GANTRY_CONFORMANCE_DIR to the conformance data";
  core::WorkerPool pool({.thread_count = 3});
  std::size_t run = 0;
  for (const json& test : *cases) {
    if (test.at("kind") != "metrics") continue;
    ++run;
    SCOPED_TRACE(test.at("id").get<std::string>() + ": " + test.at("query").get<std::string>());
    run_case(test, pool);
  }
  EXPECT_GE(run, 90U);
}

}  // namespace
}  // namespace gantry::traceql
