#include <set>
#include <string>

#include <gtest/gtest.h>

#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/required_text.h"
#include "traceql/testing/ast_builder.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the words of the tests

/// Traces 1 … count; trace t starts at 1000 t, lasts 10 and has the attribute even = (t is even).
std::vector<telemetry::SpanBatch> numbered_traces(std::uint64_t count) {
  SpanBuilder build;
  build.resource({{"service.name", Static::of_string("shop")}});
  for (std::uint64_t t = 1; t <= count; ++t) {
    build.span(
        {.trace = t, .id = t, .name = "work", .start_ns = 1000 * t, .end_ns = 1000 * t + 10});
    build.attribute("even", Static::of_bool(t % 2 == 0));
    build.attribute("text", Static::of_string("t" + std::to_string(t)));
  }
  return one_batch(std::move(build));
}

std::string starts(const SearchAnswer& answer) {
  std::string text;
  for (const FoundTrace& trace : answer.traces) {
    text += (text.empty() ? "" : " ") + std::to_string(trace.start_ns / 1000);
  }
  return text;
}

TEST(Search, ReturnsTheNewestAndLeavesOlderGroupsUnread) {
  const MemorySource source(numbered_traces(100), {.groups = 20});
  const Query all = query(pipeline(filter(truth(true))));
  const Engine engine({});
  const auto answer = engine.search({.query = &all, .limit = 7}, source, CancelToken());
  ASSERT_TRUE(answer);
  EXPECT_EQ(starts(*answer), "100 99 98 97 96 95 94");
  EXPECT_EQ(source.opened_groups(), 2U);
  EXPECT_EQ(answer->statistics.completed_groups, 2U);
  EXPECT_EQ(answer->statistics.total_groups, 20U);
  EXPECT_EQ(answer->statistics.inspected_traces, 10U);
  EXPECT_EQ(answer->statistics.inspected_spans, 10U);
  EXPECT_GT(answer->statistics.inspected_bytes, 0U);
}

TEST(Search, ReadsOnWhereTooFewMatch) {
  const MemorySource source(numbered_traces(100), {.groups = 20});
  const Query odd = query(pipeline(filter(equals(span_field("even"), truth(false)))));
  const Engine engine({});
  const auto answer = engine.search({.query = &odd, .limit = 5}, source, CancelToken());
  ASSERT_TRUE(answer);
  EXPECT_EQ(starts(*answer), "99 97 95 93 91");
  EXPECT_EQ(source.opened_groups(), 2U);
}

TEST(Search, GroupsThatOverlapInTimeChangeNothing) {
  const Query odd = query(pipeline(filter(equals(span_field("even"), truth(false)))));
  core::WorkerPool pool({.thread_count = 3});
  for (const std::size_t groups : {1U, 3U, 10U}) {
    const MemorySource source(numbered_traces(100),
                              {.groups = groups, .split = GroupSplit::Interleaved});
    for (core::WorkerPool* workers : {static_cast<core::WorkerPool*>(nullptr), &pool}) {
      const Engine engine({.workers = workers});
      const auto answer = engine.search({.query = &odd, .limit = 4}, source, CancelToken());
      ASSERT_TRUE(answer);
      EXPECT_EQ(starts(*answer), "99 97 95 93") << groups;
    }
  }
}

TEST(Search, EqualStartsComeByTraceId) {
  SpanBuilder build;
  for (const std::uint64_t trace : {5U, 3U, 9U, 1U, 7U}) {
    build.span({.trace = trace, .id = trace, .start_ns = 50, .end_ns = 60});
  }
  const MemorySource source(one_batch(std::move(build)), {.groups = 5});
  const Query all = query(pipeline(filter(truth(true))));
  const auto answer = Engine({}).search({.query = &all, .limit = 3}, source, CancelToken());
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->traces.size(), 3U);
  EXPECT_EQ(answer->traces[0].trace_id, trace_id(1));
  EXPECT_EQ(answer->traces[1].trace_id, trace_id(3));
  EXPECT_EQ(answer->traces[2].trace_id, trace_id(5));
}

TEST(Search, TakesTracesThatOverlapTheRangeOrHaveTheDuration) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .start_ns = 1000, .end_ns = 9000});
  build.span({.trace = 2, .id = 2, .start_ns = 5000, .end_ns = 5100});
  build.span({.trace = 3, .id = 3, .start_ns = 7000, .end_ns = 7000});
  const MemorySource source(one_batch(std::move(build)), {.groups = 2});
  const Query all = query(pipeline(filter(truth(true))));
  const auto found = [&](SearchRequest request) {
    request.query = &all;
    return starts(*Engine({}).search(request, source, CancelToken()));
  };
  EXPECT_EQ(found({.start_ns = 5100, .end_ns = 6000}), "5 1");
  EXPECT_EQ(found({.start_ns = 5101, .end_ns = 7000}), "7 1");
  EXPECT_EQ(found({.start_ns = 9001}), "");
  EXPECT_EQ(found({.trace_duration_ns_min = 100}), "5 1");
  EXPECT_EQ(found({.trace_duration_ns_max = 100}), "7 5");
}

