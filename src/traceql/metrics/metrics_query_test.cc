// Engine::metrics over small sets of spans. What Tempo answers is in metrics_conformance_test.cc.

#include <cmath>
#include <functional>
#include <set>
#include <string>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "core/time.h"
#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/metrics/series_table.h"
#include "traceql/parser.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using testing::MemorySource;
using testing::SpanBuilder;

constexpr std::int64_t kSecond = 1'000'000'000;

std::uint64_t at(double seconds) {
  return static_cast<std::uint64_t>(seconds * 1e9);
}

/// "{k=v}[0:1 60:2] …": seconds and values.
std::string print(const Result<MetricsAnswer>& answer) {
  if (!answer) return "error: " + answer.error().message;
  std::string out;
  for (const MetricsSeries& series : answer->series) {
    if (!out.empty()) out += ' ';
    out += '{';
    for (const NamedValue& label : series.labels) {
      if (out.back() != '{') out += ',';
      out += label.key + '=' + metrics::label_text(label.value);
    }
    out += "}[";
    for (const auto& [time_ms, value] : series.samples) {
      if (out.back() != '[') out += ' ';
      out += fmt::format("{}:{}", time_ms / 1000, value);
    }
    out += ']';
  }
  return out;
}

struct RunOptions {
  std::int64_t start_s = 60;
  std::int64_t end_s = 120;
  std::int64_t step_s = 60;
  std::uint32_t exemplars_max = 0;
  std::uint32_t series_max = 0;
  EngineOptions engine;
};

Result<MetricsAnswer> run(std::string_view text, const SpanSource& source,
                          const RunOptions& options = {}, const CancelToken& cancel = {}) {
  const auto query = parse(text);
  if (!query) return fail(Code::InvalidArgument, query.error().message);
  return Engine(options.engine)
      .metrics({.query = &*query,
                .start_ns = options.start_s * kSecond,
                .end_ns = options.end_s * kSecond,
                .step_ns = options.step_s * kSecond,
                .exemplars_max = options.exemplars_max,
                .series_max = options.series_max},
               source, cancel);
}

MemorySource source_of(SpanBuilder&& build, std::size_t groups = 1) {
  return MemorySource(testing::one_batch(std::move(build)), {.groups = groups});
}

TEST(MetricsQuery, RefusesASearch) {
  EXPECT_EQ(print(run("{ }", source_of({}))), "error: not a metrics query");
}

TEST(MetricsQuery, OfNothingCountsZeroAndKnowsNothingElse) {
  SpanBuilder build;
  build.span({.trace = 1, .start_ns = at(1), .end_ns = at(2)});
  const MemorySource source = source_of(std::move(build));
  EXPECT_EQ(print(run("{ name = `no` } | count_over_time()", source)),
            "{__name__=count_over_time}[60:0 120:0]");
  EXPECT_EQ(print(run("{ name = `no` } | count_over_time() by (name)", source)), "");
  EXPECT_EQ(print(run("{ name = `no` } | max_over_time(duration)", source)), "");
  EXPECT_EQ(print(run("{ name = `no` } | quantile_over_time(duration, 0.5)", source)), "");
  EXPECT_EQ(print(run("{ name = `no` } | histogram_over_time(duration)", source)), "");
}

TEST(MetricsQuery, OnlyTheResultingSpansAreInRange) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .name = "a", .start_ns = at(1), .end_ns = at(500)});
  build.span({.trace = 1, .id = 2, .parent = 1, .name = "b", .start_ns = at(70), .end_ns = at(71)});
  build.span(
      {.trace = 1, .id = 3, .parent = 1, .name = "b", .start_ns = at(300), .end_ns = at(301)});
  EXPECT_EQ(print(run("{ name = `a` } >> { name = `b` } | count_over_time()",
                      source_of(std::move(build)))),
            "{__name__=count_over_time}[60:0 120:1]");
}

