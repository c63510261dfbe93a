#pragma once

// Spans as they travel: what a traces codec produces, what a trace store takes, and what it hands
// out again. The shape is OTLP's (opentelemetry/proto/trace/v1), flattened: spans refer to their
// resource and scope by index, and own slices of the batch's attributes, events and links.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/arena.h"

namespace gantry::telemetry {

/// As on the wire: big-endian bytes. All zero is not a valid id.
struct TraceId {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const TraceId&, const TraceId&) = default;
};

/// The eight wire bytes read as a big-endian number; 0: none.
using SpanId = std::uint64_t;

enum class SpanKind : std::uint8_t {  // OTLP's numbers
  Unspecified = 0,
  Internal = 1,
  Server = 2,
  Client = 3,
  Producer = 4,
  Consumer = 5,
};

enum class SpanStatus : std::uint8_t { Unset = 0, Ok = 1, Error = 2 };  // OTLP's numbers

/// OTLP's AnyValue. Values that are not one scalar stay encoded, so that they come back unchanged.
struct AttributeValue {
  enum class Kind : std::uint8_t {
    String,
    Bool,
    Int,
    Double,
    Encoded,  ///< `text` is the AnyValue message: bytes, an array, a key-value list, or nothing.
  };

  Kind kind = Kind::Encoded;
  bool boolean = false;
  std::int64_t integer = 0;
  double number = 0;
  std::string_view text;  ///< Of String and Encoded.
};

struct SpanAttribute {
  std::string_view key;
  AttributeValue value;
};

/// A part of one of the batch's arrays.
struct BatchSlice {
  std::uint32_t begin = 0;
  std::uint32_t count = 0;
};

struct BatchResource {
  BatchSlice attributes;
  std::uint32_t dropped_attributes = 0;
  std::string_view schema_url;  ///< Of the ResourceSpans.
};

struct BatchScope {
  std::string_view name;
  std::string_view version;
  BatchSlice attributes;
  std::uint32_t dropped_attributes = 0;
  std::string_view schema_url;  ///< Of the ScopeSpans.
};

struct BatchEvent {
  std::uint64_t time_ns = 0;
  std::string_view name;
  BatchSlice attributes;
  std::uint32_t dropped_attributes = 0;
};

struct BatchLink {
  TraceId trace_id;
  SpanId span_id = 0;
  std::string_view trace_state;
  BatchSlice attributes;
  std::uint32_t dropped_attributes = 0;
  std::uint32_t flags = 0;
};

struct BatchSpan {
  TraceId trace_id;
  SpanId span_id = 0;
  SpanId parent_id = 0;        ///< 0: a root span.
  std::uint64_t start_ns = 0;  ///< Since the Unix epoch.
  std::uint64_t end_ns = 0;    ///< May be before the start; the duration is then 0.
  std::uint32_t resource = 0;  ///< Index into SpanBatch::resources.
  std::uint32_t scope = 0;     ///< Index into SpanBatch::scopes.
  SpanKind kind = SpanKind::Unspecified;
  SpanStatus status = SpanStatus::Unset;
  std::string_view name;
  std::string_view status_message;
  std::string_view trace_state;
  std::uint32_t flags = 0;
  BatchSlice attributes;
  BatchSlice events;
  BatchSlice links;
  std::uint32_t dropped_attributes = 0;
  std::uint32_t dropped_events = 0;
  std::uint32_t dropped_links = 0;

  [[nodiscard]] std::uint64_t duration_ns() const {
    return end_ns > start_ns ? end_ns - start_ns : 0;
  }
};

/// Text points into the request's body or into `arena`; whoever fills the batch says how long the
/// body lives. Within one attribute list a key occurs once. Reused between requests by `clear`.
struct SpanBatch {
  std::vector<BatchSpan> spans;
  std::vector<BatchResource> resources;
  std::vector<BatchScope> scopes;
  std::vector<BatchEvent> events;
  std::vector<BatchLink> links;
  std::vector<SpanAttribute> attributes;
  core::Arena arena;

  /// An ExportTraceServiceRequest with exactly these spans, if the codec has one at hand (nothing
  /// was refused or cut); else "". As long-lived as the views.
  std::string_view otlp;

  /// Of the request as it came, before decompression limits: for accounting.
  std::uint64_t body_bytes = 0;

  [[nodiscard]] std::span<const SpanAttribute> attributes_of(BatchSlice slice) const {
    return std::span(attributes).subspan(slice.begin, slice.count);
  }

  [[nodiscard]] std::span<const BatchEvent> events_of(const BatchSpan& span) const {
    return std::span(events).subspan(span.events.begin, span.events.count);
  }

  [[nodiscard]] std::span<const BatchLink> links_of(const BatchSpan& span) const {
    return std::span(links).subspan(span.links.begin, span.links.count);
  }

  void clear();
};

/// Copies what `from` refers to into `to`: one span with its resource, scope, events, links and
/// attributes. The resource and scope are added anew; a caller that adds many spans of one resource
/// overwrites `resource` and `scope` of the copy. Returns the copy.
BatchSpan& copy_span(const SpanBatch& from, const BatchSpan& span, SpanBatch& to);

}  // namespace gantry::telemetry
