#include "traceql/testing/otlp_dataset.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "traceql/testing/any_value_encoder.h"

namespace gantry::traceql::testing {

namespace {

using nlohmann::json;
using telemetry::AttributeValue;
using telemetry::SpanBatch;

std::uint64_t parse_number(const json& value) {
  if (value.is_number()) return value.get<std::uint64_t>();
  return std::stoull(value.get<std::string>());
}

telemetry::SpanId parse_span_id(const json& object, const char* key) {
  const std::string hex = object.value(key, "");
  telemetry::SpanId id = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), id, 16);
  return id;
}

telemetry::TraceId parse_trace_id(const json& object) {
  const std::string hex = object.at("traceId").get<std::string>();
  telemetry::TraceId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    const char* digits = hex.data() + 2 * i;
    std::from_chars(digits, digits + 2, id.bytes[i], 16);
  }
  return id;
}

Static parse_scalar(const json& value) {
  if (value.contains("stringValue")) return Static::of_string(value["stringValue"]);
  if (value.contains("boolValue")) return Static::of_bool(value["boolValue"]);
  if (value.contains("doubleValue")) return Static::of_float(value["doubleValue"]);
  GANTRY_ASSERT(value.contains("intValue"), "the data sets hold scalars and arrays of them");
  const json& number = value["intValue"];
  return Static::of_int(number.is_number() ? number.get<std::int64_t>()
                                           : std::stoll(number.get<std::string>()));
}

AttributeValue parse_value(SpanBatch& batch, const json& value) {
  AttributeValue out;
  if (value.contains("arrayValue")) {
    std::vector<Static> elements;
    for (const json& element : value["arrayValue"].value("values", json::array())) {
      elements.push_back(parse_scalar(element));
    }
    out.text = batch.arena.copy(encode_array(elements));
    return out;
  }
  const Static scalar = parse_scalar(value);
  switch (scalar.type) {
    case StaticType::String:
      out.kind = AttributeValue::Kind::String;
      out.text = batch.arena.copy(scalar.text);
      break;
    case StaticType::Bool:
      out.kind = AttributeValue::Kind::Bool;
      out.boolean = scalar.boolean;
      break;
    case StaticType::Float:
      out.kind = AttributeValue::Kind::Double;
      out.number = scalar.number;
      break;
    default:
      out.kind = AttributeValue::Kind::Int;
      out.integer = scalar.integer;
      break;
  }
  return out;
}

telemetry::BatchSlice parse_attributes(SpanBatch& batch, const json& object) {
  telemetry::BatchSlice slice{.begin = static_cast<std::uint32_t>(batch.attributes.size())};
  for (const json& attribute : object.value("attributes", json::array())) {
    const std::string_view key = batch.arena.copy(attribute.at("key").get<std::string>());
    batch.attributes.push_back({.key = key, .value = parse_value(batch, attribute.at("value"))});
    ++slice.count;
  }
  return slice;
}

std::string_view text(SpanBatch& batch, const json& object, const char* key) {
  return batch.arena.copy(object.value(key, ""));
}

void parse_span(SpanBatch& batch, const json& object) {
  telemetry::BatchSpan span;
  span.trace_id = parse_trace_id(object);
  span.span_id = parse_span_id(object, "spanId");
  span.parent_id = parse_span_id(object, "parentSpanId");
  span.start_ns = parse_number(object.at("startTimeUnixNano"));
  span.end_ns = parse_number(object.at("endTimeUnixNano"));
  span.resource = static_cast<std::uint32_t>(batch.resources.size() - 1);
  span.scope = static_cast<std::uint32_t>(batch.scopes.size() - 1);
  span.kind = static_cast<telemetry::SpanKind>(object.value("kind", 0));
  const json status = object.value("status", json::object());
  span.status = static_cast<telemetry::SpanStatus>(status.value("code", 0));
  span.status_message = text(batch, status, "message");
  span.name = text(batch, object, "name");
  span.trace_state = text(batch, object, "traceState");
  span.attributes = parse_attributes(batch, object);
  span.events.begin = static_cast<std::uint32_t>(batch.events.size());
  for (const json& event : object.value("events", json::array())) {
    const telemetry::BatchSlice attributes = parse_attributes(batch, event);
    batch.events.push_back({.time_ns = parse_number(event.at("timeUnixNano")),
                            .name = text(batch, event, "name"),
                            .attributes = attributes});
    ++span.events.count;
  }
  span.links.begin = static_cast<std::uint32_t>(batch.links.size());
  for (const json& link : object.value("links", json::array())) {
    telemetry::BatchLink out;
    out.trace_id = parse_trace_id(link);
    out.span_id = parse_span_id(link, "spanId");
    out.attributes = parse_attributes(batch, link);
    batch.links.push_back(out);
    ++span.links.count;
  }
  batch.spans.push_back(span);
}

}  // namespace

std::optional<std::string> read_conformance_file(std::string_view relative_path) {
  const char* directory = std::getenv("GANTRY_CONFORMANCE_DIR");
  std::string path = directory != nullptr ? directory : GANTRY_CONFORMANCE_DEFAULT;
  path += '/';
  path += relative_path;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

SpanBatch parse_otlp_traces(std::string_view text) {
  SpanBatch batch;
  const json request = json::parse(text);
  for (const json& resource_spans : request.at("resourceSpans")) {
    const json resource = resource_spans.value("resource", json::object());
    batch.resources.push_back({.attributes = parse_attributes(batch, resource)});
    for (const json& scope_spans : resource_spans.at("scopeSpans")) {
      const json scope = scope_spans.value("scope", json::object());
      telemetry::BatchScope out;
      out.name = traceql::testing::text(batch, scope, "name");
      out.version = traceql::testing::text(batch, scope, "version");
      out.attributes = parse_attributes(batch, scope);
      batch.scopes.push_back(out);
      for (const json& span : scope_spans.at("spans")) parse_span(batch, span);
    }
  }
  return batch;
}

std::optional<SpanBatch> load_dataset(std::string_view name) {
  const auto file = read_conformance_file("traceql/datasets/" + std::string(name) + ".otlp.json");
  if (!file) return std::nullopt;
  return parse_otlp_traces(*file);
}

}  // namespace gantry::traceql::testing
