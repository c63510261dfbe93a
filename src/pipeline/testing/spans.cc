#include "pipeline/testing/spans.h"

namespace gantry::pipeline::testing {

telemetry::BatchSlice SpanBatchBuilder::add(const TextAttributes& attributes) {
  const auto begin = static_cast<std::uint32_t>(batch_.attributes.size());
  for (const auto& [key, value] : attributes) {
    batch_.attributes.push_back(
        {.key = key, .value = {.kind = telemetry::AttributeValue::Kind::String, .text = value}});
  }
  return {.begin = begin, .count = static_cast<std::uint32_t>(attributes.size())};
}

SpanBatchBuilder& SpanBatchBuilder::resource(const TextAttributes& attributes) {
  if (batch_.scopes.empty()) batch_.scopes.emplace_back();
  batch_.resources.push_back({.attributes = add(attributes)});
  return *this;
}

SpanBatchBuilder& SpanBatchBuilder::span(const SpanSpec& spec) {
  telemetry::BatchSpan span;
  for (std::size_t i = 0; i < 8; ++i) {
    span.trace_id.bytes[15 - i] = static_cast<std::uint8_t>(spec.trace >> (8 * i));
  }
  span.span_id = spec.id;
  span.parent_id = spec.parent;
  span.start_ns = 1'700'000'000'000'000'000;
  span.end_ns = span.start_ns + static_cast<std::uint64_t>(spec.seconds * 1e9);
  span.resource = static_cast<std::uint32_t>(batch_.resources.size() - 1);
  span.kind = spec.kind;
  span.status = spec.status;
  span.name = spec.name;
  span.attributes = add(spec.attributes);
  batch_.spans.push_back(span);
  return *this;
}

}  // namespace gantry::pipeline::testing
