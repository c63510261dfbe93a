// Searches whose answers Tempo's own engine has given (conformance/traceql).

#include <algorithm>
#include <map>
#include <optional>
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
#include "traceql/testing/memory_source.h"
#include "traceql/testing/otlp_dataset.h"

namespace gantry::traceql {
namespace {

using nlohmann::json;
using testing::GroupSplit;
using testing::MemorySource;

constexpr std::int64_t kSecond = 1'000'000'000;

/// As answers write a value.
json to_json(const Static& value) {
  switch (value.type) {
    case StaticType::Int:
      return {{"intValue", std::to_string(value.integer)}};
    case StaticType::Float:
      return {{"doubleValue", value.number}};
    case StaticType::Bool:
      return {{"boolValue", value.boolean}};
    case StaticType::String:
      return {{"stringValue", value.text}};
    case StaticType::Duration:
      return {{"stringValue", format_go_duration(value.integer)}};
    case StaticType::Status:
      return {{"stringValue", status_text(static_cast<std::uint8_t>(value.integer))}};
    case StaticType::Kind:
      return {{"stringValue", kind_text(static_cast<std::uint8_t>(value.integer))}};
    default:
      return {{"stringValue", format_static(value)}};
  }
}

json to_json(const FoundSpanset& set, bool has_all_spans) {
  json out{{"matched", set.matched}};
  if (has_all_spans) {
    std::set<std::string> ids;
    for (const FoundSpan& span : set.spans) ids.insert(format_span_id(span.span_id));
    out["spans"] = ids;
  } else {
    out["spans"] = set.spans.size();
  }
  for (const NamedValue& named : set.attributes) {
    out["attributes"][named.key] = to_json(named.value);
  }
  return out;
}

/// What the cases say of a trace. Span sets in no particular order.
json to_json(const FoundTrace& trace, bool has_all_spans) {
  json out{{"rootServiceName", trace.root_service},
           {"rootTraceName", trace.root_name},
           {"startTimeUnixNano", std::to_string(trace.start_ns)},
           {"durationMs", trace.duration_ns / 1'000'000}};
  for (const auto& [name, service] : trace.services) {
    out["serviceStats"][name]["spanCount"] = service.spans;
    if (service.errors != 0) out["serviceStats"][name]["errorCount"] = service.errors;
  }
  std::multiset<json> sets;
  for (const FoundSpanset& set : trace.spansets) sets.insert(to_json(set, has_all_spans));
  out["spanSets"] = sets;
  return out;
}

json expected_trace(json trace, bool has_all_spans) {
  if (!trace.contains("durationMs")) trace["durationMs"] = 0;
  std::multiset<json> sets;
  for (json& set : trace["spanSets"]) {
    if (!has_all_spans) set["spans"] = set["spans"].size();
    sets.insert(set);
  }
  trace["spanSets"] = sets;
  return trace;
}

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

/// The difference, or "".
std::string run(const json& test, const MemorySource& source, const Engine& engine) {
  const auto parsed = parse(test["query"].get<std::string>());
  const json& expect = test["expect"];
  if (expect.contains("error")) return parsed ? "was not refused" : "";
  if (!parsed) return "refused: " + parsed.error().message;
  const auto spss = test.value("spss", std::uint32_t{1000});
  SearchRequest request{.query = &*parsed, .limit = test.value("limit", std::uint32_t{1000})};
  request.spans_per_spanset = spss;
  if (test.contains("start")) request.start_ns = test["start"].get<std::int64_t>() * kSecond;
  if (test.contains("end")) request.end_ns = test["end"].get<std::int64_t>() * kSecond;
  const auto answer = engine.search(request, source, CancelToken());
  if (!answer) return "failed: " + answer.error().message;
  json actual = json::object();
  for (const FoundTrace& trace : answer->traces) {
    actual[format_trace_id(trace.trace_id)] = to_json(trace, spss == 1000);
  }
  json expected = json::object();
  for (const auto& [id, trace] : expect["traces"].items()) {
    expected[id] = expected_trace(trace, spss == 1000);
  }
  if (actual == expected) return "";
  return "expected " + expected.dump() + "\n  found " + actual.dump();
}

class SearchConformance : public ::testing::TestWithParam<Layout> {};

TEST_P(SearchConformance, AnswersAsTempoDoes) {
  const auto file = testing::read_conformance_file("traceql/execute_cases.json");
  if (!file) GTEST_SKIP() << "no traceql/execute_cases.json: set GANTRY_CONFORMANCE_DIR";
  const json cases = json::parse(*file);
  Datasets datasets;
  core::WorkerPool pool({.thread_count = 3});
  const Engine engine({.workers = GetParam().has_workers ? &pool : nullptr});
  int passed = 0;
  int total = 0;
  for (const json& test : cases["cases"]) {
    if (test["kind"] != "search") continue;
    const MemorySource* source =
        datasets.source(test["dataset"], GetParam().groups, GetParam().split);
    ASSERT_NE(source, nullptr) << "the data sets are not beside the cases";
    const std::string difference = run(test, *source, engine);
    EXPECT_EQ(difference, "") << test["id"] << ": " << test["query"];
    ++total;
    if (difference.empty()) ++passed;
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