TEST(Search, DescribesWinners) {
  SpanBuilder build;
  build.resource({{"service.name", Static::of_string("shop")}});
  build.span({.trace = 1, .id = 1, .name = "root", .start_ns = 100, .end_ns = 300});
  build.attribute("code", Static::of_int(1));
  build.resource({{"service.name", Static::of_string("db")}});
  build.span({.trace = 1,
              .id = 2,
              .parent = 1,
              .name = "late",
              .start_ns = 250,
              .end_ns = 260,
              .status = telemetry::SpanStatus::Error});
  build.attribute("code", Static::of_int(2));
  build.span({.trace = 1, .id = 3, .parent = 1, .name = "early", .start_ns = 150, .end_ns = 170});
  build.attribute("code", Static::of_int(3));
  const MemorySource source(one_batch(std::move(build)), {});
  const Query search =
      query(pipeline(filter(both(binary(FieldOp::Greater, span_field("code"), literal(1)),
                                 binary(FieldOp::Greater, field(Intrinsic::Duration), literal(0)))),
                     count_filter(FieldOp::Equal, 2),
                     Select{.attributes = {make_intrinsic(Intrinsic::Status),
                                           make_attribute(AttributeScope::Resource, "service.name"),
                                           make_attribute(AttributeScope::None, "code"),
                                           make_attribute(AttributeScope::Span, "nope")}}));
  const auto answer =
      Engine({}).search({.query = &search, .spans_per_spanset = 1}, source, CancelToken());
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->traces.size(), 1U);
  const FoundTrace& trace = answer->traces[0];
  EXPECT_TRUE(trace.has_root);
  EXPECT_EQ(trace.root_name, "root");
  EXPECT_EQ(trace.root_service, "shop");
  EXPECT_EQ(trace.duration_ns, 200);
  EXPECT_EQ(trace.services.at("db").spans, 2U);
  EXPECT_EQ(trace.services.at("db").errors, 1U);
  EXPECT_EQ(trace.services.at("shop").spans, 1U);
  ASSERT_EQ(trace.spansets.size(), 1U);
  EXPECT_EQ(trace.spansets[0].matched, 2U);
  ASSERT_EQ(trace.spansets[0].spans.size(), 1U);
  const FoundSpan& span = trace.spansets[0].spans[0];
  EXPECT_EQ(span.name, "early");
  EXPECT_EQ(span.duration_ns, 20);
  std::string attributes;
  for (const NamedValue& named : span.attributes) {
    attributes += named.key + "=" + format_static(named.value) + " ";
  }
  EXPECT_EQ(attributes, "code=3 status=unset service.name=`db` ");
}

TEST(Search, ConstantsThatAreFalseReadNothing) {
  const MemorySource source(numbered_traces(3), {});
  const Query never = query(pipeline(filter(truth(false))));
  const auto answer = Engine({}).search({.query = &never}, source, CancelToken());
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->traces.empty());
  EXPECT_EQ(source.opened_groups(), 0U);
}

TEST(Search, StopsWhenCancelled) {
  const MemorySource source(numbered_traces(30), {.groups = 10});
  const Query all = query(pipeline(filter(truth(true))));
  const CancelToken cancel;
  cancel.cancel();
  const auto answer = Engine({}).search({.query = &all}, source, cancel);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::Cancelled);
  EXPECT_EQ(source.opened_groups(), 0U);
}

TEST(Search, RefusesResultsBeyondItsMemory) {
  const MemorySource source(numbered_traces(30), {.groups = 10});
  const Query all = query(pipeline(filter(truth(true))));
  const auto answer = Engine({.memory_bytes_max = 2000})
                          .search({.query = &all, .limit = 30}, source, CancelToken());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::ResourceExhausted);
  EXPECT_NE(answer.error().message.find("query.memory_bytes_max"), std::string::npos);
}

TEST(Search, HandsWhatEveryTraceMustHaveToTheSource) {
  const MemorySource source(numbered_traces(3), {});
  const auto text = [](FieldPtr attribute, std::string_view value) {
    return equals(std::move(attribute), literal(value));
  };
  const auto required = [&](Pipeline stages) {
    const Query search = query(std::move(stages));
    EXPECT_TRUE(Engine({}).search({.query = &search}, source, CancelToken()));
    std::string all;
    for (const std::string& one : source.last_required()) all += (all.empty() ? "" : ", ") + one;
    return all;
  };
  EXPECT_EQ(required(pipeline(filter(
                both(text(resource_field("service.name"), "shop"),
                     both(text(any_field("a"), "1"), equals(span_field("n"), literal(1))))))),
            "resource service.name=shop, any a=1");
  EXPECT_EQ(
      required(pipeline(filter(either(text(span_field("a"), "1"), text(span_field("b"), "2"))))),
      "");
  EXPECT_EQ(required(pipeline(filter(negation(text(span_field("a"), "1"))))), "");
  EXPECT_EQ(required(pipeline(filter(text(resource_field("service.name"), "")))), "");
  EXPECT_EQ(required(pipeline(spanset(SpansetOp::Child, filter(text(span_field("a"), "1")),
                                      filter(text(span_field("b"), "2"))))),
            "span b=2, span a=1");
  EXPECT_EQ(required(pipeline(spanset(SpansetOp::NotChild, filter(text(span_field("a"), "1")),
                                      filter(text(span_field("b"), "2"))))),
            "span b=2");
  EXPECT_EQ(required(pipeline(spanset(SpansetOp::Or, filter(text(span_field("a"), "1")),
                                      filter(text(span_field("b"), "2"))),
                              filter(text(span_field("c"), "3")))),
            "span c=3");
}

}  // namespace
}  // namespace gantry::traceql
