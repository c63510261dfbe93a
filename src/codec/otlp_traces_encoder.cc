#include "codec/otlp_traces_encoder.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include <protozero/pbf_builder.hpp>
#include <protozero/pbf_writer.hpp>

#include "codec/otlp_fields.h"
#include "codec/otlp_trace_fields.h"
#include "codec/otlp_values.h"

namespace gantry::codec {
namespace {

using telemetry::BatchSlice;
using telemetry::BatchSpan;
using telemetry::SpanBatch;

template <class Field>
using Builder = protozero::basic_pbf_builder<std::string, Field>;

std::array<char, 8> big_endian(telemetry::SpanId id) {
  std::array<char, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>((id >> (56 - 8 * i)) & 0xffU);
  return bytes;
}

template <class Field>
void add_span_id(Builder<Field>& out, Field field, telemetry::SpanId id) {
  const auto bytes = big_endian(id);
  out.add_bytes(field, bytes.data(), bytes.size());
}

template <class Field>
void add_trace_id(Builder<Field>& out, Field field, const telemetry::TraceId& id) {
  out.add_bytes(field, reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

template <class Field>
void add_text(Builder<Field>& out, Field field, std::string_view text) {
  if (!text.empty()) out.add_string(field, text.data(), text.size());
}

template <class Field>
void add_count(Builder<Field>& out, Field field, std::uint32_t count) {
  if (count != 0) out.add_uint32(field, count);
}

/// Writes the messages of one batch; keeps scratch strings between them.
class Encoder {
 public:
  Encoder(const SpanBatch& batch, EmptyResource empty) : batch_(batch), empty_(empty) {}

  void add_resource_spans(std::string& out, std::span<const std::uint32_t> spans) {
    using otlp::ResourceSpans;
    const telemetry::BatchResource& resource =
        batch_.resources[batch_.spans[spans.front()].resource];
    std::string bytes;
    Builder<ResourceSpans> message(bytes);
    message.add_message(ResourceSpans::Resource, encode_resource(resource));
    while (!spans.empty()) {
      const std::uint32_t scope = batch_.spans[spans.front()].scope;
      const auto end = std::ranges::find_if(
          spans, [&](std::uint32_t i) { return batch_.spans[i].scope != scope; });
      const auto count = static_cast<std::size_t>(end - spans.begin());
      message.add_message(ResourceSpans::ScopeSpans, encode_scope_spans(spans.first(count)));
      spans = spans.subspan(count);
    }
    add_text(message, ResourceSpans::SchemaUrl, resource.schema_url);
    protozero::basic_pbf_builder<std::string, otlp::ExportTraceServiceRequest>(out).add_message(
        otlp::ExportTraceServiceRequest::ResourceSpans, bytes);
  }

 private:
  template <class Field>
  void add_attribute(Builder<Field>& out, Field field, std::string_view key,
                     const telemetry::AttributeValue& value) {
    value_.clear();
    append_attribute_value(value_, value);
    attribute_.clear();
    Builder<otlp::KeyValue> message(attribute_);
    message.add_string(otlp::KeyValue::Key, key.data(), key.size());
    message.add_message(otlp::KeyValue::Value, value_);
    out.add_message(field, attribute_);
  }

  template <class Field>
  void add_attributes(Builder<Field>& out, Field field, BatchSlice list) {
    for (const telemetry::SpanAttribute& attribute : batch_.attributes_of(list))
      add_attribute(out, field, attribute.key, attribute.value);
  }

  std::string encode_resource(const telemetry::BatchResource& resource) {
    using otlp::Resource;
    std::string bytes;
    Builder<Resource> message(bytes);
    add_attributes(message, Resource::Attributes, resource.attributes);
    if (resource.attributes.count == 0 && empty_ == EmptyResource::Name)
      add_attribute(message, Resource::Attributes, "service.name",
                    {.kind = telemetry::AttributeValue::Kind::String, .text = "unknown_service"});
    add_count(message, Resource::DroppedAttributesCount, resource.dropped_attributes);
    return bytes;
  }

  std::string encode_scope_spans(std::span<const std::uint32_t> spans) {
    using otlp::ScopeSpans;
    const telemetry::BatchScope& scope = batch_.scopes[batch_.spans[spans.front()].scope];
    std::string bytes;
    Builder<ScopeSpans> message(bytes);
    message.add_message(ScopeSpans::Scope, encode_scope(scope));
    for (const std::uint32_t i : spans) {
      encode_span(batch_.spans[i]);
      message.add_message(ScopeSpans::Spans, span_);
    }
    add_text(message, ScopeSpans::SchemaUrl, scope.schema_url);
    return bytes;
  }

  std::string encode_scope(const telemetry::BatchScope& scope) {
    using otlp::InstrumentationScope;
    std::string bytes;
    Builder<InstrumentationScope> message(bytes);
    add_text(message, InstrumentationScope::Name, scope.name);
    add_text(message, InstrumentationScope::Version, scope.version);
    add_attributes(message, InstrumentationScope::Attributes, scope.attributes);
    add_count(message, InstrumentationScope::DroppedAttributesCount, scope.dropped_attributes);
    return bytes;
  }

  /// Hot: per span. Replaces `span_`.
  void encode_span(const BatchSpan& span) {
    using otlp::Span;
    span_.clear();
    Builder<Span> message(span_);
    add_trace_id(message, Span::TraceId, span.trace_id);
    add_span_id(message, Span::SpanId, span.span_id);
    add_text(message, Span::TraceState, span.trace_state);
    if (span.parent_id != 0) add_span_id(message, Span::ParentSpanId, span.parent_id);
    add_text(message, Span::Name, span.name);
    if (span.kind != telemetry::SpanKind::Unspecified)
      message.add_enum(Span::Kind, static_cast<std::int32_t>(span.kind));
    if (span.start_ns != 0) message.add_fixed64(Span::StartTimeUnixNano, span.start_ns);
    if (span.end_ns != 0) message.add_fixed64(Span::EndTimeUnixNano, span.end_ns);
    add_attributes(message, Span::Attributes, span.attributes);
    add_count(message, Span::DroppedAttributesCount, span.dropped_attributes);
    for (const telemetry::BatchEvent& event : batch_.events_of(span)) add_event(message, event);
    add_count(message, Span::DroppedEventsCount, span.dropped_events);
    for (const telemetry::BatchLink& link : batch_.links_of(span)) add_link(message, link);
    add_count(message, Span::DroppedLinksCount, span.dropped_links);
    add_status(message, span);
    if (span.flags != 0) message.add_fixed32(Span::Flags, span.flags);
  }

  void add_event(Builder<otlp::Span>& out, const telemetry::BatchEvent& event) {
    using otlp::Event;
    part_.clear();
    Builder<Event> message(part_);
    if (event.time_ns != 0) message.add_fixed64(Event::TimeUnixNano, event.time_ns);
    add_text(message, Event::Name, event.name);
    add_attributes(message, Event::Attributes, event.attributes);
    add_count(message, Event::DroppedAttributesCount, event.dropped_attributes);
    out.add_message(otlp::Span::Events, part_);
  }

  void add_link(Builder<otlp::Span>& out, const telemetry::BatchLink& link) {
    using otlp::Link;
    part_.clear();
    Builder<Link> message(part_);
    add_trace_id(message, Link::TraceId, link.trace_id);
    add_span_id(message, Link::SpanId, link.span_id);
    add_text(message, Link::TraceState, link.trace_state);
    add_attributes(message, Link::Attributes, link.attributes);
    add_count(message, Link::DroppedAttributesCount, link.dropped_attributes);
    if (link.flags != 0) message.add_fixed32(Link::Flags, link.flags);
    out.add_message(otlp::Span::Links, part_);
  }

  void add_status(Builder<otlp::Span>& out, const BatchSpan& span) {
    using otlp::Status;
    part_.clear();
    Builder<Status> message(part_);
    add_text(message, Status::Message, span.status_message);
    if (span.status != telemetry::SpanStatus::Unset)
      message.add_enum(Status::Code, static_cast<std::int32_t>(span.status));
    out.add_message(otlp::Span::Status, part_);
  }

  const SpanBatch& batch_;
  EmptyResource empty_;
  std::string span_;
  std::string part_;  ///< Of the span: an event, a link or the status.
  std::string attribute_;
  std::string value_;
};

}  // namespace

std::vector<std::uint32_t> spans_by_scope(const SpanBatch& batch) {
  std::vector<std::uint32_t> order(batch.spans.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [&](std::uint32_t i) {
    const BatchSpan& span = batch.spans[i];
    return std::tuple(span.resource, span.scope, i);
  });
  return order;
}

std::string encode_otlp_traces(const SpanBatch& batch, EmptyResource empty) {
  const std::vector<std::uint32_t> order = spans_by_scope(batch);
  std::string out;
  Encoder encoder(batch, empty);
  for (std::span<const std::uint32_t> rest(order); !rest.empty();) {
    const std::uint32_t resource = batch.spans[rest.front()].resource;
    const auto end = std::ranges::find_if(
        rest, [&](std::uint32_t i) { return batch.spans[i].resource != resource; });
    const auto count = static_cast<std::size_t>(end - rest.begin());
    encoder.add_resource_spans(out, rest.first(count));
    rest = rest.subspan(count);
  }
  return out;
}

}  // namespace gantry::codec
