#include "codec/otlp_traces.h"

#include <algorithm>
#include <limits>
#include <span>

#include <boost/unordered/unordered_flat_map.hpp>
#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_message.hpp>

#include "codec/otlp_attributes.h"
#include "codec/otlp_fields.h"
#include "codec/otlp_json.h"
#include "codec/otlp_trace_fields.h"
#include "codec/otlp_values.h"

namespace gantry::codec {
namespace {

using protozero::pbf_message;
using protozero::pbf_wire_type;
using telemetry::BatchSlice;
using telemetry::BatchSpan;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;

constexpr std::size_t kTraceIdBytes = 16;
constexpr std::size_t kSpanIdBytes = 8;

/// Stores count nanoseconds in 63 bits: until the year 2262.
constexpr std::uint64_t kTimeMax = std::numeric_limits<std::int64_t>::max();

std::uint32_t index_of(std::size_t size) {
  return static_cast<std::uint32_t>(size);
}

void add_saturating(std::uint32_t& count, std::uint64_t more) {
  const std::uint64_t sum = count + more;
  count = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max()));
}

telemetry::TraceId trace_id_of(std::string_view bytes) {
  telemetry::TraceId id;
  std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

telemetry::SpanId span_id_of(std::string_view bytes) {
  telemetry::SpanId id = 0;
  for (const char c : bytes) id = (id << 8U) | static_cast<unsigned char>(c);
  return id;
}

bool is_trace_id(std::string_view bytes) {
  return bytes.size() == kTraceIdBytes && trace_id_of(bytes) != telemetry::TraceId{};
}

bool is_span_id(std::string_view bytes) {
  return bytes.size() == kSpanIdBytes && span_id_of(bytes) != 0;
}

/// The ids of a span as they came.
struct RawIds {
  std::string_view trace;
  std::string_view span;
  std::string_view parent;
};

/// Why a span with these ids cannot be kept; "" when it can.
std::string describe_bad_ids(const RawIds& ids) {
  if (ids.trace.size() != kTraceIdBytes)
    return fmt::format("trace ids must be 128 bit, got {} bytes", ids.trace.size());
  if (!is_trace_id(ids.trace)) return "the trace id is zero";
  if (ids.span.size() != kSpanIdBytes)
    return fmt::format("span ids must be 64 bit, got {} bytes", ids.span.size());
  if (!is_span_id(ids.span)) return "the span id is zero";
  if (!ids.parent.empty() && ids.parent.size() != kSpanIdBytes)
    return fmt::format("parent span ids must be 64 bit, got {} bytes", ids.parent.size());
  return {};
}

/// At most `bytes_max` bytes, without half a character at the end.
std::string_view cut_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t size = bytes_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) --size;
  return text.substr(0, size);
}

/// How many of `count` fit under a limit, 0 being none.
std::size_t count_within(std::size_t count, std::uint32_t limit) {
  return limit == 0 ? count : std::min<std::size_t>(count, limit);
}

}  // namespace

std::string OtlpTracesOutcome::message() const {
  std::vector<std::string> parts;
  if (rejected_spans > 0)
    parts.push_back(
        fmt::format("{} spans were refused: {}", rejected_spans, fmt::join(errors, "; ")));
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count > 0) parts.push_back(fmt::format("{} {}", count, what));
  };
  add(dropped_attributes,
      "attributes were dropped (limits.attributes_per_span_max, limits.attribute_value_bytes_max)");
  add(cut_attributes, "attribute values were cut (limits.attribute_value_bytes_max)");
  add(dropped_events, "events were dropped (limits.events_per_span_max)");
  add(dropped_links, "links were dropped (invalid ids, or limits.links_per_span_max)");
  return fmt::format("{}", fmt::join(parts, "; "));
}

struct OtlpTracesDecoder::Impl {
  SpanBatch batch;
  OtlpTracesOutcome outcome;
  OtlpTracesOptions options;
  bool is_altered = false;    ///< The batch is not what the body says.
  std::string protobuf_body;  ///< What a JSON body was turned into.
  std::vector<std::string_view> events;
  std::vector<std::string_view> links;

  /// Positions of the keys of the long list that begins at `indexed_begin`.
  boost::unordered_flat_map<std::string_view, std::uint32_t> positions;
  std::uint32_t indexed_begin = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t indexed_count = 0;

