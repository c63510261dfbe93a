#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "codec/otlp_values.h"
#include "gateway/testing/broadcast_cases.h"

namespace gantry::gateway::testing {

namespace {

using nlohmann::json;
using telemetry::AttributeValue;

json value_form(const AttributeValue& value) {
  switch (value.kind) {
    case AttributeValue::Kind::String:
      return {{"type", "string"}, {"value", value.text}};
    case AttributeValue::Kind::Bool:
      return {{"type", "bool"}, {"value", value.boolean}};
    case AttributeValue::Kind::Int:
      return {{"type", "int"}, {"value", value.integer}};
    case AttributeValue::Kind::Double:
      return {{"type", "double"}, {"value", value.number}};
    case AttributeValue::Kind::Encoded:
      break;
  }
  std::string text;
  core::JsonWriter writer(text);
  codec::append_attribute_value_json(writer, value);
  json texts = json::array();
  for (const json& element : json::parse(text).at("arrayValue").at("values")) {
    texts.push_back(element.at("stringValue"));
  }
  return {{"type", "string[]"}, {"value", std::move(texts)}};
}

json attributes_form(const telemetry::SpanBatch& batch, telemetry::BatchSlice slice) {
  json form = json::object();
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(slice)) {
    const std::string key(attribute.key);
    form[form.contains(key) ? key + " (again)" : key] = value_form(attribute.value);
  }
  return form;
}

json span_form(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span) {
  json form;
  form["name"] = span.name;
  form["kind"] = static_cast<int>(span.kind);
  std::string trace_id;
  for (const std::uint8_t byte : span.trace_id.bytes) trace_id += fmt::format("{:02x}", byte);
  form["trace_id"] = trace_id;
  form["span_id"] = fmt::format("{:016x}", span.span_id);
  form["parent_span_id"] =
      span.parent_id == 0 ? json() : json(fmt::format("{:016x}", span.parent_id));
  form["start_unix_nano"] = std::to_string(span.start_ns);
  form["end_unix_nano"] = std::to_string(span.end_ns);
  form["status"]["code"] = static_cast<int>(span.status);
  if (!span.status_message.empty()) form["status"]["message"] = span.status_message;
  form["attributes"] = attributes_form(batch, span.attributes);
  for (const telemetry::BatchEvent& event : batch.events_of(span)) {
    form["events"].push_back({{"name", event.name},
                              {"time_unix_nano", std::to_string(event.time_ns)},
                              {"attributes", attributes_form(batch, event.attributes)}});
  }
  return form;
}

bool is_content(const std::string& key) {
  return key == "gen_ai.prompt" || key == "gen_ai.completion";
}

/// ">0", ">=1"
bool matches(const std::string& condition, double number) {
  const bool or_equal = condition.starts_with(">=");
  const double limit = std::stod(condition.substr(or_equal ? 2 : 1));
  return or_equal ? number >= limit : number > limit;
}

bool is_as_expected(const std::string& key, const json& expected, const json& actual) {
  if (expected.at("type") != actual.at("type")) return false;
  const json& value = actual.at("value");
  if (expected.contains("match")) return matches(expected.at("match"), value.get<double>());
  if (expected.at("type") == "double") {
    return std::abs(expected.at("value").get<double>() - value.get<double>()) <= 1e-12;
  }
  if (is_content(key)) {
    return json::parse(expected.at("value").get<std::string>()) ==
           json::parse(value.get<std::string>(), nullptr, false);
  }
  return expected.at("value") == value;
}

void compare_attributes(const std::string& where, const json& expected, const json& actual,
                        std::vector<std::string>& out) {
  for (const auto& [key, value] : expected.items()) {
    if (!actual.contains(key)) {
      out.push_back(fmt::format("{}: no {}", where, key));
    } else if (!is_as_expected(key, value, actual.at(key))) {
      out.push_back(
          fmt::format("{}: {} is {}, not {}", where, key, actual.at(key).dump(), value.dump()));
    }
  }
  for (const auto& [key, value] : actual.items()) {
    if (!expected.contains(key)) {
      out.push_back(fmt::format("{}: {} {} is too much", where, key, value.dump()));
    }
  }
}

void compare_span(const json& expected, const json& actual, std::vector<std::string>& out) {
  const std::string where = expected.at("name");
  for (const char* const field : {"name", "kind", "trace_id", "parent_span_id", "start_unix_nano",
                                  "end_unix_nano", "status"}) {
    if (expected.at(field) != actual.at(field)) {
      out.push_back(fmt::format("{}: {} is {}, not {}", where, field, actual.at(field).dump(),
                                expected.at(field).dump()));
    }
  }
  compare_attributes(where, expected.at("attributes"), actual.at("attributes"), out);
  if (expected.value("events", json()) != actual.value("events", json())) {
    out.push_back(fmt::format("{}: events are {}", where, actual.value("events", json()).dump()));
  }
}

}  // namespace

json expectation_form(const telemetry::SpanBatch& batch) {
  json form;
  form["spans"] = json::array();
  for (const telemetry::BatchSpan& span : batch.spans) {
    form["spans"].push_back(span_form(batch, span));
    // All the same, or the last one is a difference.
    form["resource"] = attributes_form(batch, batch.resources[span.resource].attributes);
    form["scope"]["name"] = batch.scopes[span.scope].name;
  }
  return form;
}

std::vector<std::string> differences(const json& expected, const json& actual) {
  std::vector<std::string> out;
  compare_attributes("resource", expected.at("resource"), actual.at("resource"), out);
  if (expected.at("scope") != actual.at("scope")) {
    out.push_back("scope is " + actual.at("scope").dump());
  }
  const json& spans = actual.at("spans");
  for (const json& span : expected.at("spans")) {
    const auto same = std::ranges::find_if(
        spans, [&](const json& other) { return other.at("span_id") == span.at("span_id"); });
    if (same == spans.end()) {
      out.push_back("no span " + span.at("name").get<std::string>());
    } else {
      compare_span(span, *same, out);
    }
  }
  if (spans.size() != expected.at("spans").size()) {
    out.push_back(fmt::format("{} spans", spans.size()));
  }
  return out;
}

}  // namespace gantry::gateway::testing
