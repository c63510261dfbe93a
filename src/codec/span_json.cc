#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/otlp_attributes.h"
#include "codec/otlp_traces_encoder.h"
#include "codec/otlp_values.h"
#include "codec/span_json_internal.h"

namespace gantry::codec {
namespace {

using core::JsonWriter;
using telemetry::BatchSlice;
using telemetry::BatchSpan;
using telemetry::SpanBatch;

constexpr std::string_view kUnknownService = "unknown_service";

std::string_view enum_name(telemetry::SpanKind kind) {
  static constexpr std::array<std::string_view, 6> kNames = {
      "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
      "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view enum_name(telemetry::SpanStatus status) {
  static constexpr std::array<std::string_view, 3> kNames = {"STATUS_CODE_UNSET", "STATUS_CODE_OK",
                                                             "STATUS_CODE_ERROR"};
  return kNames[static_cast<std::size_t>(status)];
}

/// Writes the spans of one batch.
class SpanWriter {
 public:
  SpanWriter(const SpanBatch& batch, JsonWriter& json, SpanJson form)
      : batch_(batch), json_(json), form_(form) {}

  void add_resource_spans() {
    const std::vector<std::uint32_t> order = spans_by_scope(batch_);
    json_.begin_array();
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
    add_resource(resource);
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

  void add_resource(const telemetry::BatchResource& resource) {
    if (form_ == SpanJson::Otlp && resource.attributes.count == 0 &&
        resource.dropped_attributes == 0)
      return;
    json_.key("resource").begin_object();
    if (resource.attributes.count == 0 && form_ == SpanJson::Tempo) {
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
  }

  void add_scope_group(const telemetry::BatchScope& scope, std::span<const std::uint32_t> spans) {
    json_.begin_object();
    add_scope(scope);
    json_.key("spans").begin_array();
    for (const std::uint32_t i : spans) add_span(batch_.spans[i]);
    json_.end_array();
    add_text("schemaUrl", scope.schema_url);
    json_.end_object();
  }

  void add_scope(const telemetry::BatchScope& scope) {
    if (form_ == SpanJson::Otlp && scope.name.empty() && scope.version.empty() &&
        scope.attributes.count == 0 && scope.dropped_attributes == 0)
      return;
    json_.key("scope").begin_object();
    add_text("name", scope.name);
    add_text("version", scope.version);
    add_attributes(scope.attributes);
    add_count("droppedAttributesCount", scope.dropped_attributes);
    json_.end_object();
  }

  /// Hot: per span.
  void add_span(const BatchSpan& span) {
    json_.begin_object();
    add_trace_id(span.trace_id);
    add_span_id("spanId", span.span_id);
    add_text("traceState", span.trace_state);
    if (span.parent_id != 0) add_span_id("parentSpanId", span.parent_id);
    add_text("name", span.name);
    if (span.kind != telemetry::SpanKind::Unspecified) add_enum("kind", span.kind);
    add_number("startTimeUnixNano", span.start_ns);
    add_number("endTimeUnixNano", span.end_ns);
    add_attributes(span.attributes);
    add_count("droppedAttributesCount", span.dropped_attributes);
    add_list("events", batch_.events_of(span), [&](const auto& event) { add_event(event); });
    add_count("droppedEventsCount", span.dropped_events);
    add_list("links", batch_.links_of(span), [&](const auto& link) { add_link(link); });
    add_count("droppedLinksCount", span.dropped_links);
    add_status(span);
    add_count("flags", span.flags);
    json_.end_object();
  }

  void add_status(const BatchSpan& span) {
    if (form_ == SpanJson::Otlp && span.status == telemetry::SpanStatus::Unset &&
        span.status_message.empty())
      return;
    json_.key("status").begin_object();
    add_text("message", span.status_message);
    if (span.status != telemetry::SpanStatus::Unset) add_enum("code", span.status);
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

  template <class Enum>
  void add_enum(std::string_view key, Enum value) {
    json_.key(key);
    if (form_ == SpanJson::Tempo)
      json_.string(enum_name(value));
    else
      json_.integer(static_cast<std::uint64_t>(value));
  }

  void add_id(std::string_view key, std::string_view bytes) {
    scratch_.clear();
    if (form_ == SpanJson::Tempo)
      append_base64(scratch_, bytes);
    else
      append_hex(scratch_, bytes);
    json_.key(key).string(scratch_);
  }

  void add_trace_id(const telemetry::TraceId& id) {
    add_id("traceId", {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
  }

  void add_span_id(std::string_view key, telemetry::SpanId id) {
    std::array<char, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>((id >> (56 - 8 * i)) & 0xffU);
    add_id(key, {bytes.data(), bytes.size()});
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
  JsonWriter& json_;
  SpanJson form_;
  std::string scratch_;
};

}  // namespace

void append_resource_spans_json(JsonWriter& json, const SpanBatch& batch, SpanJson form) {
  SpanWriter(batch, json, form).add_resource_spans();
}

}  // namespace gantry::codec