  void begin(const OtlpTracesOptions& chosen);
  /// `body_bytes`: of the request as it came, which `body` may have been made from.
  Result<void> decode(std::string_view body, const OtlpTracesOptions& chosen,
                      std::uint64_t body_bytes);
  void decode_resource_spans(std::string_view bytes);
  void decode_scope_spans(std::string_view bytes);
  void add_resource(std::string_view bytes, std::string_view schema_url);
  void add_scope(std::string_view bytes, std::string_view schema_url);
  void decode_span(std::string_view bytes);
  void read_status(std::string_view bytes, BatchSpan& span);
  void read_list_field(pbf_message<otlp::Span>& message, BatchSpan& span);
  void add_events(BatchSpan& span);
  void add_event(std::string_view bytes);
  void add_links(BatchSpan& span);
  bool add_link(std::string_view bytes);
  void add_attribute(BatchSlice& list, std::uint32_t& dropped, std::string_view key_value);
  SpanAttribute* find_attribute(BatchSlice list, std::string_view key);
  void cut_attributes_back(std::uint32_t size);
  void refuse(std::string_view name, std::string_view why);

  std::string_view text(std::string_view raw) {
    ValueState state = ValueState::AsSent;
    const std::string_view valid = valid_text(raw, batch.arena, state);
    if (state != ValueState::AsSent) is_altered = true;
    return valid;
  }

  /// Numbers that OTLP has not given a meaning count as 0.
  template <class Enum, std::int32_t kLargest>
  Enum known_enum(std::int32_t value) {
    const bool is_known = value >= 0 && value <= kLargest;
    if (!is_known) is_altered = true;
    return static_cast<Enum>(is_known ? value : 0);
  }

  std::uint64_t time(std::uint64_t ns) {
    if (ns > kTimeMax) is_altered = true;
    return std::min(ns, kTimeMax);
  }

  [[nodiscard]] BatchSlice empty_list() const {
    return {.begin = index_of(batch.attributes.size())};
  }
};

void OtlpTracesDecoder::Impl::begin(const OtlpTracesOptions& chosen) {
  // One huge request should not cost every thread its memory for ever.
  constexpr std::size_t kAttributesKept = 1 << 18;
  if (batch.attributes.capacity() > kAttributesKept) batch = SpanBatch();
  batch.clear();
  outcome = {};
  options = chosen;
  is_altered = false;
  indexed_begin = std::numeric_limits<std::uint32_t>::max();
}

void OtlpTracesDecoder::Impl::refuse(std::string_view name, std::string_view why) {
  constexpr std::size_t kNameBytesMax = 100;
  is_altered = true;
  ++outcome.rejected_spans;
  if (outcome.errors.size() < OtlpTracesOutcome::kMessagesKept)
    outcome.errors.push_back(fmt::format("span \"{}\": {}", cut_text(name, kNameBytesMax), why));
}

/// Hot: per attribute. Lists are short; a hostile one gets an index.
SpanAttribute* OtlpTracesDecoder::Impl::find_attribute(BatchSlice list, std::string_view key) {
  constexpr std::uint32_t kScannedMax = 32;
  const std::span attributes = std::span(batch.attributes).subspan(list.begin, list.count);
  if (list.count <= kScannedMax) {
    const auto found = std::ranges::find(attributes, key, &SpanAttribute::key);
    return found == attributes.end() ? nullptr : &*found;
  }
  if (indexed_begin != list.begin) {
    positions.clear();
    indexed_begin = list.begin;
    indexed_count = 0;
  }
  for (; indexed_count < list.count; ++indexed_count)
    positions.emplace(attributes[indexed_count].key, indexed_count);
  const auto found = positions.find(key);
  return found == positions.end() ? nullptr : &attributes[found->second];
}

void OtlpTracesDecoder::Impl::cut_attributes_back(std::uint32_t size) {
  batch.attributes.resize(size);
  // The next list may begin at the same place.
  indexed_begin = std::numeric_limits<std::uint32_t>::max();
}

