#pragma once

// Rules as a member of a JSON body: their text is kept as entered, beside what it was parsed to,
// and shown again.
//
//   if (auto problem = read_rules(minify(*value), rules_json, rules, FilterRules::parse))
//     problems.push_back(*std::move(problem));
//   write_rules(json, "filter_rules", rules_json);

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "access/control_error.h"
#include "core/error.h"
#include "core/json_writer.h"

namespace gantry::pipeline {

/// Of an error "path: why", as the parsers of rules word theirs.
[[nodiscard]] access::FieldProblem problem_of(const Error& error);

/// Replaces `json` ("" for none) and `rules`, unless there is a problem. `text` is the member's
/// value, "null" for none.
template <class Rules>
[[nodiscard]] std::optional<access::FieldProblem> read_rules(
    std::string text, std::string& json, Rules& rules, Result<Rules> (*parse)(std::string_view)) {
  Result<Rules> parsed = parse(text);
  if (!parsed) return problem_of(parsed.error());
  json = text == "null" ? std::string() : std::move(text);
  rules = *std::move(parsed);
  return std::nullopt;
}

/// The same for rules of which only the text is kept.
[[nodiscard]] std::optional<access::FieldProblem> read_rules(
    std::string text, std::string& json, Result<void> (*check)(std::string_view));

/// `null` for none.
void write_rules(core::JsonWriter& json, std::string_view name, std::string_view rules);

}  // namespace gantry::pipeline