TEST(MetricsQuery, GroupsOfSeveralGroupsMeetByValue) {
  SpanBuilder build;
  std::uint64_t trace = 1;
  for (const std::string_view service : {"b", "a", "b", "c"}) {
    build.resource({{"service.name", Static::of_string(std::string(service))}});
    build.span({.trace = trace, .id = trace, .start_ns = at(60 + trace), .end_ns = at(100)});
    ++trace;
  }
  EXPECT_EQ(print(run("{ } | count_over_time() by (resource.service.name)",
                      source_of(std::move(build), 4))),
            "{resource.service.name=a}[60:0 120:1] {resource.service.name=b}[60:0 120:2] "
            "{resource.service.name=c}[60:0 120:1]");
}

TEST(MetricsQuery, NilIsLeftOutUnlessNothingElseIsThere) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .start_ns = at(61), .end_ns = at(62)});
  build.attribute("x", Static::of_string("1"));
  build.span({.trace = 1, .id = 2, .start_ns = at(61), .end_ns = at(62)});
  build.span({.trace = 1, .id = 3, .start_ns = at(61), .end_ns = at(65)});
  build.attribute("y", Static::of_int(2));
  const MemorySource source = source_of(std::move(build));
  EXPECT_EQ(print(run("{ } | count_over_time() by (span.x, span.y)", source)),
            "{span.x=1}[60:0 120:1] {span.x=nil}[60:0 120:1] {span.y=2}[60:0 120:1]");
  // A bucket is a label too.
  EXPECT_EQ(print(run("{ span.y = 2 } | histogram_over_time(duration) by (span.x)", source)),
            "{__bucket=4.294967296}[60:0 120:1]");
}

TEST(MetricsQuery, ValuesOfTwoTypesAreTwoSeries) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .start_ns = at(61), .end_ns = at(62)});
  build.attribute("x", Static::of_int(1));
  build.span({.trace = 1, .id = 2, .start_ns = at(61), .end_ns = at(62)});
  build.attribute("x", Static::of_float(1));
  build.span({.trace = 1, .id = 3, .start_ns = at(61), .end_ns = at(62)});
  build.attribute("x", Static::of_string("1"));
  const auto answer = run("{ } | count_over_time() by (span.x)", source_of(std::move(build)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->series.size(), 3U);
}

TEST(MetricsQuery, OnlyTheSpansDurationIsInSeconds) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .start_ns = at(61), .end_ns = at(63)});
  const MemorySource source = source_of(std::move(build));
  EXPECT_EQ(print(run("{ } | max_over_time(duration)", source)), "{__name__=max_over_time}[120:2]");
  EXPECT_EQ(print(run("{ } | max_over_time(traceDuration)", source)),
            "{__name__=max_over_time}[120:2000000000]");
  EXPECT_EQ(print(run("{ } | histogram_over_time(traceDuration)", source)),
            "{__bucket=2.147483648}[60:0 120:1]");
}

TEST(MetricsQuery, BucketsTakeTheIntegersOfAMixedAttribute) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .start_ns = at(61), .end_ns = at(62)});
  build.attribute("x", Static::of_int(5));
  build.span({.trace = 1, .id = 2, .start_ns = at(61), .end_ns = at(62)});
  build.attribute("x", Static::of_float(5));
  build.span({.trace = 1, .id = 3, .start_ns = at(61), .end_ns = at(62)});
  build.attribute("x", Static::of_int(1));
  EXPECT_EQ(print(run("{ } | histogram_over_time(span.x)", source_of(std::move(build)))),
            "{__bucket=8.0}[60:0 120:1]");
}

TEST(MetricsQuery, AnInstantQueryIsOneInterval) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .start_ns = at(60), .end_ns = at(62)});
  build.span({.trace = 2, .id = 2, .start_ns = at(90), .end_ns = at(92)});
  build.span({.trace = 3, .id = 3, .start_ns = at(91), .end_ns = at(92)});
  EXPECT_EQ(print(run("{ } | rate()", source_of(std::move(build), 3),
                      {.start_s = 60, .end_s = 90, .step_s = 0})),
            fmt::format("{{__name__=rate}}[90:{}]", 1.0 / 30));
}