void OtlpTracesDecoder::Impl::add_attribute(BatchSlice& list, std::uint32_t& dropped,
                                            std::string_view key_value) {
  const OtlpAttribute raw = read_attribute(key_value);
  SpanAttribute attribute{.key = text(raw.key)};
  const ValueState state = read_attribute_value(raw.value, batch.arena, attribute.value);
  if (state != ValueState::AsSent) is_altered = true;

  const auto drop = [&] {
    is_altered = true;
    ++outcome.dropped_attributes;
    add_saturating(dropped, 1);
  };
  const bool is_text = attribute.value.kind == telemetry::AttributeValue::Kind::String;
  const std::uint64_t bytes_max = options.attribute_value_bytes_max;
  const bool is_long = bytes_max != 0 && attribute.value.text.size() > bytes_max;
  if (state == ValueState::TooDeep || (is_long && !is_text)) return drop();
  if (is_long) {
    attribute.value.text = cut_text(attribute.value.text, bytes_max);
    is_altered = true;
    ++outcome.cut_attributes;
  }

  if (SpanAttribute* const earlier = find_attribute(list, attribute.key)) {
    is_altered = true;
    earlier->value = attribute.value;
    return;
  }
  if (options.attributes_per_span_max != 0 && list.count >= options.attributes_per_span_max)
    return drop();
  batch.attributes.push_back(attribute);
  ++list.count;
}

void OtlpTracesDecoder::Impl::add_event(std::string_view bytes) {
  using otlp::Event;
  telemetry::BatchEvent event{.attributes = empty_list()};
  for (pbf_message<Event> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(Event::TimeUnixNano, pbf_wire_type::fixed64):
        event.time_ns = time(message.get_fixed64());
        break;
      case tag_and_type(Event::Name, pbf_wire_type::length_delimited):
        event.name = text(message.get_view());
        break;
      case tag_and_type(Event::Attributes, pbf_wire_type::length_delimited):
        add_attribute(event.attributes, event.dropped_attributes, message.get_view());
        break;
      case tag_and_type(Event::DroppedAttributesCount, pbf_wire_type::varint):
        add_saturating(event.dropped_attributes, message.get_uint32());
        break;
      default:
        message.skip();
    }
  }
  batch.events.push_back(event);
}

void OtlpTracesDecoder::Impl::add_events(BatchSpan& span) {
  const std::size_t kept = count_within(events.size(), options.events_per_span_max);
  span.events = {.begin = index_of(batch.events.size()), .count = index_of(kept)};
  for (std::size_t i = 0; i < kept; ++i) add_event(events[i]);
  if (kept == events.size()) return;
  is_altered = true;
  outcome.dropped_events += events.size() - kept;
  add_saturating(span.dropped_events, events.size() - kept);
}

/// False: without valid ids it points nowhere.
bool OtlpTracesDecoder::Impl::add_link(std::string_view bytes) {
  using otlp::Link;
  telemetry::BatchLink link{.attributes = empty_list()};
  std::string_view trace_id;
  std::string_view span_id;
  for (pbf_message<Link> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(Link::TraceId, pbf_wire_type::length_delimited):
        trace_id = message.get_view();
        break;
      case tag_and_type(Link::SpanId, pbf_wire_type::length_delimited):
        span_id = message.get_view();
        break;
      case tag_and_type(Link::TraceState, pbf_wire_type::length_delimited):
        link.trace_state = text(message.get_view());
        break;
      case tag_and_type(Link::Attributes, pbf_wire_type::length_delimited):
        add_attribute(link.attributes, link.dropped_attributes, message.get_view());
        break;
      case tag_and_type(Link::DroppedAttributesCount, pbf_wire_type::varint):
        add_saturating(link.dropped_attributes, message.get_uint32());
        break;
      case tag_and_type(Link::Flags, pbf_wire_type::fixed32):
        link.flags = message.get_fixed32();
        break;
      default:
        message.skip();
    }
  }
  if (!is_trace_id(trace_id) || !is_span_id(span_id)) {
    cut_attributes_back(link.attributes.begin);
    return false;
  }
  link.trace_id = trace_id_of(trace_id);
  link.span_id = span_id_of(span_id);
  batch.links.push_back(link);
  return true;
}

void OtlpTracesDecoder::Impl::add_links(BatchSpan& span) {
  span.links.begin = index_of(batch.links.size());
  const std::size_t within = count_within(links.size(), options.links_per_span_max);
  for (std::size_t i = 0; i < within; ++i)
    if (add_link(links[i])) ++span.links.count;
  const std::size_t dropped = links.size() - span.links.count;
  if (dropped == 0) return;
  is_altered = true;
  outcome.dropped_links += dropped;
  add_saturating(span.dropped_links, dropped);
}

void OtlpTracesDecoder::Impl::read_status(std::string_view bytes, BatchSpan& span) {
  using otlp::Status;
  for (pbf_message<Status> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(Status::Message, pbf_wire_type::length_delimited):
        span.status_message = text(message.get_view());
        break;
      case tag_and_type(Status::Code, pbf_wire_type::varint):
        span.status = known_enum<telemetry::SpanStatus, 2>(message.get_enum());
        break;
      default:
        message.skip();
    }
  }
}

