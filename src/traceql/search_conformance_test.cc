// Searches whose answers Tempo's own engine has given (conformance/traceql).

#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/parser.h"
#include "traceql/testing/execute_cases.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/otlp_dataset.h"

namespace gantry::traceql {
namespace {

using nlohmann::json;
using testing::GroupSplit;
using testing::MemorySource;

class Datasets {
 public:
  const MemorySource* source(const std::string& name, std::size_t groups, GroupSplit split) {
    auto& source = sources_[{name, groups, split}];
    if (!source) {
      auto batch = testing::load_dataset(name);
      if (!batch) return nullptr;
      std::vector<telemetry::SpanBatch> batches;
      batches.push_back(*std::move(batch));
      source = std::make_unique<MemorySource>(
          std::move(batches), testing::MemorySourceOptions{.groups = groups, .split = split});
    }
    return source.get();
  }

 private:
  std::map<std::tuple<std::string, std::size_t, GroupSplit>, std::unique_ptr<MemorySource>>
      sources_;
};

struct Layout {
  std::size_t groups = 1;
  GroupSplit split = GroupSplit::ByTime;
  bool has_workers = false;
};

class SearchConformance : public ::testing::TestWithParam<Layout> {};

TEST_P(SearchConformance, AnswersAsTempoDoes) {
  const auto cases = testing::read_execute_cases();
  if (!cases) GTEST_SKIP() << "no traceql/execute_cases.json: set GANTRY_CONFORMANCE_DIR";
  Datasets datasets;
  core::WorkerPool pool({.thread_count = 3});
  const Engine engine({.workers = GetParam().has_workers ? &pool : nullptr});
  int passed = 0;
  int total = 0;
  for (const json& test : *cases) {
    if (test["kind"] != "search") continue;
    const MemorySource* source =
        datasets.source(test["dataset"], GetParam().groups, GetParam().split);
    ASSERT_NE(source, nullptr) << "the data sets are not beside the cases";
    const std::string problem = testing::check_search_case(test, engine, *source);
    EXPECT_EQ(problem, "") << test["id"] << ": " << test["query"];
    ++total;
    if (problem.empty()) ++passed;
  }
  EXPECT_GT(total, 300);
  std::cout << "[   score  ] " << passed << "/" << total << " searches\n";
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, SearchConformance,
    ::testing::Values(Layout{}, Layout{.groups = 3}, Layout{.groups = 100},
                      Layout{.groups = 3, .split = GroupSplit::Interleaved, .has_workers = true},
                      Layout{.groups = 100, .has_workers = true}),
    [](const auto& info) {
      return std::to_string(info.param.groups) + "Groups" +
             (info.param.split == GroupSplit::Interleaved ? "Interleaved" : "") +
             (info.param.has_workers ? "WithWorkers" : "");
    });

// Where Tempo fails or errs, and what we return instead.
TEST(SearchQuirks, GiveTheNaturalAnswer) {
  const auto batch = testing::load_dataset("shop");
  if (!batch) GTEST_SKIP() << "no traceql/datasets: set GANTRY_CONFORMANCE_DIR";
  Datasets datasets;
  const MemorySource& source = *datasets.source("shop", 2, GroupSplit::ByTime);
  const Engine engine({});
  const auto spans = [&](std::string_view text) {
    const auto query = parse(text);
    if (!query) return query.error().message;
    const auto answer = engine.search({.query = &*query, .limit = 100, .spans_per_spanset = 100},
                                      source, CancelToken());
    if (!answer) return answer.error().message;
    std::set<std::string> ids;
    for (const FoundTrace& trace : answer->traces) {
      for (const FoundSpan& span : trace.spansets.front().spans) {
        ids.insert(format_span_id(span.span_id));
      }
    }
    std::string list;
    for (const std::string& id : ids) list += (list.empty() ? "" : " ") + id;
    return list;
  };
  EXPECT_EQ(spans("{ span.items ^ 2 = 9 }"), "0000000100000002");
  EXPECT_EQ(spans("{ 2 ^ span.items = 8 }"), "0000000100000002");
  EXPECT_EQ(spans("{ span.providers = `visa` || span.providers = `smtp` }"),
            spans("{ span.providers =~ `visa|smtp` }"));
  EXPECT_NE(spans("{ span.providers = `visa` || span.providers = `smtp` }"), "");
  EXPECT_EQ(spans("{ span.jobs + 1 > 5 }"), "");
  EXPECT_EQ(spans("{ -span.items = -3 }"), spans("{ span.items = 3 }"));
  EXPECT_EQ(spans("{ -span.items < 0 }"), spans("{ span.items > 0 }"));
  EXPECT_EQ(spans("{ !span.retry && name = `GET /cart` }"),
            spans("{ span.retry = false && name = `GET /cart` }"));
  EXPECT_EQ(spans("{ span.items / 0 = 1 }"), "");
  EXPECT_EQ(spans("{ !span.http.method }"), "");
}

}  // namespace
}  // namespace gantry::traceql