TEST(MetricsQuery, CutsSeriesAndSaysSo) {
  SpanBuilder build;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    build.span({.trace = i, .id = i, .start_ns = at(61), .end_ns = at(62)});
    build.attribute("x", Static::of_int(static_cast<std::int64_t>(i)));
  }
  const MemorySource source = source_of(std::move(build));
  const auto cut = run("{ } | count_over_time() by (span.x)", source, {.series_max = 3});
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->series.size(), 3U);
  EXPECT_TRUE(cut->is_truncated);
  const auto whole = run("{ } | count_over_time() by (span.x)", source, {.series_max = 5});
  ASSERT_TRUE(whole);
  EXPECT_FALSE(whole->is_truncated);
}

TEST(MetricsQuery, SaysWhatItLookedAt) {
  SpanBuilder build;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    build.span({.trace = i,
                .id = i,
                .start_ns = at(60.0 * static_cast<double>(i)),
                .end_ns = at((60.0 * static_cast<double>(i)) + 1000)});
  }
  const MemorySource source = source_of(std::move(build), 4);
  const auto answer = run("{ } | rate()", source, {.start_s = 60, .end_s = 120});
  ASSERT_TRUE(answer);
  // Traces that only began after the range are not opened.
  EXPECT_EQ(answer->statistics.inspected_spans, 2U);
  EXPECT_EQ(answer->statistics.inspected_traces, 2U);
  EXPECT_EQ(answer->statistics.completed_groups, answer->statistics.total_groups);
}

MemorySource many_series(std::size_t groups) {
  SpanBuilder build;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    build.span({.trace = i, .id = i, .start_ns = at(61), .end_ns = at(62)});
    build.attribute("x", Static::of_int(static_cast<std::int64_t>(i)));
  }
  return source_of(std::move(build), groups);
}