/// The fields that repeat, and how many of them the sender dropped.
void OtlpTracesDecoder::Impl::read_list_field(pbf_message<otlp::Span>& message, BatchSpan& span) {
  using otlp::Span;
  switch (message.tag_and_type()) {
    case tag_and_type(Span::Attributes, pbf_wire_type::length_delimited):
      add_attribute(span.attributes, span.dropped_attributes, message.get_view());
      break;
    case tag_and_type(Span::DroppedAttributesCount, pbf_wire_type::varint):
      add_saturating(span.dropped_attributes, message.get_uint32());
      break;
    case tag_and_type(Span::Events, pbf_wire_type::length_delimited):
      events.push_back(message.get_view());
      break;
    case tag_and_type(Span::DroppedEventsCount, pbf_wire_type::varint):
      span.dropped_events = message.get_uint32();
      break;
    case tag_and_type(Span::Links, pbf_wire_type::length_delimited):
      links.push_back(message.get_view());
      break;
    case tag_and_type(Span::DroppedLinksCount, pbf_wire_type::varint):
      span.dropped_links = message.get_uint32();
      break;
    default:
      message.skip();
  }
}

/// Hot: per span.
void OtlpTracesDecoder::Impl::decode_span(std::string_view bytes) {
  using otlp::Span;
  ++outcome.spans;
  BatchSpan span{.resource = index_of(batch.resources.size() - 1),
                 .scope = index_of(batch.scopes.size() - 1),
                 .attributes = empty_list()};
  RawIds ids;
  events.clear();
  links.clear();
  for (pbf_message<Span> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(Span::TraceId, pbf_wire_type::length_delimited):
        ids.trace = message.get_view();
        break;
      case tag_and_type(Span::SpanId, pbf_wire_type::length_delimited):
        ids.span = message.get_view();
        break;
      case tag_and_type(Span::TraceState, pbf_wire_type::length_delimited):
        span.trace_state = text(message.get_view());
        break;
      case tag_and_type(Span::ParentSpanId, pbf_wire_type::length_delimited):
        ids.parent = message.get_view();
        break;
      case tag_and_type(Span::Name, pbf_wire_type::length_delimited):
        span.name = text(message.get_view());
        break;
      case tag_and_type(Span::Kind, pbf_wire_type::varint):
        span.kind = known_enum<telemetry::SpanKind, 5>(message.get_enum());
        break;
      case tag_and_type(Span::StartTimeUnixNano, pbf_wire_type::fixed64):
        span.start_ns = time(message.get_fixed64());
        break;
      case tag_and_type(Span::EndTimeUnixNano, pbf_wire_type::fixed64):
        span.end_ns = time(message.get_fixed64());
        break;
      case tag_and_type(Span::Status, pbf_wire_type::length_delimited):
        read_status(message.get_view(), span);
        break;
      case tag_and_type(Span::Flags, pbf_wire_type::fixed32):
        span.flags = message.get_fixed32();
        break;
      default:
        read_list_field(message, span);
    }
  }
  if (const std::string why = describe_bad_ids(ids); !why.empty()) {
    cut_attributes_back(span.attributes.begin);
    refuse(span.name, why);
    return;
  }
  span.trace_id = trace_id_of(ids.trace);
  span.span_id = span_id_of(ids.span);
  span.parent_id = span_id_of(ids.parent);
  add_events(span);
  add_links(span);
  batch.spans.push_back(span);
}

void OtlpTracesDecoder::Impl::add_scope(std::string_view bytes, std::string_view schema_url) {
  using otlp::InstrumentationScope;
  telemetry::BatchScope scope{.attributes = empty_list(), .schema_url = text(schema_url)};
  for (pbf_message<InstrumentationScope> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(InstrumentationScope::Name, pbf_wire_type::length_delimited):
        scope.name = text(message.get_view());
        break;
      case tag_and_type(InstrumentationScope::Version, pbf_wire_type::length_delimited):
        scope.version = text(message.get_view());
        break;
      case tag_and_type(InstrumentationScope::Attributes, pbf_wire_type::length_delimited):
        add_attribute(scope.attributes, scope.dropped_attributes, message.get_view());
        break;
      case tag_and_type(InstrumentationScope::DroppedAttributesCount, pbf_wire_type::varint):
        add_saturating(scope.dropped_attributes, message.get_uint32());
        break;
      default:
        message.skip();
    }
  }
  batch.scopes.push_back(scope);
}

