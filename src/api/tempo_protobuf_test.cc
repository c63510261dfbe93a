// Tempo's answers as protobuf say what the JSON ones say. Decoded field by field, with the numbers
// of grafana/tempo, pkg/tempopb/tempo.proto.

#include "api/tempo_protobuf.h"

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gantry::api {
namespace {

using traceql::Static;

/// Length-delimited fields by number; numbers as decimals.
using Fields = std::multimap<std::uint32_t, std::string>;

std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
  ADD_FAILURE() << "a varint without end";
  return value;
}

Fields read(std::string_view bytes) {
  Fields fields;
  while (!bytes.empty()) {
    const std::uint64_t tag = take_varint(bytes);
    const auto number = static_cast<std::uint32_t>(tag >> 3);
    if ((tag & 7) == 0) {
      fields.emplace(number, std::to_string(take_varint(bytes)));
      continue;
    }
    const std::size_t size = (tag & 7) == 1 ? 8 : take_varint(bytes);
    if (size > bytes.size()) {
      ADD_FAILURE() << "field " << number << " is cut short";
      break;
    }
    std::string content(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if ((tag & 7) == 1) {
      double value = 0;
      std::memcpy(&value, content.data(), sizeof value);
      content = fmt::format("{}", value);
    }
    fields.emplace(number, std::move(content));
  }
  return fields;
}

std::string one(const Fields& fields, std::uint32_t number) {
  EXPECT_EQ(fields.count(number), 1U) << "field " << number;
  return fields.contains(number) ? fields.find(number)->second : "";
}

traceql::SearchStatistics statistics() {
  return {.inspected_traces = 3,
          .inspected_spans = 9,
          .inspected_bytes = 77,
          .total_groups = 2,
          .completed_groups = 2,
          .total_bytes = 500};
}

TEST(TempoProtobuf, Search) {
  traceql::SearchAnswer answer;
  traceql::FoundTrace trace;
  trace.trace_id.bytes[15] = 0xa1;
  trace.has_root = true;
  trace.root_service = "shop";
  trace.root_name = "GET /";
  trace.start_ns = 1'700'000'000'000'000'000;
  trace.duration_ns = 5'000'000;
  trace.services["shop"] = {.spans = 2, .errors = 1};
  traceql::FoundSpanset set{.matched = 1};
  set.spans.push_back({.span_id = 0x1f,
                       .name = "GET /",
                       .start_ns = 7,
                       .duration_ns = 8,
                       .attributes = {{.key = "status", .value = Static::of_status(2)},
                                      {.key = "n", .value = Static::of_int(-4)}}});
  set.attributes.push_back({.key = "count()", .value = Static::of_int(1)});
  trace.spansets.push_back(set);
  answer.traces.push_back(trace);

  const Fields fields = read(search_protobuf(answer, statistics()));
  const Fields found = read(one(fields, 1));
  EXPECT_EQ(one(found, 1), "a1");
  EXPECT_EQ(one(found, 2), "shop");
  EXPECT_EQ(one(found, 3), "GET /");
  EXPECT_EQ(one(found, 4), "1700000000000000000");
  EXPECT_EQ(one(found, 5), "5");
  EXPECT_EQ(one(found, 6), one(found, 7)) << "spanSet is the first of spanSets";
  const Fields entry = read(one(found, 8));
  EXPECT_EQ(one(entry, 1), "shop");
  EXPECT_EQ(one(read(one(entry, 2)), 1), "2");
  EXPECT_EQ(one(read(one(entry, 2)), 2), "1");
  const Fields spanset = read(one(found, 7));
  EXPECT_EQ(one(spanset, 2), "1");
  const Fields span = read(one(spanset, 1));
  EXPECT_EQ(one(span, 1), "000000000000001f");
  EXPECT_EQ(one(span, 2), "GET /");
  EXPECT_EQ(one(span, 3), "7");
  EXPECT_EQ(one(span, 4), "8");
  ASSERT_EQ(span.count(5), 2U);
  const Fields status = read(span.find(5)->second);
  EXPECT_EQ(one(status, 1), "status");
  EXPECT_EQ(one(read(one(status, 2)), 1), "error");
  const Fields number = read(std::next(span.find(5))->second);
  EXPECT_EQ(static_cast<std::int64_t>(std::stoull(one(read(one(number, 2)), 3))), -4);
  const Fields metrics = read(one(fields, 2));
  EXPECT_EQ(one(metrics, 1), "3");
  EXPECT_EQ(one(metrics, 2), "77");
  EXPECT_EQ(one(metrics, 7), "9");
}

TEST(TempoProtobuf, ATraceWithoutItsRootSaysSo) {
  traceql::SearchAnswer answer;
  answer.traces.emplace_back();
  const Fields found = read(one(read(search_protobuf(answer, {})), 1));
  EXPECT_EQ(one(found, 2), "<root span not yet received>");
  EXPECT_FALSE(found.contains(3));
}

TEST(TempoProtobuf, Metrics) {
  traceql::MetricsAnswer answer;
  traceql::MetricsSeries series;
  series.labels = {{.key = "p", .value = Static::of_float(0.9)}};
  series.samples = {{1000, 0.5}, {2000, std::nan("")}, {3000, 0}};
  series.exemplars = {{.labels = {{.key = "trace:id", .value = Static::of_string("a1")}},
                       .value = 0.25,
                       .timestamp_ms = 1500}};
  answer.series = {series, {.labels = {}, .samples = {{1000, std::nan("")}}, .exemplars = {}}};

  const Fields fields = read(range_protobuf(answer, statistics(), "cut"));
  const Fields written = read(one(fields, 1));
  EXPECT_EQ(one(read(one(read(one(written, 1)), 2)), 4), "0.9");
  ASSERT_EQ(written.count(2), 2U) << "no NaN";
  const Fields sample = read(written.find(2)->second);
  EXPECT_EQ(one(sample, 1), "0.5");
  EXPECT_EQ(one(sample, 2), "1000");
  const Fields exemplar = read(one(written, 4));
  EXPECT_EQ(one(exemplar, 2), "0.25");
  EXPECT_EQ(one(exemplar, 3), "1500");
  EXPECT_EQ(one(fields, 3), "1") << "PARTIAL";
  EXPECT_EQ(one(fields, 4), "cut");

  answer.series.resize(1);
  answer.series[0].samples.resize(1);
  const Fields instant = read(one(read(instant_protobuf(answer, {}, "")), 1));
  EXPECT_EQ(one(instant, 2), "0.5");
}

TEST(TempoProtobuf, Tags) {
  const Fields names = read(tag_names_protobuf({"a", "b"}, statistics()));
  EXPECT_EQ(names.count(1), 2U);
  EXPECT_EQ(one(read(one(names, 2)), 1), "77");
  const Fields scopes = read(tag_scopes_protobuf(
      {{.name = "span", .tags = {"a", "b"}}, {.name = "link", .tags = {}}}, {}));
  const Fields scope = read(one(scopes, 1));
  EXPECT_EQ(one(scope, 1), "span");
  EXPECT_EQ(scope.count(2), 2U);
  const std::vector<Static> values = {Static::of_duration(1'500'000'000), Static::of_int(7)};
  const Fields bare = read(tag_values_protobuf(values, {}));
  EXPECT_EQ(bare.find(1)->second, "1.5s");
  const Fields typed = read(typed_tag_values_protobuf(values, {}));
  EXPECT_EQ(one(read(typed.find(1)->second), 1), "duration");
  EXPECT_EQ(one(read(std::next(typed.find(1))->second), 2), "7");
}

}  // namespace
}  // namespace gantry::api
