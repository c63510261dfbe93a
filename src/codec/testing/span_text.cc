#include "codec/testing/span_text.h"

#include <fmt/format.h>

#include "codec/otlp_attributes.h"
#include "codec/otlp_traces_encoder.h"
#include "codec/otlp_values.h"
#include "core/json_writer.h"

namespace gantry::codec::testing {
namespace {

using telemetry::SpanBatch;

std::string attributes_text(const SpanBatch& batch, telemetry::BatchSlice list,
                            std::uint32_t dropped) {
  std::string text = "{";
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(list)) {
    if (text.size() > 1) text += ",";
    core::append_json_string(text, attribute.key);
    text += ":" + value_text(attribute.value);
  }
  text += "}";
  if (dropped != 0) text += fmt::format("-{}", dropped);
  return text;
}

std::string trace_id_text(const telemetry::TraceId& id) {
  std::string text;
  append_hex(text, {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
  return text;
}

}  // namespace

std::string value_text(const telemetry::AttributeValue& value) {
  std::string text;
  core::JsonWriter json(text);
  append_attribute_value_json(json, value);
  return text;
}

std::string span_text(const SpanBatch& batch, const telemetry::BatchSpan& span) {
  const telemetry::BatchResource& resource = batch.resources.at(span.resource);
  const telemetry::BatchScope& scope = batch.scopes.at(span.scope);
  std::string text = fmt::format(
      "resource{} url={} scope={}/{}{} url={} trace={} span={:016x} parent={:016x} state={} "
      "name={} kind={} start={} end={} status={}/{} flags={} attributes{}",
      attributes_text(batch, resource.attributes, resource.dropped_attributes), resource.schema_url,
      scope.name, scope.version, attributes_text(batch, scope.attributes, scope.dropped_attributes),
      scope.schema_url, trace_id_text(span.trace_id), span.span_id, span.parent_id,
      span.trace_state, span.name, static_cast<int>(span.kind), span.start_ns, span.end_ns,
      static_cast<int>(span.status), span.status_message, span.flags,
      attributes_text(batch, span.attributes, span.dropped_attributes));
  for (const telemetry::BatchEvent& event : batch.events_of(span))
    text += fmt::format(" event={}@{}{}", event.name, event.time_ns,
                        attributes_text(batch, event.attributes, event.dropped_attributes));
  text += fmt::format("-{}", span.dropped_events);
  for (const telemetry::BatchLink& link : batch.links_of(span))
    text += fmt::format(" link={}/{:016x} state={} flags={}{}", trace_id_text(link.trace_id),
                        link.span_id, link.trace_state, link.flags,
                        attributes_text(batch, link.attributes, link.dropped_attributes));
  return text + fmt::format("-{}", span.dropped_links);
}

std::vector<std::string> span_lines(const SpanBatch& batch) {
  std::vector<std::string> lines;
  for (const std::uint32_t i : spans_by_scope(batch))
    lines.push_back(span_text(batch, batch.spans[i]));
  return lines;
}

}  // namespace gantry::codec::testing