void OtlpTracesDecoder::Impl::decode_scope_spans(std::string_view bytes) {
  using otlp::ScopeSpans;
  std::string_view scope;
  std::string_view schema_url;
  bool has_spans = false;
  for (pbf_message<ScopeSpans> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(ScopeSpans::Scope, pbf_wire_type::length_delimited):
        scope = message.get_view();
        break;
      case tag_and_type(ScopeSpans::SchemaUrl, pbf_wire_type::length_delimited):
        schema_url = message.get_view();
        break;
      case tag_and_type(ScopeSpans::Spans, pbf_wire_type::length_delimited):
        has_spans = true;
        [[fallthrough]];
      default:
        message.skip();
    }
  }
  if (!has_spans) return;
  add_scope(scope, schema_url);
  pbf_message<ScopeSpans> message(bytes);
  while (message.next(ScopeSpans::Spans, pbf_wire_type::length_delimited))
    decode_span(message.get_view());
}

void OtlpTracesDecoder::Impl::add_resource(std::string_view bytes, std::string_view schema_url) {
  using otlp::Resource;
  telemetry::BatchResource resource{.attributes = empty_list(), .schema_url = text(schema_url)};
  for (pbf_message<Resource> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(Resource::Attributes, pbf_wire_type::length_delimited):
        add_attribute(resource.attributes, resource.dropped_attributes, message.get_view());
        break;
      case tag_and_type(Resource::DroppedAttributesCount, pbf_wire_type::varint):
        add_saturating(resource.dropped_attributes, message.get_uint32());
        break;
      default:
        message.skip();
    }
  }
  batch.resources.push_back(resource);
}

void OtlpTracesDecoder::Impl::decode_resource_spans(std::string_view bytes) {
  using otlp::ResourceSpans;
  std::string_view resource;
  std::string_view schema_url;
  for (pbf_message<ResourceSpans> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(ResourceSpans::Resource, pbf_wire_type::length_delimited):
        resource = message.get_view();
        break;
      case tag_and_type(ResourceSpans::SchemaUrl, pbf_wire_type::length_delimited):
        schema_url = message.get_view();
        break;
      default:
        message.skip();
    }
  }
  add_resource(resource, schema_url);
  pbf_message<ResourceSpans> message(bytes);
  while (message.next(ResourceSpans::ScopeSpans, pbf_wire_type::length_delimited))
    decode_scope_spans(message.get_view());
}

Result<void> OtlpTracesDecoder::Impl::decode(std::string_view body, const OtlpTracesOptions& chosen,
                                             std::uint64_t body_bytes) {
  using Request = otlp::ExportTraceServiceRequest;
  begin(chosen);
  std::size_t resource_count = 0;
  try {
    pbf_message<Request> message(body);
    while (message.next(Request::ResourceSpans, pbf_wire_type::length_delimited)) {
      decode_resource_spans(message.get_view());
      ++resource_count;
    }
  } catch (const protozero::exception& error) {
    begin(chosen);
    return fail(Code::InvalidArgument,
                fmt::format("body is not an OTLP traces request: {} in resourceSpans[{}]",
                            error.what(), resource_count));
  }
  if (!is_altered) batch.otlp = body;
  batch.body_bytes = body_bytes;
  return {};
}

OtlpTracesDecoder::OtlpTracesDecoder() : impl_(std::make_unique<Impl>()) {}

OtlpTracesDecoder::~OtlpTracesDecoder() = default;
OtlpTracesDecoder::OtlpTracesDecoder(OtlpTracesDecoder&&) noexcept = default;
OtlpTracesDecoder& OtlpTracesDecoder::operator=(OtlpTracesDecoder&&) noexcept = default;

Result<void> OtlpTracesDecoder::decode_protobuf(std::string_view body,
                                                const OtlpTracesOptions& options) {
  return impl_->decode(body, options, body.size());
}

Result<void> OtlpTracesDecoder::decode_json(std::string_view body,
                                            const OtlpTracesOptions& options) {
  impl_->begin(options);
  GANTRY_CHECK(otlp_json_to_protobuf(OtlpJsonMessage::TracesRequest, body, impl_->protobuf_body));
  return impl_->decode(impl_->protobuf_body, options, body.size());
}

const telemetry::SpanBatch& OtlpTracesDecoder::batch() const {
  return impl_->batch;
}

const OtlpTracesOutcome& OtlpTracesDecoder::outcome() const {
  return impl_->outcome;
}

}  // namespace gantry::codec
