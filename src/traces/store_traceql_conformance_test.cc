// Every query whose answer Tempo's own engine has given (conformance/traceql), over the store:
// live, sealed, spread over blocks, merged.

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/testing/execute_cases.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/otlp_dataset.h"
#include "traceql/testing/span_builder.h"
#include "traces/testing/span_pieces.h"
#include "traces/testing/store_fixture.h"

namespace gantry::traces {
namespace {

using nlohmann::json;
using traceql::testing::MemorySource;

enum class Rest : std::uint8_t { Live, Sealed, Merged };

/// A data set is appended in `pieces` with a seal after each but the last; `rest` is what becomes
/// of that.
struct Layout {
  const char* name = "";
  std::size_t pieces = 1;
  Rest rest = Rest::Live;

  friend void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }
};

struct Dataset {
  const char* name = "";
  std::size_t cases_min = 0;
  bool has_long_traces = false;  ///< So that pieces split some.

  friend void PrintTo(const Dataset& dataset, std::ostream* out) { *out << dataset.name; }
};

class StoreTraceqlConformance : public StoreFixture,
                                public ::testing::WithParamInterface<std::tuple<Layout, Dataset>> {
 protected:
  void fill(const telemetry::SpanBatch& batch, const Layout& layout) {
    for (std::size_t i = 0; i < layout.pieces; ++i) {
      const std::size_t begin = batch.spans.size() * i / layout.pieces;
      const std::size_t end = batch.spans.size() * (i + 1) / layout.pieces;
      const auto appended = append(copy_spans(batch, begin, end - begin));
      ASSERT_EQ(appended.spans_written, end - begin);
      if (i + 1 < layout.pieces || layout.rest != Rest::Live) ASSERT_TRUE(store_->flush());
    }
    if (layout.rest == Rest::Merged) ASSERT_TRUE(store_->merge_all());
  }

  void expect_layout(const Layout& layout, const Dataset& dataset, std::size_t spans) const {
    const StoreStatistics statistics = store_->statistics();
    std::uint64_t stored = statistics.live_spans;
    for (const BlockStatistics& block : statistics.blocks) stored += block.spans;
    if (layout.rest == Rest::Merged) {
      EXPECT_EQ(statistics.blocks.size(), 1U);
      EXPECT_EQ(stored, spans);
      return;
    }
    EXPECT_EQ(statistics.live_spans > 0, layout.rest == Rest::Live);
    EXPECT_EQ(statistics.blocks.size(),
              layout.rest == Rest::Live ? layout.pieces - 1 : layout.pieces);
    if (dataset.has_long_traces && layout.pieces > 1) {
      EXPECT_GT(stored, spans) << "no trace that comes in pieces was adopted";
    }
  }

  core::WorkerPool pool_{{.thread_count = 3}};
};

TEST_P(StoreTraceqlConformance, AnswersAsTempoDoes) {
  const auto& [layout, dataset] = GetParam();
  const auto cases = traceql::testing::read_execute_cases();
  if (!cases) GTEST_SKIP() << "no traceql/execute_cases.json: set GANTRY_CONFORMANCE_DIR";
  auto batch = traceql::testing::load_dataset(dataset.name);
  ASSERT_TRUE(batch) << "the data sets are not beside the cases";
  open({.retention = DurationMs{0}});
  fill(*batch, layout);
  expect_layout(layout, dataset, batch->spans.size());

  const traceql::SpanSource& source = store_->source();
  const MemorySource memory(traceql::testing::one_batch(*std::move(batch)), {});
  const traceql::Engine alone({});
  const traceql::Engine together({.workers = &pool_});
  std::size_t run = 0;
  for (const json& test : *cases) {
    if (test["dataset"] != dataset.name) continue;
    SCOPED_TRACE(test["id"].get<std::string>() + ": " + test["query"].get<std::string>());
    ++run;
    if (test["kind"] == "search") {
      EXPECT_EQ(traceql::testing::check_search_case(test, alone, source), "");
      EXPECT_EQ(traceql::testing::check_search_case(test, together, source), "");
      continue;
    }
    ASSERT_EQ(test["kind"], "metrics");
    const auto outcome = traceql::testing::check_metrics_case(test, alone, source);
    EXPECT_EQ(outcome.problem, "");
    EXPECT_EQ(outcome.fingerprint,
              traceql::testing::check_metrics_case(test, alone, memory).fingerprint);
    EXPECT_EQ(outcome.fingerprint,
              traceql::testing::check_metrics_case(test, together, source).fingerprint);
  }
  EXPECT_GE(run, dataset.cases_min);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, StoreTraceqlConformance,
    ::testing::Combine(
        ::testing::Values(Layout{.name = "Live"}, Layout{.name = "OneBlock", .rest = Rest::Sealed},
                          Layout{.name = "SeveralBlocks", .pieces = 4, .rest = Rest::Sealed},
                          Layout{.name = "BlocksAndLive", .pieces = 3},
                          Layout{.name = "Merged", .pieces = 4, .rest = Rest::Merged}),
        ::testing::Values(Dataset{.name = "shop", .cases_min = 213, .has_long_traces = true},
                          Dataset{.name = "tree", .cases_min = 111, .has_long_traces = true},
                          Dataset{.name = "metrics", .cases_min = 92},
                          Dataset{.name = "llm", .cases_min = 15, .has_long_traces = true})),
    [](const auto& info) {
      return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
    });

}  // namespace
}  // namespace gantry::traces
