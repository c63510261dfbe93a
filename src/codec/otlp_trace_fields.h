#pragma once

// Field numbers of opentelemetry/proto/trace/v1 and collector/trace/v1.

#include <cstdint>

namespace gantry::codec::otlp {

/// ExportTraceServiceRequest; TracesData and Tempo's Trace are the same on the wire.
enum class ExportTraceServiceRequest : std::uint32_t { ResourceSpans = 1 };
enum class ResourceSpans : std::uint32_t { Resource = 1, ScopeSpans = 2, SchemaUrl = 3 };
enum class ScopeSpans : std::uint32_t { Scope = 1, Spans = 2, SchemaUrl = 3 };
enum class Span : std::uint32_t {
  TraceId = 1,
  SpanId = 2,
  TraceState = 3,
  ParentSpanId = 4,
  Name = 5,
  Kind = 6,
  StartTimeUnixNano = 7,
  EndTimeUnixNano = 8,
  Attributes = 9,
  DroppedAttributesCount = 10,
  Events = 11,
  DroppedEventsCount = 12,
  Links = 13,
  DroppedLinksCount = 14,
  Status = 15,
  Flags = 16,
};
enum class Event : std::uint32_t {
  TimeUnixNano = 1,
  Name = 2,
  Attributes = 3,
  DroppedAttributesCount = 4,
};
enum class Link : std::uint32_t {
  TraceId = 1,
  SpanId = 2,
  TraceState = 3,
  Attributes = 4,
  DroppedAttributesCount = 5,
  Flags = 6,
};
enum class Status : std::uint32_t { Message = 2, Code = 3 };

}  // namespace gantry::codec::otlp
