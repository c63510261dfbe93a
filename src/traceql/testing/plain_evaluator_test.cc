// Runs the reference's own cases through the plain evaluator, when the data is there: what it says
// of random queries is worth as much as what it says of these.

#include "traceql/testing/plain_evaluator.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "traceql/parser.h"
#include "traceql/testing/otlp_dataset.h"
#include "traceql/testing/random_queries.h"
#include "traceql/testing/random_traces.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql::testing {
namespace {

using nlohmann::json;

constexpr std::int64_t kSecond = 1'000'000'000;

json any_value(const Static& value) {
  switch (value.type) {
    case StaticType::Int:
      return {{"intValue", std::to_string(value.integer)}};
    case StaticType::Float:
      return {{"doubleValue", value.number}};
    case StaticType::Bool:
      return {{"boolValue", value.boolean}};
    case StaticType::String:
      return {{"stringValue", value.text}};
    default:
      return {{"stringValue", format_static(value)}};
  }
}

json named_values(const std::vector<NamedValue>& values) {
  json result = json::object();
  for (const NamedValue& value : values) result[value.key] = any_value(value.value);
  return result;
}

const PlainEvaluator& evaluator_of(const std::string& dataset) {
  static std::map<std::string, PlainEvaluator> evaluators;
  const auto known = evaluators.find(dataset);
  if (known != evaluators.end()) return known->second;
  std::vector<telemetry::SpanBatch> batches;
  batches.push_back(*load_dataset(dataset));
  return evaluators.emplace(dataset, PlainEvaluator(batches)).first->second;
}

// ---- search

json found_spanset(const FoundSpanset& set) {
  json result = {{"matched", set.matched}, {"spans", json::array()}};
  for (const FoundSpan& span : set.spans) result["spans"].push_back(plain_span_id(span.span_id));
  std::sort(result["spans"].begin(), result["spans"].end());
  if (!set.attributes.empty()) result["attributes"] = named_values(set.attributes);
  return result;
}

json found_trace(const FoundTrace& trace) {
  json result = {{"rootServiceName", trace.root_service},
                 {"rootTraceName", trace.root_name},
                 {"startTimeUnixNano", std::to_string(trace.start_ns)},
                 {"durationMs", trace.duration_ns / 1'000'000}};
  for (const auto& [name, service] : trace.services) {
    json& out = result["serviceStats"][name];
    out["spanCount"] = service.spans;
    if (service.errors != 0) out["errorCount"] = service.errors;
  }
  for (const FoundSpanset& set : trace.spansets) result["spanSets"].push_back(found_spanset(set));
  return result;
}

// Which spans survive a cut is not defined, nor is the order of span sets.
json comparable(json traces) {
  for (auto& [id, trace] : traces.items()) {
    if (!trace.contains("durationMs")) trace["durationMs"] = 0;
    for (json& set : trace["spanSets"]) {
      const std::size_t shown = set["spans"].size();
      if (set["matched"] != shown) set["spans"] = shown;
    }
    std::sort(trace["spanSets"].begin(), trace["spanSets"].end());
  }
  return traces;
}

std::string check_search(const json& item, const Query& query) {
  SearchRequest request{.query = &query};
  if (item.contains("start")) request.start_ns = item["start"].get<std::int64_t>() * kSecond;
  if (item.contains("end")) request.end_ns = item["end"].get<std::int64_t>() * kSecond;
  request.limit = item.value("limit", 20U);
  request.spans_per_spanset = item.value("spss", 1000U);
  if (request.spans_per_spanset == 0) request.spans_per_spanset = 3;
  const auto answer = evaluator_of(item["dataset"]).search(request);
  if (!answer) return answer.error().message;
  json traces = json::object();
  for (const FoundTrace& trace : answer->traces) {
    traces[plain_trace_id(trace.trace_id)] = found_trace(trace);
  }
  const json got = comparable(traces);
  const json expected = comparable(item["expect"]["traces"]);
  return got == expected ? "" : "got " + got.dump() + "\n  expected " + expected.dump();
}

// ---- metrics

using Lines = std::map<std::string, std::map<std::int64_t, double>>;

// Not the attributes that a stored block may add or leave out, nor the notice of too many values,
// which has no samples.
bool is_comparable(const json& labels) {
  return !labels.contains("__meta_error") && !labels.contains("span:childCount") &&
         !labels.contains("instrumentation:name") && !labels.contains("instrumentation:version");
}

Lines expected_lines(const json& item) {
  Lines lines;
  for (const json& series : item["expect"]["series"]) {
    json labels = series["labels"];
    if (!is_comparable(labels)) continue;
    for (json& label : labels) {
      if (label.contains("doubleValue")) label["doubleValue"] = label["doubleValue"].get<double>();
    }
    auto& samples = lines[labels.dump()];
    if (series.contains("value")) samples[0] = series["value"];
    for (const json& sample : series.value("samples", json::array()))
      samples[sample[0]] = sample[1];
  }
  return lines;
}

Lines answered_lines(const MetricsAnswer& answer, bool is_instant) {
  Lines lines;
  for (const MetricsSeries& series : answer.series) {
    const json labels = named_values(series.labels);
    if (!is_comparable(labels)) continue;
    auto& samples = lines[labels.dump()];
    for (const auto& [time_ms, value] : series.samples) samples[is_instant ? 0 : time_ms] = value;
  }
  return lines;
}

std::string show(const Lines& lines) {
  std::string text;
  for (const auto& [labels, samples] : lines) {
    text += "\n    " + labels;
    for (const auto& [time_ms, value] : samples) text += fmt::format(" {}@{}", value, time_ms);
  }
  return text;
}

bool are_close(const Lines& a, const Lines& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && std::ranges::equal(x.second, y.second, [](auto p, auto q) {
             return p.first == q.first &&
                    std::abs(p.second - q.second) <= 1e-9 * std::abs(q.second);
           });
  });
}

