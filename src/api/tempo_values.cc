#include "api/tempo_values.h"

#include <cmath>

#include "core/number_format.h"

namespace gantry::api {

using traceql::Static;
using traceql::StaticType;

std::string tag_value_text(const Static& value) {
  switch (value.type) {
    case StaticType::Int:
      return std::to_string(value.integer);
    case StaticType::Float: {
      std::string text;
      core::append_float_general(text, value.number);
      return text;
    }
    case StaticType::Bool:
      return value.boolean ? "true" : "false";
    case StaticType::Duration:
      return traceql::format_go_duration(value.integer);
    case StaticType::Status:
      return std::string(traceql::status_text(static_cast<std::uint8_t>(value.integer)));
    case StaticType::Kind:
      return std::string(traceql::kind_text(static_cast<std::uint8_t>(value.integer)));
    default:
      return value.text;
  }
}

std::string_view tag_value_type(StaticType type) {
  switch (type) {
    case StaticType::Int:
      return "int";
    case StaticType::Float:
      return "float";
    case StaticType::Bool:
      return "bool";
    case StaticType::Duration:
      return "duration";
    case StaticType::Status:
    case StaticType::Kind:
      return "keyword";
    default:
      return "string";
  }
}

bool has_sample(const traceql::MetricsSeries& series) {
  for (const auto& [timestamp_ms, value] : series.samples)
    if (!std::isnan(value)) return true;
  return false;
}

}  // namespace gantry::api
