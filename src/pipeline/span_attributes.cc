#include "pipeline/span_attributes.h"

#include <exception>
#include <string>

#include "codec/otlp_attributes.h"
#include "core/number_format.h"

namespace gantry::pipeline {

std::string_view attribute_text(const telemetry::AttributeValue& value, core::Arena& arena) {
  using Kind = telemetry::AttributeValue::Kind;
  switch (value.kind) {
    case Kind::String:
      return value.text;
    case Kind::Bool:
      return value.boolean ? "true" : "false";
    case Kind::Int:
      return arena.copy(std::to_string(value.integer));
    case Kind::Double: {
      std::string text;
      core::append_float_plain(text, value.number);
      return arena.copy(text);
    }
    case Kind::Encoded:
      break;
  }
  try {
    return codec::attribute_text(value.text, arena);
  } catch (const std::exception&) {
    return "";  // Bytes that are no AnyValue say nothing.
  }
}

std::optional<std::string_view> find_text(std::span<const telemetry::SpanAttribute> attributes,
                                          std::string_view key, core::Arena& arena) {
  for (const telemetry::SpanAttribute& attribute : attributes) {
    if (attribute.key == key) return attribute_text(attribute.value, arena);
  }
  return std::nullopt;
}

std::string sanitized_label_name(std::string_view key) {
  std::string name;
  for (const char c : key) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool is_digit = c >= '0' && c <= '9';
    name.push_back(is_letter || (is_digit && !name.empty()) ? c : '_');
  }
  return name;
}

}  // namespace gantry::pipeline
