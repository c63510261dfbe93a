#include "pipeline/span_size.h"

#include <bit>
#include <string_view>

namespace gantry::pipeline {

namespace {

/// Of a field number below 16, which one byte holds together with its type.
constexpr std::uint64_t kTag = 1;
constexpr std::uint64_t kTraceId = kTag + 1 + 16;
constexpr std::uint64_t kSpanId = kTag + 1 + 8;
constexpr std::uint64_t kFixed64 = kTag + 8;
constexpr std::uint64_t kFixed32 = kTag + 4;

std::uint64_t varint(std::uint64_t value) {
  return value == 0 ? 1 : (static_cast<std::uint64_t>(std::bit_width(value)) + 6) / 7;
}

/// A length-delimited field.
std::uint64_t delimited(std::uint64_t size) {
  return kTag + varint(size) + size;
}

std::uint64_t text(std::string_view value) {
  return value.empty() ? 0 : delimited(value.size());
}

std::uint64_t count(std::uint32_t value) {
  return value == 0 ? 0 : kTag + varint(value);
}

std::uint64_t any_value(const telemetry::AttributeValue& value) {
  using Kind = telemetry::AttributeValue::Kind;
  switch (value.kind) {
    case Kind::String:
      return delimited(value.text.size());
    case Kind::Bool:
      return kTag + 1;
    case Kind::Int:
      return kTag + varint(static_cast<std::uint64_t>(value.integer));
    case Kind::Double:
      return kFixed64;
    case Kind::Encoded:
      break;
  }
  return value.text.size();
}

std::uint64_t attributes(const telemetry::SpanBatch& batch, telemetry::BatchSlice slice) {
  std::uint64_t size = 0;
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(slice)) {
    size += delimited(delimited(attribute.key.size()) + delimited(any_value(attribute.value)));
  }
  return size;
}

std::uint64_t event_size(const telemetry::SpanBatch& batch, const telemetry::BatchEvent& event) {
  return (event.time_ns == 0 ? 0 : kFixed64) + text(event.name) +
         attributes(batch, event.attributes) + count(event.dropped_attributes);
}

std::uint64_t link_size(const telemetry::SpanBatch& batch, const telemetry::BatchLink& link) {
  return kTraceId + kSpanId + text(link.trace_state) + attributes(batch, link.attributes) +
         count(link.dropped_attributes) + (link.flags == 0 ? 0 : kFixed32);
}

}  // namespace

std::uint64_t span_size_bytes(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span) {
  std::uint64_t size = kTraceId + kSpanId + text(span.trace_state) + text(span.name);
  if (span.parent_id != 0) size += kSpanId;
  if (span.kind != telemetry::SpanKind::Unspecified) size += kTag + 1;
  if (span.start_ns != 0) size += kFixed64;
  if (span.end_ns != 0) size += kFixed64;
  size += attributes(batch, span.attributes) + count(span.dropped_attributes);
  for (const telemetry::BatchEvent& event : batch.events_of(span)) {
    size += delimited(event_size(batch, event));
  }
  size += count(span.dropped_events);
  for (const telemetry::BatchLink& link : batch.links_of(span)) {
    size += delimited(link_size(batch, link));
  }
  size += count(span.dropped_links);
  const std::uint64_t code = span.status == telemetry::SpanStatus::Unset ? 0 : kTag + 1;
  size += delimited(text(span.status_message) + code);
  // Field 16 takes a tag of two bytes.
  if (span.flags != 0) size += 1 + kFixed32;
  return size;
}

}  // namespace gantry::pipeline
