#include "pipeline/trace_groups.h"

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::pipeline {
namespace {

using telemetry::AttributeValue;
using telemetry::SpanBatch;

AttributeValue text(std::string_view value) {
  return {.kind = AttributeValue::Kind::String, .text = value};
}

AttributeValue integer(std::int64_t value) {
  return {.kind = AttributeValue::Kind::Int, .integer = value};
}

using Attributes = std::initializer_list<telemetry::SpanAttribute>;

telemetry::BatchSlice add_attributes(SpanBatch& batch, Attributes attributes) {
  const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
  batch.attributes.insert(batch.attributes.end(), attributes);
  return {.begin = begin, .count = static_cast<std::uint32_t>(attributes.size())};
}

void add_resource(SpanBatch& batch, Attributes attributes) {
  batch.resources.push_back({.attributes = add_attributes(batch, attributes)});
}

void add_span(SpanBatch& batch, std::uint8_t trace, Attributes attributes) {
  telemetry::BatchSpan span{.span_id = batch.spans.size() + 1};
  span.trace_id.bytes.back() = trace;
  span.attributes = add_attributes(batch, attributes);
  if (!batch.resources.empty())
    span.resource = static_cast<std::uint32_t>(batch.resources.size() - 1);
  batch.spans.push_back(span);
}

TEST(TraceGroups, GroupsByTraceAndKnowsTheFields) {
  SpanBatch batch;
  add_resource(batch, {{.key = "session.id", .value = text("of-resource")}});
  batch.scopes.emplace_back();
  add_span(batch, 1, {{.key = "user.id", .value = text("u-1")}});
  add_span(batch, 2, {{.key = "session.id", .value = text("s-2")}});
  add_span(batch, 1,
           {{.key = "gen_ai.request.model", .value = text("asked")},
            {.key = "gen_ai.response.model", .value = text("served")},
            {.key = "gen_ai.usage.input_tokens", .value = integer(25)},
            {.key = "user.id", .value = text("u-2")}});
  const std::vector<TraceGroup> groups = group_by_trace(batch, GroupFields::Read);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].spans, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(groups[0].fields.model, "served");
  EXPECT_EQ(groups[0].fields.user_id, "u-1") << "that of the first span that has one";
  EXPECT_EQ(groups[0].fields.prompt_tokens, 25);
  EXPECT_EQ(groups[0].fields.session_id, "of-resource");
  EXPECT_EQ(groups[0].fields.finish_reason, std::nullopt);
  EXPECT_EQ(groups[1].fields.session_id, "s-2");
  EXPECT_EQ(group_by_trace(batch, GroupFields::Skip)[0].fields.model, std::nullopt);
  EXPECT_EQ(trace_id_hex(groups[1].trace_id), "00000000000000000000000000000002");
}

}  // namespace
}  // namespace gantry::pipeline
