#include "pipeline/rules_member.h"

namespace gantry::pipeline {

access::FieldProblem problem_of(const Error& error) {
  const std::string& message = error.message;
  const std::size_t colon = message.find(": ");
  return {.path = message.substr(0, colon), .reason = message.substr(colon + 2)};
}

std::optional<access::FieldProblem> read_rules(std::string text, std::string& json,
                                               Result<void> (*check)(std::string_view)) {
  if (const auto checked = check(text); !checked) return problem_of(checked.error());
  json = text == "null" ? std::string() : std::move(text);
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
