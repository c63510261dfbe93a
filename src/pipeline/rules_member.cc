#include "pipeline/rules_member.h"

namespace gantry::pipeline {

std::string rules_text(const simdjson::dom::element& value) {
  return value.is_null() ? std::string() : simdjson::minify(value);
}

access::FieldProblem problem_of(const Error& error) {
  const std::string& message = error.message;
  const std::size_t colon = message.find(": ");
  return {.path = message.substr(0, colon), .reason = message.substr(colon + 2)};
}

std::optional<access::FieldProblem> read_rules(const simdjson::dom::element& value,
                                               std::string& json,
                                               Result<void> (*check)(std::string_view)) {
  std::string text = rules_text(value);
  if (const auto checked = check(text.empty() ? std::string_view("null") : text); !checked)
    return problem_of(checked.error());
  json = std::move(text);
  return std::nullopt;
}

void write_rules(core::JsonWriter& json, std::string_view name, std::string_view rules) {
  json.key(name);
  if (rules.empty())
    json.null();
  else
    json.raw(rules);
}

}  // namespace gantry::pipeline
