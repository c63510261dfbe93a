#include "broadcast/span_views.h"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "codec/otlp_traces.h"

namespace gantry::broadcast {
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

void add_span(SpanBatch& batch, std::uint8_t trace, Attributes attributes,
              std::string_view name = "s") {
  telemetry::BatchSpan span{.span_id = batch.spans.size() + 1};
  span.trace_id.bytes.back() = trace;
  span.name = name;
  span.attributes = add_attributes(batch, attributes);
  if (!batch.resources.empty())
    span.resource = static_cast<std::uint32_t>(batch.resources.size() - 1);
  batch.spans.push_back(span);
}

struct Item {
  std::vector<std::uint8_t> traces;
  std::uint32_t spans = 0;
};

std::vector<Item> items_of(const SpanBatch& batch, const std::vector<bool>& kept,
                           std::size_t bytes_max) {
  std::vector<Item> items;
  encode_items(batch, group_by_trace(batch, GroupFields::Read), kept, bytes_max,
               [&](std::string_view payload, std::uint32_t spans) {
                 codec::OtlpTracesDecoder decoder;
                 EXPECT_TRUE(decoder.decode_protobuf(payload, codec::kNoOtlpTracesLimits));
                 EXPECT_EQ(decoder.batch().spans.size(), spans);
                 Item item{.spans = spans};
                 for (const auto& span : decoder.batch().spans)
                   item.traces.push_back(span.trace_id.bytes.back());
                 items.push_back(std::move(item));
               });
  return items;
}

TEST(SpanViews, KeepsTracesTogetherWithinTheLimit) {
  SpanBatch batch;
  batch.resources.resize(1);
  batch.scopes.resize(1);
  const std::string name(1000, 'n');
  for (const std::uint8_t trace : {1, 2, 1, 2, 3}) add_span(batch, trace, {}, name);
  const std::vector<bool> all(3, true);
  ASSERT_EQ(items_of(batch, all, 1 << 20).size(), 1U);
  const auto items = items_of(batch, all, 2500);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0].traces, (std::vector<std::uint8_t>{1, 1}));
  EXPECT_EQ(items[1].traces, (std::vector<std::uint8_t>{2, 2}));
  EXPECT_EQ(items[2].traces, (std::vector<std::uint8_t>{3}));
  EXPECT_EQ(items_of(batch, all, 1).size(), 5U) << "every span is too large, and none is lost";
  const auto some = items_of(batch, {false, true, false}, 1 << 20);
  ASSERT_EQ(some.size(), 1U);
  EXPECT_EQ(some[0].traces, (std::vector<std::uint8_t>{2, 2}));
  EXPECT_TRUE(items_of(batch, {false, false, false}, 1 << 20).empty());
}

TEST(SpanViews, GivesOutTheRequestAsItCame) {
  SpanBatch batch;
  batch.resources.resize(1);
  batch.scopes.resize(1);
  add_span(batch, 1, {});
  batch.otlp = "as it came";
  std::string given;
  const ItemSink sink = [&](std::string_view payload, std::uint32_t) { given = payload; };
  encode_items(batch, group_by_trace(batch, GroupFields::Read), {true}, 1 << 20, sink);
  EXPECT_EQ(given, "as it came");
  encode_items(batch, group_by_trace(batch, GroupFields::Read), {true}, 4, sink);
  EXPECT_NE(given, "as it came") << "it is too large";
}

TEST(SpanViews, SetsTheSamplingRateOfEachResource) {
  SpanBatch from;
  add_resource(from, {{.key = "service.name", .value = text("a")},
                      {.key = kSamplingRateKey, .value = integer(7)}});
  add_resource(from, {});
  from.otlp = "whole";
  SpanBatch batch;
  share_parts(from, batch);
  EXPECT_EQ(batch.otlp, "");
  set_sampling_rate(batch, 0.25);
  ASSERT_EQ(batch.resources.size(), 2U);
  const auto first = batch.attributes_of(batch.resources[0].attributes);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].key, "service.name");
  EXPECT_EQ(first[1].key, kSamplingRateKey);
  EXPECT_EQ(first[1].value.number, 0.25);
  EXPECT_EQ(batch.attributes_of(batch.resources[1].attributes).size(), 1U);
  EXPECT_EQ(from.attributes.size(), 2U) << "the batch that it was made of is as it was";
}

}  // namespace
}  // namespace gantry::broadcast
