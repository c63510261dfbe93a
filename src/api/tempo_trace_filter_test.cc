#include "api/tempo_trace_filter.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "traceql/testing/span_builder.h"

namespace gantry::api {
namespace {

using traceql::Static;
using traceql::testing::SpanBuilder;

/// 1:a -> (2:b -> (3:c -> 4:d), 5:b), and 6:c whose parent is not there.
telemetry::SpanBatch tree() {
  SpanBuilder build;
  build.resource({{"service.name", Static::of_string("shop")}});
  build.span({.id = 1, .name = "a", .start_ns = 1, .end_ns = 100});
  build.span({.id = 2, .parent = 1, .name = "b", .start_ns = 2, .end_ns = 90});
  build.span({.id = 3, .parent = 2, .name = "c", .start_ns = 3, .end_ns = 80});
  build.attribute("deep", Static::of_bool(true));
  build.span({.id = 4, .parent = 3, .name = "d", .start_ns = 4, .end_ns = 70});
  build.span({.id = 5, .parent = 1, .name = "b", .start_ns = 5, .end_ns = 60});
  build.span({.id = 6, .parent = 99, .name = "c", .start_ns = 6, .end_ns = 50});
  return std::move(build).batch();
}

TempoResult<std::optional<TraceFilter>> read(const std::string& query) {
  net::Request request;
  request.raw_query = query;
  const auto parameters = TempoParameters::read(request);
  EXPECT_TRUE(parameters);
  return read_trace_filter(*parameters);
}

/// Ids of the spans that are left.
std::string left(const std::string& query) {
  auto filter = read(query);
  EXPECT_TRUE(filter) << (filter ? "" : filter.error().message);
  if (!filter || !*filter) return "no filter";
  telemetry::SpanBatch trace = tree();
  const auto dropped = apply(**filter, trace);
  EXPECT_TRUE(dropped);
  EXPECT_EQ(*dropped, trace.spans.size() < 6);
  std::string ids;
  for (const auto& span : trace.spans) ids += fmt::format("{}", span.span_id);
  return ids;
}

std::string refusal(const std::string& query) {
  const auto filter = read(query);
  EXPECT_FALSE(filter);
  if (filter) return "";
  EXPECT_EQ(filter.error().status, 400);
  return filter.error().message;
}

TEST(TempoTraceFilter, KeepsWhatMatches) {
  EXPECT_EQ(left("q=%7Bname%3D%22b%22%7D"), "25");
  EXPECT_EQ(left("q=%7Bspan.deep%3Dtrue%7D"), "3");
  EXPECT_EQ(left("q=%7B%7D"), "123456");
  EXPECT_EQ(left("q=%7Bname%3D%22x%22%7D"), "");
  EXPECT_EQ(left("start=1"), "no filter");
}

TEST(TempoTraceFilter, KeepsWhatIsAroundIt) {
  const std::string c = "q=%7Bname%3D%22c%22%7D";
  EXPECT_EQ(left(c), "36");
  EXPECT_EQ(left(c + "&keep_hierarchy=true"), "1236");
  EXPECT_EQ(left(c + "&keep_hierarchy=true&ancestor_depth=1"), "236");
  EXPECT_EQ(left(c + "&keep_hierarchy=true&ancestor_depth=0"), "36");
  EXPECT_EQ(left(c + "&ancestor_depth=1"), "36") << "only with keep_hierarchy";
  EXPECT_EQ(left(c + "&match_depth=1"), "346");
  EXPECT_EQ(left("q=%7Bname%3D%22a%22%7D&match_depth=1"), "125");
  EXPECT_EQ(left("q=%7Bname%3D%22a%22%7D&match_depth=-1"), "12345");
}

TEST(TempoTraceFilter, SurvivesACycleOfParents) {
  SpanBuilder build;
  build.span({.id = 1, .parent = 2, .name = "a"});
  build.span({.id = 2, .parent = 1, .name = "b"});
  build.span({.id = 3, .parent = 3, .name = "self"});
  telemetry::SpanBatch trace = std::move(build).batch();
  auto filter = read("q=%7Bname%3D%22a%22%7D&keep_hierarchy=1&match_depth=-1");
  ASSERT_TRUE(filter && *filter);
  const auto dropped = apply(**filter, trace);
  ASSERT_TRUE(dropped);
  EXPECT_TRUE(*dropped);
  EXPECT_EQ(trace.spans.size(), 2U);
}

TEST(TempoTraceFilter, RefusesInTemposWords) {
  EXPECT_TRUE(refusal("q=%7Bname%3D")
                  .starts_with("failed to parse TraceQL spanset filter: parse error at line 1"));
  EXPECT_EQ(refusal("q=%7B%7D%7Crate()"),
            "only a single TraceQL filter is supported: got a metrics query");
  EXPECT_EQ(refusal("q=%7B%7D%3E%7B%7D"),
            "only a single TraceQL filter is supported: got a structural or aggregate query");
  EXPECT_EQ(
      refusal("q=%7B%7D%7Ccount()%3E1"),
      "only a single TraceQL filter is supported: got a multi-stage pipeline or metrics query");
  EXPECT_EQ(refusal("q=%7Btrace:duration%3E1s%7D"),
            "intrinsic is not supported by this filter: \"trace:duration\"");
  EXPECT_EQ(refusal("q=%7B%7D&match_depth=-2"), "invalid value for match_depth: must be >= -1");
  EXPECT_EQ(refusal("q=%7B%7D&ancestor_depth=-2"),
            "invalid value for ancestor_depth: must be >= -1");
}

}  // namespace
}  // namespace gantry::api