// Which of equally frequent values compare() shows is not defined: their counts are.
Lines ranked(const Lines& lines) {
  Lines result;
  for (const auto& [text, samples] : lines) {
    const json labels = json::parse(text);
    const std::string type = labels.value("__meta_type", json())["stringValue"];
    if (type.ends_with("_total")) {
      result[text] = samples;
      continue;
    }
    for (const auto& [key, value] : labels.items()) {
      if (key == "__meta_type") continue;
      double total = 0;
      for (const auto& [time_ms, count] : samples) total += count;
      auto& ranks = result[type + " " + key];
      ranks[static_cast<std::int64_t>(ranks.size())] = total;
    }
  }
  for (auto& [text, ranks] : result) {
    if (text.starts_with("{")) continue;
    std::vector<double> totals;
    for (const auto& [rank, total] : ranks) totals.push_back(total);
    std::ranges::sort(totals);
    for (auto& [rank, total] : ranks) total = totals[static_cast<std::size_t>(rank)];
  }
  return result;
}

std::string check_metrics(const json& item, const Query& query) {
  const bool is_instant = item.value("instant", false);
  const MetricsRequest request{
      .query = &query,
      .start_ns = std::stoll(item["startNs"].get<std::string>()),
      .end_ns = std::stoll(item["endNs"].get<std::string>()),
      .step_ns = is_instant ? 0 : std::stoll(item["stepNs"].get<std::string>())};
  const auto answer = evaluator_of(item["dataset"]).metrics(request);
  if (!answer) return answer.error().message;
  Lines got = answered_lines(*answer, is_instant);
  Lines expected = expected_lines(item);
  if (item["query"].get<std::string>().contains("compare(")) {
    got = ranked(got);
    expected = ranked(expected);
  }
  return are_close(got, expected) ? "" : "got" + show(got) + "\n  expected" + show(expected);
}

std::string check(const json& item) {
  const auto query = parse(item["query"].get<std::string>());
  const bool wants_metrics = item["kind"] == "metrics";
  if (item["expect"].contains("error")) {
    const bool is_refused = !query || query->is_metrics() != wants_metrics;
    return is_refused ? "" : "accepted";
  }
  if (!query) return query.error().message;
  return wants_metrics ? check_metrics(item, *query) : check_search(item, *query);
}

TEST(PlainEvaluator, AnswersTheReferencesCases) {
  const auto text = read_conformance_file("traceql/execute_cases.json");
  if (!text) GTEST_SKIP() << "no conformance data";
  const json cases = json::parse(*text)["cases"];
  EXPECT_GT(cases.size(), 300U);
  for (const json& item : cases) {
    EXPECT_EQ(check(item), "") << item["id"] << " " << item["query"];
  }
}

