#include "codec/tempo_trace.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <protozero/pbf_builder.hpp>

#include "codec/otlp_attributes.h"
#include "codec/otlp_traces_encoder.h"
#include "codec/otlp_values.h"
#include "core/json_writer.h"

namespace gantry::codec {
namespace {

using core::JsonWriter;
using telemetry::BatchSlice;
using telemetry::BatchSpan;
using telemetry::SpanBatch;

/// tempo.proto of grafana/tempo, pkg/tempopb.
enum class TraceByIdResponse : std::uint32_t { Trace = 1, Metrics = 2, Status = 3, Message = 4 };
enum class TraceByIdMetrics : std::uint32_t { InspectedBytes = 1 };
constexpr std::int32_t kPartial = 1;

constexpr std::string_view kUnknownService = "unknown_service";

std::string_view kind_name(telemetry::SpanKind kind) {
  static constexpr std::array<std::string_view, 6> kNames = {
      "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
      "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view status_name(telemetry::SpanStatus status) {
  static constexpr std::array<std::string_view, 3> kNames = {"STATUS_CODE_UNSET", "STATUS_CODE_OK",
                                                             "STATUS_CODE_ERROR"};
  return kNames[static_cast<std::size_t>(status)];
}

/// Writes the spans of one batch.
class TraceJson {
 public:
  TraceJson(const SpanBatch& batch, std::string& out) : batch_(batch), json_(out) {}

  JsonWriter& json() { return json_; }

  /// The member `key` with all spans by resource and scope; nothing when there are none.
  void add_resource_spans(std::string_view key) {
    if (batch_.spans.empty()) return;
    const std::vector<std::uint32_t> order = spans_by_scope(batch_);
    json_.key(key).begin_array();
    for (std::span<const std::uint32_t> rest(order); !rest.empty();) {
      const std::uint32_t resource = batch_.spans[rest.front()].resource;
      const auto same = leading(rest, [&](const BatchSpan& s) { return s.resource == resource; });
      add_resource_group(batch_.resources[resource], same);
      rest = rest.subspan(same.size());
    }
    json_.end_array();
  }

 private:
  template <class IsSame>
  std::span<const std::uint32_t> leading(std::span<const std::uint32_t> spans, IsSame is_same) {
    const auto end =
        std::ranges::find_if_not(spans, [&](std::uint32_t i) { return is_same(batch_.spans[i]); });
    return spans.first(static_cast<std::size_t>(end - spans.begin()));
  }

  void add_resource_group(const telemetry::BatchResource& resource,
                          std::span<const std::uint32_t> spans) {
    json_.begin_object();
    json_.key("resource").begin_object();
    if (resource.attributes.count == 0) {
      // Grafana skips resources that have no attribute.
      json_.key("attributes").begin_array();
      add_attribute("service.name",
                    {.kind = telemetry::AttributeValue::Kind::String, .text = kUnknownService});
      json_.end_array();
    } else {
      add_attributes(resource.attributes);
    }
    add_count("droppedAttributesCount", resource.dropped_attributes);
    json_.end_object();
    json_.key("scopeSpans").begin_array();
    while (!spans.empty()) {
      const std::uint32_t scope = batch_.spans[spans.front()].scope;
      const auto same = leading(spans, [&](const BatchSpan& s) { return s.scope == scope; });
      add_scope_group(batch_.scopes[scope], same);
      spans = spans.subspan(same.size());
    }
    json_.end_array();
    add_text("schemaUrl", resource.schema_url);
    json_.end_object();
  }

  void add_scope_group(const telemetry::BatchScope& scope, std::span<const std::uint32_t> spans) {
    json_.begin_object();
    json_.key("scope").begin_object();
    add_text("name", scope.name);
    add_text("version", scope.version);
    add_attributes(scope.attributes);
    add_count("droppedAttributesCount", scope.dropped_attributes);
    json_.end_object();
    json_.key("spans").begin_array();
    for (const std::uint32_t i : spans) add_span(batch_.spans[i]);
    json_.end_array();
    add_text("schemaUrl", scope.schema_url);
    json_.end_object();
  }

  void add_span(const BatchSpan& span) {
    json_.begin_object();
    add_trace_id(span.trace_id);
    add_span_id("spanId", span.span_id);
    add_text("traceState", span.trace_state);
    if (span.parent_id != 0) add_span_id("parentSpanId", span.parent_id);
    add_text("name", span.name);
    if (span.kind != telemetry::SpanKind::Unspecified)
      json_.key("kind").string(kind_name(span.kind));
    add_number("startTimeUnixNano", span.start_ns);
    add_number("endTimeUnixNano", span.end_ns);
    add_attributes(span.attributes);
    add_count("droppedAttributesCount", span.dropped_attributes);
    add_list("events", batch_.events_of(span), [&](const auto& event) { add_event(event); });
    add_count("droppedEventsCount", span.dropped_events);
    add_list("links", batch_.links_of(span), [&](const auto& link) { add_link(link); });
    add_count("droppedLinksCount", span.dropped_links);
    json_.key("status").begin_object();
    add_text("message", span.status_message);
    if (span.status != telemetry::SpanStatus::Unset)
      json_.key("code").string(status_name(span.status));
    json_.end_object();
    add_count("flags", span.flags);
    json_.end_object();
  }

  void add_event(const telemetry::BatchEvent& event) {
    json_.begin_object();
    add_number("timeUnixNano", event.time_ns);
    add_text("name", event.name);
    add_attributes(event.attributes);
    add_count("droppedAttributesCount", event.dropped_attributes);
    json_.end_object();
  }

  void add_link(const telemetry::BatchLink& link) {
    json_.begin_object();
    add_trace_id(link.trace_id);
    add_span_id("spanId", link.span_id);
    add_text("traceState", link.trace_state);
    add_attributes(link.attributes);
    add_count("droppedAttributesCount", link.dropped_attributes);
    add_count("flags", link.flags);
    json_.end_object();
  }

  template <class Item, class Add>
  void add_list(std::string_view key, std::span<const Item> items, Add add) {
    if (items.empty()) return;
    json_.key(key).begin_array();
    for (const Item& item : items) add(item);
    json_.end_array();
  }

  void add_attributes(BatchSlice list) {
    add_list("attributes", batch_.attributes_of(list),
             [&](const telemetry::SpanAttribute& attribute) {
               add_attribute(attribute.key, attribute.value);
             });
  }

  void add_attribute(std::string_view key, const telemetry::AttributeValue& value) {
    json_.begin_object();
    add_text("key", key);
    append_attribute_value_json(json_.key("value"), value);
    json_.end_object();
  }

  void add_base64(std::string_view key, std::string_view bytes) {
    scratch_.clear();
    append_base64(scratch_, bytes);
    json_.key(key).string(scratch_);
  }

  void add_trace_id(const telemetry::TraceId& id) {
    add_base64("traceId", {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
  }

  void add_span_id(std::string_view key, telemetry::SpanId id) {
    std::array<char, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>((id >> (56 - 8 * i)) & 0xffU);
    add_base64(key, {bytes.data(), bytes.size()});
  }

  void add_text(std::string_view key, std::string_view text) {
    if (!text.empty()) json_.key(key).string(text);
  }

  void add_number(std::string_view key, std::uint64_t number) {
    if (number != 0) json_.key(key).string(std::to_string(number));
  }

  void add_count(std::string_view key, std::uint32_t count) {
    if (count != 0) json_.key(key).integer(count);
  }

  const SpanBatch& batch_;
  JsonWriter json_;
  std::string scratch_;
};

std::uint64_t bytes_of(std::span<const telemetry::SpanAttribute> attributes) {
  constexpr std::uint64_t kOverhead = 8;
  std::uint64_t bytes = 0;
  for (const telemetry::SpanAttribute& attribute : attributes)
    bytes += kOverhead + attribute.key.size() + attribute.value.text.size();
  return bytes;
}

/// Without its resource and scope.
std::uint64_t bytes_of(const SpanBatch& batch, const BatchSpan& span) {
  constexpr std::uint64_t kSpanOverhead = 60;
  constexpr std::uint64_t kPartOverhead = 20;
  std::uint64_t bytes = kSpanOverhead + span.name.size() + span.status_message.size() +
                        span.trace_state.size() + bytes_of(batch.attributes_of(span.attributes));
  for (const telemetry::BatchEvent& event : batch.events_of(span))
    bytes += kPartOverhead + event.name.size() + bytes_of(batch.attributes_of(event.attributes));
  for (const telemetry::BatchLink& link : batch.links_of(span))
    bytes += 2 * kPartOverhead + link.trace_state.size() +
             bytes_of(batch.attributes_of(link.attributes));
  return bytes;
}

std::uint64_t shared_bytes(const SpanBatch& batch) {
  std::uint64_t bytes = 0;
  for (const telemetry::BatchResource& resource : batch.resources)
    bytes += bytes_of(batch.attributes_of(resource.attributes));
  for (const telemetry::BatchScope& scope : batch.scopes)
    bytes += scope.name.size() + bytes_of(batch.attributes_of(scope.attributes));
  return bytes;
}

}  // namespace

std::string encode_tempo_trace_json(const SpanBatch& batch) {
  std::string out;
  TraceJson trace(batch, out);
  trace.json().begin_object();
  trace.add_resource_spans("batches");
  trace.json().end_object();
  return out;
}

std::string encode_tempo_trace(const SpanBatch& batch) {
  return encode_otlp_traces(batch, EmptyResource::Name);
}

std::string encode_tempo_trace_by_id_json(const SpanBatch& batch, const TempoTraceNotes& notes) {
  std::string out;
  TraceJson trace(batch, out);
  JsonWriter& json = trace.json();
  json.begin_object();
  json.key("trace").begin_object();
  trace.add_resource_spans("resourceSpans");
  json.end_object();
  json.key("metrics").begin_object();
  if (notes.inspected_bytes != 0)
    json.key("inspectedBytes").string(std::to_string(notes.inspected_bytes));
  json.end_object();
  if (!notes.partial_message.empty()) {
    json.key("status").string("PARTIAL");
    json.key("message").string(notes.partial_message);
  }
  json.end_object();
  return out;
}

std::string encode_tempo_trace_by_id(const SpanBatch& batch, const TempoTraceNotes& notes) {
  std::string metrics;
  protozero::basic_pbf_builder<std::string, TraceByIdMetrics> metrics_message(metrics);
  if (notes.inspected_bytes != 0)
    metrics_message.add_uint64(TraceByIdMetrics::InspectedBytes, notes.inspected_bytes);
  std::string out;
  protozero::basic_pbf_builder<std::string, TraceByIdResponse> message(out);
  message.add_message(TraceByIdResponse::Trace, encode_tempo_trace(batch));
  message.add_message(TraceByIdResponse::Metrics, metrics);
  if (!notes.partial_message.empty()) {
    message.add_enum(TraceByIdResponse::Status, kPartial);
    message.add_string(TraceByIdResponse::Message, notes.partial_message);
  }
  return out;
}

std::uint64_t estimate_trace_bytes(const SpanBatch& batch) {
  std::uint64_t bytes = shared_bytes(batch);
  for (const BatchSpan& span : batch.spans) bytes += bytes_of(batch, span);
  return bytes;
}

bool cut_trace(SpanBatch& batch, std::uint64_t bytes_max) {
  std::uint64_t bytes = shared_bytes(batch);
  std::size_t kept = 0;
  for (; kept < batch.spans.size(); ++kept) {
    bytes += bytes_of(batch, batch.spans[kept]);
    if (bytes > bytes_max) break;
  }
  const bool is_cut = kept < batch.spans.size();
  batch.spans.resize(kept);
  return is_cut;
}

}  // namespace gantry::codec
