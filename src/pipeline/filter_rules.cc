#include "pipeline/filter_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <re2/re2.h>

#include "pipeline/rule_json_internal.h"

namespace gantry::pipeline {
namespace {

namespace dom = simdjson::dom;

struct Field {
  std::string_view name;
  std::optional<std::string_view> EventFields::* text = nullptr;
  std::optional<double> EventFields::* number = nullptr;  ///< One of the two.
  bool is_content = false;
};

constexpr std::array kFields = {
    Field{.name = "model", .text = &EventFields::model},
    Field{.name = "provider", .text = &EventFields::provider},
    Field{.name = "session_id", .text = &EventFields::session_id},
    Field{.name = "user_id", .text = &EventFields::user_id},
    Field{.name = "api_key_name", .text = &EventFields::api_key_name},
    Field{.name = "finish_reason", .text = &EventFields::finish_reason},
    Field{.name = "input", .text = &EventFields::input, .is_content = true},
    Field{.name = "output", .text = &EventFields::output, .is_content = true},
    Field{.name = "total_cost", .number = &EventFields::total_cost},
    Field{.name = "total_tokens", .number = &EventFields::total_tokens},
    Field{.name = "prompt_tokens", .number = &EventFields::prompt_tokens},
    Field{.name = "completion_tokens", .number = &EventFields::completion_tokens},
};

enum class Operator : std::uint8_t {
  Equals,
  NotEquals,
  Contains,
  NotContains,
  Regex,
  StartsWith,
  EndsWith,
  Greater,
  Less,
  GreaterOrEqual,
  LessOrEqual,
  Exists,
  NotExists,
};

/// Which fields an operator is for.
enum class Operand : std::uint8_t { Any, Text, Number };

struct OperatorName {
  std::string_view name;
  Operator op;
  Operand operand;
};

constexpr std::array kOperators = {
    OperatorName{"equals", Operator::Equals, Operand::Any},
    OperatorName{"not_equals", Operator::NotEquals, Operand::Any},
    OperatorName{"contains", Operator::Contains, Operand::Text},
    OperatorName{"not_contains", Operator::NotContains, Operand::Text},
    OperatorName{"regex", Operator::Regex, Operand::Text},
    OperatorName{"starts_with", Operator::StartsWith, Operand::Text},
    OperatorName{"ends_with", Operator::EndsWith, Operand::Text},
    OperatorName{"gt", Operator::Greater, Operand::Number},
    OperatorName{"lt", Operator::Less, Operand::Number},
    OperatorName{"gte", Operator::GreaterOrEqual, Operand::Number},
    OperatorName{"lte", Operator::LessOrEqual, Operand::Number},
    OperatorName{"exists", Operator::Exists, Operand::Any},
    OperatorName{"not_exists", Operator::NotExists, Operand::Any},
};

struct Rule {
  const Field* field = nullptr;
  Operator op = Operator::Exists;
  std::string text;
  double number = 0;
  std::unique_ptr<const RE2> regex;
};

struct Group {
  bool is_or = false;
  std::vector<Rule> rules;
};

bool holds_when_absent(Operator op) {
  return op == Operator::NotEquals || op == Operator::NotContains || op == Operator::NotExists;
}

bool text_matches(const Rule& rule, std::string_view text) {
  switch (rule.op) {
    case Operator::Equals:
      return text == rule.text;
    case Operator::NotEquals:
      return text != rule.text;
    case Operator::Contains:
      return text.contains(rule.text);
    case Operator::NotContains:
      return !text.contains(rule.text);
    case Operator::Regex:
      return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *rule.regex);
    case Operator::StartsWith:
      return text.starts_with(rule.text);
    case Operator::EndsWith:
      return text.ends_with(rule.text);
    case Operator::Exists:
      return true;
    case Operator::NotExists:
    case Operator::Greater:
    case Operator::Less:
    case Operator::GreaterOrEqual:
    case Operator::LessOrEqual:
      return false;
  }
  return false;
}

bool number_matches(const Rule& rule, double number) {
  switch (rule.op) {
    case Operator::Equals:
      return number == rule.number;
    case Operator::NotEquals:
      return number != rule.number;
    case Operator::Greater:
      return number > rule.number;
    case Operator::Less:
      return number < rule.number;
    case Operator::GreaterOrEqual:
      return number >= rule.number;
    case Operator::LessOrEqual:
      return number <= rule.number;
    case Operator::Exists:
      return true;
    case Operator::NotExists:
    case Operator::Contains:
    case Operator::NotContains:
    case Operator::Regex:
    case Operator::StartsWith:
    case Operator::EndsWith:
      return false;
  }
  return false;
}

bool rule_matches(const Rule& rule, const EventFields& fields) {
  if (rule.field->text != nullptr) {
    const std::optional<std::string_view>& text = fields.*(rule.field->text);
    return text ? text_matches(rule, *text) : holds_when_absent(rule.op);
  }
  const std::optional<double>& number = fields.*(rule.field->number);
  return number ? number_matches(rule, *number) : holds_when_absent(rule.op);
}

bool group_matches(const Group& group, const EventFields& fields) {
  const auto holds = [&](const Rule& rule) { return rule_matches(rule, fields); };
  return group.is_or ? std::ranges::any_of(group.rules, holds)
                     : std::ranges::all_of(group.rules, holds);
}

template <class Entries>
std::string names_of(const Entries& entries) {
  std::vector<std::string_view> names;
  for (const auto& entry : entries) names.push_back(entry.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// A finite decimal number that takes up the whole text.
std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

Result<void> set_number(Rule& rule, const dom::element* value, std::string_view path) {
  std::string_view text;
  if (value != nullptr && value->is_number()) {
    // Integers beyond 2^53 lose digits, as all JSON numbers do.
    if (value->get(rule.number) == simdjson::SUCCESS) return {};
  } else if (value != nullptr && value->get(text) == simdjson::SUCCESS) {
    if (const std::optional<double> number = parse_number(text)) {
      rule.number = *number;
      return {};
    }
    return refuse(path, fmt::format("{} is not a number, which {} is compared with", quoted(text),
                                    rule.field->name));
  }
  return refuse(path, fmt::format("must be a number or numeric text, which {} is compared with",
                                  rule.field->name));
}

Result<void> set_text(Rule& rule, const dom::element* value, std::string_view path) {
  std::string_view text;
  if (value == nullptr || value->get(text) != simdjson::SUCCESS)
    return refuse(path,
                  fmt::format("must be a string, which {} is compared with", rule.field->name));
  const bool is_regex = rule.op == Operator::Regex;
  const std::size_t bytes_max = is_regex ? kFilterRegexBytesMax : kFilterValueBytesMax;
  if (text.size() > bytes_max)
    return refuse(path, fmt::format("is {} bytes, the limit {}is {}", text.size(),
                                    is_regex ? "of a regex " : "", bytes_max));
  rule.text = text;
  if (!is_regex) return {};

  constexpr std::int64_t kCompiledBytesMax = 1 << 20;
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kCompiledBytesMax);
  rule.regex = std::make_unique<const RE2>(rule.text, options);
  if (!rule.regex->ok())
    return refuse(path, fmt::format("not a regular expression of RE2: {}", rule.regex->error()));
  return {};
}

Result<Rule> read_rule(dom::element element, std::string_view path) {
  static constexpr std::array<std::string_view, 3> kNames = {"field", "operator", "value"};
  GANTRY_TRY(const Members members, Members::read(element, path, kNames));
  GANTRY_TRY(const std::string_view field_name, members.required_text("field"));
  GANTRY_TRY(const std::string_view operator_name, members.required_text("operator"));
  const auto field = std::ranges::find(kFields, field_name, &Field::name);
  if (field == kFields.end())
    return refuse(path, fmt::format("unknown field {}; the fields are {}", quoted(field_name),
                                    names_of(kFields)));
  const auto op = std::ranges::find(kOperators, operator_name, &OperatorName::name);
  if (op == kOperators.end())
    return refuse(path, fmt::format("unknown operator {}; the operators are {}",
                                    quoted(operator_name), names_of(kOperators)));
  const bool is_text = field->text != nullptr;
  if (op->operand == (is_text ? Operand::Number : Operand::Text))
    return refuse(
        path, fmt::format("\"{}\" is for {}, and {} is {}", op->name, is_text ? "numbers" : "text",
                          field->name, is_text ? "text" : "a number"));

  Rule rule{.field = &*field, .op = op->op};
  if (rule.op == Operator::Exists || rule.op == Operator::NotExists) return rule;
  const dom::element* const value = members.find("value");
  const std::string value_path = fmt::format("{}.value", path);
  if (is_text) {
    GANTRY_CHECK(set_text(rule, value, value_path));
  } else {
    GANTRY_CHECK(set_number(rule, value, value_path));
  }
  return rule;
}

/// `rules_left`: what the limit of all groups together leaves for this one and those behind it.
Result<Group> read_group(dom::element element, std::string_view path, std::size_t& rules_left) {
  static constexpr std::array<std::string_view, 2> kNames = {"logic", "rules"};
  GANTRY_TRY(const Members members, Members::read(element, path, kNames));
  GANTRY_TRY(const std::string_view logic, members.required_text("logic"));
  if (logic != "and" && logic != "or")
    return refuse(fmt::format("{}.logic", path),
                  fmt::format("must be \"and\" or \"or\", not {}", quoted(logic)));
  const dom::element* const rules = members.find("rules");
  if (rules == nullptr) return refuse(path, "\"rules\" is missing");
  const std::string rules_path = fmt::format("{}.rules", path);
  GANTRY_TRY(const dom::array array, read_array(*rules, rules_path));

  Group group{.is_or = logic == "or"};
  for (const dom::element rule : array) {
    if (rules_left == 0)
      return refuse("filter_rules", fmt::format("more than {} rules", kFilterRulesMax));
    --rules_left;
    GANTRY_TRY(Rule read, read_rule(rule, fmt::format("{}[{}]", rules_path, group.rules.size())));
    group.rules.push_back(std::move(read));
  }
  return group;
}

Result<std::vector<Group>> read_groups(const dom::element& element) {
  constexpr std::string_view kPath = "filter_rules.groups";
  GANTRY_TRY(const dom::array array, read_array(element, kPath));
  std::vector<Group> groups;
  std::size_t rules_left = kFilterRulesMax;
  for (const dom::element group : array) {
    if (groups.size() == kFilterGroupsMax)
      return refuse(kPath, fmt::format("more than {} groups", kFilterGroupsMax));
    GANTRY_TRY(Group read,
               read_group(group, fmt::format("{}[{}]", kPath, groups.size()), rules_left));
    groups.push_back(std::move(read));
  }
  return groups;
}

}  // namespace

struct FilterRules::Impl {
  std::vector<Group> groups;
  bool reads_content = false;
};

Result<FilterRules> FilterRules::parse(std::string_view json) {
  static constexpr std::array<std::string_view, 2> kNames = {"enabled", "groups"};
  constexpr std::string_view kPath = "filter_rules";
  dom::parser parser;
  GANTRY_TRY(const dom::element root, read_document(parser, json, kPath, kFilterRulesBytesMax));
  if (root.is_null()) return FilterRules();

  GANTRY_TRY(const Members members, Members::read(root, kPath, kNames));
  GANTRY_TRY(const std::optional<bool> enabled, members.boolean("enabled"));
  Impl impl;
  if (const dom::element* const groups = members.find("groups"); groups != nullptr) {
    GANTRY_TRY(impl.groups, read_groups(*groups));
  }
  // Groups are joined by OR: one without rules passes everything.
  const auto is_empty = [](const Group& group) { return group.rules.empty(); };
  if (!enabled.value_or(true) || impl.groups.empty() || std::ranges::any_of(impl.groups, is_empty))
    return FilterRules();
  impl.reads_content =
      std::ranges::any_of(impl.groups | std::views::transform(&Group::rules) | std::views::join,
                          [](const Rule& rule) { return rule.field->is_content; });
  FilterRules rules;
  rules.impl_ = std::make_shared<const Impl>(std::move(impl));
  return rules;
}

bool FilterRules::matches(const EventFields& fields) const {
  if (impl_ == nullptr) return true;
  return std::ranges::any_of(impl_->groups,
                             [&](const Group& group) { return group_matches(group, fields); });
}

bool FilterRules::reads_content() const {
  return impl_ != nullptr && impl_->reads_content;
}

}  // namespace gantry::pipeline
