#include "traceql/testing/span_builder.h"

#include "core/error.h"
#include "traceql/testing/any_value_encoder.h"

namespace gantry::traceql::testing {

using telemetry::AttributeValue;

telemetry::TraceId trace_id(std::uint64_t number) {
  telemetry::TraceId id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return id;
}

void SpanBuilder::add(telemetry::BatchSlice& slice, std::string_view key, const Static& value) {
  GANTRY_ASSERT(slice.count == 0 || slice.begin + slice.count == batch_.attributes.size(),
                "attributes of a span come one after the other");
  if (slice.count == 0) slice.begin = static_cast<std::uint32_t>(batch_.attributes.size());
  AttributeValue out;
  switch (value.type) {
    case StaticType::String:
      out.kind = AttributeValue::Kind::String;
      out.text = batch_.arena.copy(value.text);
      break;
    case StaticType::Int:
      out.kind = AttributeValue::Kind::Int;
      out.integer = value.integer;
      break;
    case StaticType::Float:
      out.kind = AttributeValue::Kind::Double;
      out.number = value.number;
      break;
    case StaticType::Bool:
      out.kind = AttributeValue::Kind::Bool;
      out.boolean = value.boolean;
      break;
    default:
      out.text = batch_.arena.copy(encode_array(value.elements));
      break;
  }
  batch_.attributes.push_back({.key = batch_.arena.copy(key), .value = out});
  ++slice.count;
}

telemetry::BatchSlice SpanBuilder::add(const Attributes& attributes) {
  telemetry::BatchSlice slice;
  for (const auto& [key, value] : attributes) add(slice, key, value);
  return slice;
}

void SpanBuilder::resource(const Attributes& attributes) {
  batch_.resources.push_back({.attributes = add(attributes)});
}

void SpanBuilder::scope(std::string_view name, std::string_view version,
                        const Attributes& attributes) {
  telemetry::BatchScope scope;
  scope.name = batch_.arena.copy(name);
  scope.version = batch_.arena.copy(version);
  scope.attributes = add(attributes);
  batch_.scopes.push_back(scope);
}

void SpanBuilder::span(const SpanSpec& spec) {
  if (batch_.resources.empty()) resource({});
  if (batch_.scopes.empty()) scope("", "");
  telemetry::BatchSpan span;
  span.trace_id = trace_id(spec.trace);
  span.span_id = spec.id;
  span.parent_id = spec.parent;
  span.start_ns = spec.start_ns;
  span.end_ns = spec.end_ns;
  span.resource = static_cast<std::uint32_t>(batch_.resources.size() - 1);
  span.scope = static_cast<std::uint32_t>(batch_.scopes.size() - 1);
  span.kind = spec.kind;
  span.status = spec.status;
  span.name = batch_.arena.copy(spec.name);
  span.status_message = batch_.arena.copy(spec.status_message);
  batch_.spans.push_back(span);
}

void SpanBuilder::attribute(std::string_view key, const Static& value) {
  add(batch_.spans.back().attributes, key, value);
}

void SpanBuilder::event(std::string_view name, std::uint64_t time_ns,
                        const Attributes& attributes) {
  telemetry::BatchSlice& slice = batch_.spans.back().events;
  if (slice.count == 0) slice.begin = static_cast<std::uint32_t>(batch_.events.size());
  const telemetry::BatchSlice added = add(attributes);
  batch_.events.push_back(
      {.time_ns = time_ns, .name = batch_.arena.copy(name), .attributes = added});
  ++slice.count;
}

void SpanBuilder::link(std::uint64_t trace, telemetry::SpanId span, const Attributes& attributes) {
  telemetry::BatchSlice& slice = batch_.spans.back().links;
  if (slice.count == 0) slice.begin = static_cast<std::uint32_t>(batch_.links.size());
  telemetry::BatchLink link;
  link.trace_id = trace_id(trace);
  link.span_id = span;
  link.attributes = add(attributes);
  batch_.links.push_back(link);
  ++slice.count;
}

telemetry::SpanBatch SpanBuilder::batch() && {
  return std::move(batch_);
}

std::vector<telemetry::SpanBatch> one_batch(SpanBuilder&& builder) {
  return one_batch(std::move(builder).batch());
}

std::vector<telemetry::SpanBatch> one_batch(telemetry::SpanBatch&& batch) {
  std::vector<telemetry::SpanBatch> batches;
  batches.push_back(std::move(batch));
  return batches;
}

}  // namespace gantry::traceql::testing