// Where the reference fails, the natural answer is given.
TEST(PlainEvaluator, AnswersWhereTheReferenceFails) {
  if (!load_dataset("shop")) GTEST_SKIP() << "no conformance data";
  const auto spans_of = [](std::string_view text) {
    const auto query = parse(text);
    const auto answer = evaluator_of("shop").search({.query = &*query});
    std::string spans;
    for (const FoundTrace& trace : answer->traces) {
      for (const FoundSpanset& set : trace.spansets) {
        for (const FoundSpan& span : set.spans) spans += plain_span_id(span.span_id) + " ";
      }
    }
    return spans;
  };
  EXPECT_EQ(spans_of("{ span.items ^ 2 = 9 }"), "0000000100000002 ");
  EXPECT_EQ(spans_of("{ 2 ^ span.items = 8 }"), "0000000100000002 ");
  EXPECT_EQ(spans_of("{ -span.items = -3 }"), "0000000100000002 ");
  EXPECT_EQ(spans_of("{ span.items / 0 = 1 }"), "");
  EXPECT_EQ(spans_of("{ span.jobs + 1 > 5 }"), "");
  EXPECT_EQ(spans_of("{ !span.http.method }"), "");
  EXPECT_EQ(spans_of("{ span.providers = \"visa\" || span.providers = \"smtp\" }"),
            spans_of("{ span.providers = \"visa\" }") + spans_of("{ span.providers = \"smtp\" && "
                                                                 "span.providers != \"visa\" }"));
}

// by() may name one field twice.
TEST(PlainEvaluator, SeriesMeetByAllOfTheirLabels) {
  SpanBuilder build;
  build.resource({{"service.name", Static::of_string("shop")}});
  build.span({.name = "GET /", .start_ns = 30 * kSecond, .end_ns = 31 * kSecond});
  const std::vector<telemetry::SpanBatch> batches = one_batch(std::move(build));
  const PlainEvaluator plain(batches);
  const auto series_of = [&](const std::string& text) -> std::size_t {
    const auto query = parse(text);
    EXPECT_TRUE(query.has_value()) << text;
    const auto answer = plain.metrics({.query = &*query, .end_ns = 60 * kSecond});
    EXPECT_TRUE(answer.has_value()) << text;
    return answer ? answer->series.size() : 0;
  };
  const std::string twice =
      "({ } | count_over_time() by (resource.service.name, resource.service.name))";
  EXPECT_EQ(series_of(twice + " * " + twice), 1U);
  EXPECT_EQ(series_of(twice + " * ({ } | count_over_time() by (name, resource.service.name))"), 0U);
}

// Queries that never find anything would compare nothing.
TEST(RandomQueries, FindSomethingAndNotEverything) {
  std::size_t searches_with_results = 0;
  std::size_t metrics_with_results = 0;
  constexpr std::uint64_t kQueries = 400;
  for (std::uint64_t seed = 0; seed < kQueries; ++seed) {
    std::vector<telemetry::SpanBatch> batches;
    const RandomTracesOptions options;
    batches.push_back(random_traces(seed, options));
    const PlainEvaluator plain(batches);
    const std::string search_text = random_query(seed, QueryKind::Search);
    const auto search = parse(search_text);
    ASSERT_TRUE(search.has_value()) << search_text << ": " << search.error().message;
    const auto found = plain.search({.query = &*search});
    ASSERT_TRUE(found.has_value()) << search_text << ": " << found.error().message;
    if (!found->traces.empty()) ++searches_with_results;
    const std::string metrics_text = random_query(seed, QueryKind::Metrics);
    const auto metrics = parse(metrics_text);
    ASSERT_TRUE(metrics.has_value()) << metrics_text << ": " << metrics.error().message;
    const auto series = plain.metrics({.query = &*metrics,
                                       .start_ns = options.start_ns,
                                       .end_ns = options.start_ns + options.range_ns,
                                       .step_ns = 60 * kSecond});
    ASSERT_TRUE(series.has_value()) << metrics_text << ": " << series.error().message;
    if (!series->series.empty()) ++metrics_with_results;
  }
  EXPECT_GT(searches_with_results, kQueries / 3);
  EXPECT_LT(searches_with_results, kQueries);
  EXPECT_GT(metrics_with_results, kQueries / 3);
}

}  // namespace
}  // namespace gantry::traceql::testing
