#include "pipeline/span_size.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "codec/otlp_traces_encoder.h"
#include "codec/otlp_values.h"

namespace gantry::pipeline {
namespace {

using telemetry::AttributeValue;
using telemetry::SpanBatch;

/// The contents of the first length-delimited field `number`.
std::string_view field(std::string_view message, std::uint64_t number) {
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(message.front());
      message.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (!message.empty()) {
    const std::uint64_t tag = varint();
    const std::uint64_t size = varint();
    if (tag == (number << 3 | 2)) return message.substr(0, size);
    message.remove_prefix(size);
  }
  return {};
}

std::size_t encoded_size(const SpanBatch& batch) {
  const std::string bytes = codec::encode_otlp_traces(batch);
  return field(field(field(bytes, 1), 2), 2).size();
}

SpanBatch one_span() {
  SpanBatch batch;
  batch.resources.emplace_back();
  batch.scopes.emplace_back();
  batch.spans.emplace_back();
  batch.spans[0].trace_id.bytes[3] = 7;
  batch.spans[0].span_id = 9;
  return batch;
}

TEST(SpanSize, OfABareSpan) {
  const SpanBatch batch = one_span();
  EXPECT_EQ(span_size_bytes(batch, batch.spans[0]), encoded_size(batch));
}

AttributeValue arbitrary_value(SpanBatch& batch) {
  AttributeValue value;
  value.kind = *rc::gen::element(AttributeValue::Kind::String, AttributeValue::Kind::Bool,
                                 AttributeValue::Kind::Int, AttributeValue::Kind::Double);
  value.text = batch.arena.copy(*rc::gen::arbitrary<std::string>());
  value.boolean = *rc::gen::arbitrary<bool>();
  value.integer = *rc::gen::arbitrary<std::int64_t>();
  value.number = 1.5;
  if (!*rc::gen::arbitrary<bool>()) return value;
  std::string encoded;  // Any message of the size will do.
  codec::append_attribute_value(encoded, value);
  return {.kind = AttributeValue::Kind::Encoded, .text = batch.arena.copy(encoded)};
}

telemetry::BatchSlice arbitrary_attributes(SpanBatch& batch) {
  const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
  const auto count = *rc::gen::inRange<std::uint32_t>(0, 4);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view key = batch.arena.copy(*rc::gen::arbitrary<std::string>());
    batch.attributes.push_back({.key = key, .value = arbitrary_value(batch)});
  }
  return {.begin = begin, .count = count};
}

RC_GTEST_PROP(SpanSize, IsThatOfTheEncodedMessage, ()) {
  SpanBatch batch = one_span();
  const auto text = [&] { return batch.arena.copy(*rc::gen::arbitrary<std::string>()); };
  const auto number = [] { return *rc::gen::element<std::uint32_t>(0, 1, 127, 128, 70'000); };
  telemetry::BatchSpan span = batch.spans[0];
  span.name = text();
  span.trace_state = text();
  span.status_message = text();
  span.parent_id = number();
  span.start_ns = number();
  span.end_ns = number();
  span.kind = *rc::gen::element(telemetry::SpanKind::Unspecified, telemetry::SpanKind::Server);
  span.status = *rc::gen::element(telemetry::SpanStatus::Unset, telemetry::SpanStatus::Error);
  span.flags = number();
  span.dropped_attributes = number();
  span.dropped_events = number();
  span.dropped_links = number();
  span.attributes = arbitrary_attributes(batch);
  span.events = {.begin = 0, .count = *rc::gen::inRange<std::uint32_t>(0, 3)};
  for (std::uint32_t i = 0; i < span.events.count; ++i) {
    batch.events.push_back({.time_ns = number(),
                            .name = text(),
                            .attributes = arbitrary_attributes(batch),
                            .dropped_attributes = number()});
  }
  span.links = {.begin = 0, .count = *rc::gen::inRange<std::uint32_t>(0, 3)};
  for (std::uint32_t i = 0; i < span.links.count; ++i) {
    telemetry::BatchLink link;
    link.trace_state = text();
    link.attributes = arbitrary_attributes(batch);
    link.dropped_attributes = number();
    link.flags = number();
    batch.links.push_back(link);
  }
  batch.spans[0] = span;
  RC_ASSERT(span_size_bytes(batch, batch.spans[0]) == encoded_size(batch));
}

}  // namespace
}  // namespace gantry::pipeline
