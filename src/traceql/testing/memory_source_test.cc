#include "traceql/testing/memory_source.h"

#include <limits>

#include <gtest/gtest.h>

#include "traceql/testing/span_builder.h"

namespace gantry::traceql::testing {
namespace {

constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();

telemetry::SpanBatch three_traces() {
  SpanBuilder build;
  build.resource({{"service.name", Static::of_string("shop")}});
  build.span({.trace = 1, .id = 11, .start_ns = 100, .end_ns = 200});
  build.attribute("n", Static::of_int(1));
  build.span({.trace = 2, .id = 21, .start_ns = 300, .end_ns = 310});
  build.span({.trace = 1, .id = 12, .parent = 11, .start_ns = 150, .end_ns = 160});
  build.attribute("n", Static::of_string("x"));
  build.event("boom", 155, {{"code", Static::of_int(7)}});
  build.span({.trace = 3, .id = 31, .start_ns = 50, .end_ns = 60});
  return std::move(build).batch();
}

std::vector<telemetry::SpanBatch> batches() {
  std::vector<telemetry::SpanBatch> out;
  out.push_back(three_traces());
  return out;
}

TEST(MemorySource, GroupsAreNewestFirstAndHoldWholeTraces) {
  const MemorySource source(batches(), {.groups = 3});
  auto snapshot = source.open({.start_ns = 0, .end_ns = kForEver}, CancelToken());
  ASSERT_TRUE(snapshot);
  ASSERT_EQ((*snapshot)->groups().size(), 3U);
  EXPECT_EQ((*snapshot)->groups()[0].trace_start_ns_max, 300);
  EXPECT_EQ((*snapshot)->groups()[1].trace_start_ns_max, 100);
  EXPECT_EQ((*snapshot)->groups()[1].start_ns_max, 150);
  EXPECT_EQ((*snapshot)->groups()[1].end_ns_max, 200);
  EXPECT_EQ(source.opened_groups(), 0U);
  auto group = (*snapshot)->open(1);
  ASSERT_TRUE(group);
  EXPECT_EQ(source.opened_groups(), 1U);
  EXPECT_EQ((*group)->counts().spans, 2U);
  EXPECT_EQ((*group)->counts().events, 1U);
}

TEST(MemorySource, ColumnsAreByTypeAndDenseWhereEveryRowHasAValue) {
  const MemorySource source(batches(), {});
  auto snapshot = source.open({.start_ns = 0, .end_ns = kForEver}, CancelToken());
  ASSERT_TRUE(snapshot);
  auto group = (*snapshot)->open(0);
  ASSERT_TRUE(group);
  const auto columns = *(*group)->columns({.table = Table::Span, .key = "n"});
  ASSERT_EQ(columns.size(), 2U);
  EXPECT_FALSE(columns[0].is_dense);
  const auto service = *(*group)->columns({.table = Table::Resource, .key = "service.name"});
  ASSERT_EQ(service.size(), 1U);
  EXPECT_TRUE(service[0].is_dense);
  EXPECT_EQ(service[0].dictionary[service[0].ids[0]], "shop");
  EXPECT_TRUE((*group)->columns({.table = Table::Span, .key = "nope"})->empty());
}

TEST(MemorySource, FindsATrace) {
  const MemorySource source(batches(), {.groups = 2});
  telemetry::SpanBatch found;
  ASSERT_TRUE(source.find_trace(trace_id(1), 0, kForEver, CancelToken(), found));
  ASSERT_EQ(found.spans.size(), 2U);
  EXPECT_EQ(found.spans[1].span_id, 12U);
}

}  // namespace
}  // namespace gantry::traceql::testing