TEST(MetricsQuery, StopsAtItsMemoryLimitAndNamesIt) {
  const RunOptions options{.engine = {.memory_bytes_max = 10'000}};
  const auto refused = run("{ } | count_over_time() by (span.x)", many_series(3), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::ResourceExhausted);
  EXPECT_EQ(refused.error().message,
            "the query's 37 series of 2 intervals take more than 10000B of memory "
            "(query.memory_bytes_max)");
  EXPECT_TRUE(run("{ } | count_over_time()", many_series(3), options));
}

TEST(MetricsQuery, TheMemoryErrorIsTheSameWithWorkers) {
  core::WorkerPool pool({.thread_count = 3});
  const MemorySource source = many_series(20);
  const std::string alone =
      print(run("{ } | rate() by (span.x)", source, {.engine = {.memory_bytes_max = 10'000}}));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(print(run("{ } | rate() by (span.x)", source,
                        {.engine = {.workers = &pool, .memory_bytes_max = 10'000}})),
              alone);
  }
}

TEST(MetricsQuery, AsksOnlyForGroupsThatSomePipelineNeeds) {
  const auto required = [](std::string_view text) {
    const MemorySource source = many_series(1);
    EXPECT_TRUE(run(text, source));
    return source.last_required();
  };
  EXPECT_EQ(required("{ span.a = `1` && span.b = `2` } | rate()"),
            (std::vector<std::string>{"span a=1", "span b=2"}));
  EXPECT_EQ(required("({ span.a = `1` && span.b = `2` } | rate()) / ({ span.b = `2` } | rate())"),
            (std::vector<std::string>{"span b=2"}));
  EXPECT_TRUE(required("({ span.a = `1` } | rate()) / ({ } | rate())").empty());
}

TEST(MetricsQuery, StopsWhenCancelledOrLate) {
  const MemorySource source = many_series(2);
  const CancelToken cancelled;
  cancelled.cancel();
  const auto stopped = run("{ } | rate()", source, {}, cancelled);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::Cancelled);
  const auto late = run("{ } | rate()", source, {}, CancelToken::with_deadline(1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::DeadlineExceeded);
}

// ---- compare()

MemorySource shop(std::size_t groups) {
  SpanBuilder build;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    build.resource({{"service.name", Static::of_string("shop")}});
    build.span({.trace = i,
                .id = i,
                .name = "op",
                .start_ns = at(60 + static_cast<double>(i)),
                .end_ns = at(100),
                .status = i <= 2 ? telemetry::SpanStatus::Error : telemetry::SpanStatus::Ok});
    build.attribute("user", Static::of_int(static_cast<std::int64_t>(i % 4)));
    if (i == 1) build.event("boom", at(61.5), {{"why", Static::of_string("disk")}});
  }
  return source_of(std::move(build), groups);
}

/// The series about one attribute.
std::string about(const Result<MetricsAnswer>& answer, std::string_view attribute) {
  if (!answer) return print(answer);
  MetricsAnswer kept;
  for (const MetricsSeries& series : answer->series) {
    if (series.labels.back().key == attribute) kept.series.push_back(series);
  }
  return print(kept);
}

TEST(Compare, SplitsEveryAttributeIntoSelectionAndBaseline) {
  for (const std::size_t groups : {1, 3}) {
    const auto answer = run("{ } | compare({ status = error })", shop(groups),
                            {.start_s = 60, .end_s = 120, .step_s = 120});
    EXPECT_EQ(about(answer, "status"),
              "{__meta_type=baseline,status=ok}[0:0 120:4] "
              "{__meta_type=baseline_total,status=nil}[0:0 120:4] "
              "{__meta_type=selection,status=error}[0:0 120:2] "
              "{__meta_type=selection_total,status=nil}[0:0 120:2]");
    EXPECT_EQ(about(answer, "event.why"),
              "{__meta_type=selection,event.why=disk}[0:0 120:1] "
              "{__meta_type=selection_total,event.why=nil}[0:0 120:1]");
    EXPECT_EQ(about(answer, "duration"), "");
  }
}

TEST(Compare, KeepsTheTopValuesAndSaysWhenThereAreMore) {
  const auto answer = run("{ } | compare({ status = error }, 2)", shop(2),
                          {.start_s = 60, .end_s = 120, .step_s = 120});
  EXPECT_EQ(about(answer, "span.user"),
            "{__meta_error=__too_many_values__,span.user=nil}[] "
            "{__meta_type=baseline,span.user=0}[0:0 120:1] "
            "{__meta_type=baseline,span.user=1}[0:0 120:1] "
            "{__meta_type=baseline_total,span.user=nil}[0:0 120:4] "
            "{__meta_type=selection,span.user=1}[0:0 120:1] "
            "{__meta_type=selection,span.user=2}[0:0 120:1] "
            "{__meta_type=selection_total,span.user=nil}[0:0 120:2]");
}

TEST(Compare, SelectsWithinItsWindow) {
  const auto answer = run("{ } | compare({ status = error }, 10, 61000000000, 62000000000)",
                          shop(1), {.start_s = 60, .end_s = 120, .step_s = 120});
  EXPECT_EQ(about(answer, "status"),
            "{__meta_type=baseline,status=error}[0:0 120:1] "
            "{__meta_type=baseline,status=ok}[0:0 120:4] "
            "{__meta_type=baseline_total,status=nil}[0:0 120:5] "
            "{__meta_type=selection,status=error}[0:0 120:1] "
            "{__meta_type=selection_total,status=nil}[0:0 120:1]");
}

// ---- exemplars

MemorySource traces_with_children(std::size_t groups) {
  SpanBuilder build;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    const double start = 60 + static_cast<double>(i);
    build.resource({{"service.name", Static::of_string(i % 2 == 0 ? "even" : "odd")}});
    build.span({.trace = i,
                .id = i * 10,
                .name = "root",
                .start_ns = at(start),
                .end_ns = at(start + 0.5)});
    build.span({.trace = i,
                .id = (i * 10) + 1,
                .parent = i * 10,
                .name = "child",
                .start_ns = at(start),
                .end_ns = at(start + 0.25)});
  }
  return source_of(std::move(build), groups);
}

std::string label_of(const MetricsExemplar& exemplar, std::string_view key) {
  for (const NamedValue& label : exemplar.labels) {
    if (label.key == key) return metrics::label_text(label.value);
  }
  return "";
}

TEST(Exemplars, AreOnePerTraceWithinTheLimit) {
  const auto answer = run("{ } | rate()", traces_with_children(1), {.exemplars_max = 10});
  ASSERT_TRUE(answer);
  std::set<std::string> traces;
  for (const MetricsExemplar& exemplar : answer->series.at(0).exemplars) {
    EXPECT_TRUE(traces.insert(label_of(exemplar, "trace:id")).second);
    // rate() has no value of its own for a span: the sample of its interval.
    EXPECT_EQ(exemplar.value, 80.0 / 60);
  }
  EXPECT_FALSE(traces.empty());
  EXPECT_LE(traces.size(), 10U);
}

TEST(Exemplars, AreTheSameForAnyGroupsAndWorkers) {
  core::WorkerPool pool({.thread_count = 3});
  const auto chosen = [&](std::size_t groups, core::WorkerPool* workers) {
    const auto answer = run("{ } | max_over_time(duration) by (name)", traces_with_children(groups),
                            {.exemplars_max = 20, .engine = {.workers = workers}});
    std::string text;
    if (!answer) return text;
    for (const MetricsSeries& series : answer->series) {
      for (const MetricsExemplar& e : series.exemplars) {
        text += fmt::format("{} {} {} {};", metrics::label_text(series.labels[0].value),
                            label_of(e, "trace:id"), e.timestamp_ms, e.value);
      }
    }
    return text;
  };
  const std::string alone = chosen(1, nullptr);
  EXPECT_FALSE(alone.empty());
  EXPECT_EQ(chosen(1, &pool), alone);
  EXPECT_EQ(chosen(7, nullptr), alone);
  EXPECT_EQ(chosen(7, &pool), alone);
}

TEST(Exemplars, CarryWhatTheQueryReadAndTheirOwnValue) {
  const auto answer = run("{ name = `root` } | max_over_time(duration) by (resource.service.name)",
                          traces_with_children(2), {.exemplars_max = 100});
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->series.size(), 2U);
  for (const MetricsSeries& series : answer->series) {
    ASSERT_FALSE(series.exemplars.empty());
    for (const MetricsExemplar& exemplar : series.exemplars) {
      EXPECT_DOUBLE_EQ(exemplar.value, 0.5);
      EXPECT_EQ(label_of(exemplar, "name"), "root");
      EXPECT_EQ(label_of(exemplar, "duration"), "500ms");
      EXPECT_EQ(label_of(exemplar, "resource.service.name"),
                metrics::label_text(series.labels[0].value));
    }
  }
}

TEST(Exemplars, OfQuantilesGoToTheNearestEstimate) {
  const auto answer = run("{ } | quantile_over_time(duration, 0.01, 1)", traces_with_children(1),
                          {.exemplars_max = 100});
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->series.size(), 2U);
  EXPECT_FALSE(answer->series[0].exemplars.empty());
  EXPECT_FALSE(answer->series[1].exemplars.empty());
  for (const MetricsExemplar& exemplar : answer->series[0].exemplars) {
    EXPECT_DOUBLE_EQ(exemplar.value, 0.25);
  }
  for (const MetricsExemplar& exemplar : answer->series[1].exemplars) {
    EXPECT_DOUBLE_EQ(exemplar.value, 0.5);
  }
}

std::size_t exemplar_count(std::string_view query, const RunOptions& options) {
  const auto answer = run(query, traces_with_children(1), options);
  if (!answer) return 999;
  std::size_t count = 0;
  for (const MetricsSeries& series : answer->series) count += series.exemplars.size();
  return count;
}

TEST(Exemplars, FollowTheRequestAndTheHint) {
  EXPECT_EQ(exemplar_count("{ } | rate()", {.exemplars_max = 0}), 0U);
  EXPECT_EQ(exemplar_count("{ } | rate() with (exemplars=false)", {.exemplars_max = 100}), 0U);
  EXPECT_EQ(exemplar_count("{ } | rate() with (exemplars=2)", {.exemplars_max = 100}), 2U);
  EXPECT_EQ(exemplar_count("{ } | rate() with (exemplars=2)", {.exemplars_max = 0}), 2U);
  EXPECT_EQ(exemplar_count("{ } | rate()",
                           {.start_s = 60, .end_s = 120, .step_s = 0, .exemplars_max = 100}),
            0U);
}

}  // namespace
}  // namespace gantry::traceql
