#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "core/letter_case.h"
#include "pipeline/attribute_rule_internal.h"
#include "pipeline/attribute_rules.h"
#include "pipeline/rule_json_internal.h"

namespace gantry::pipeline {
namespace {

namespace dom = simdjson::dom;
using telemetry::AttributeValue;

constexpr std::string_view kRoot = "attribute_rules";

/// The fields that an action has besides `action`, `scope` and `include`.
struct ActionFields {
  std::string_view name;
  AttributeAction action;
  std::array<std::string_view, 3> fields;  ///< "" where it has fewer.
};

constexpr std::array kActions = {
    ActionFields{"insert", AttributeAction::Insert, {"key", "value", "from_attribute"}},
    ActionFields{"update", AttributeAction::Update, {"key", "value", "from_attribute"}},
    ActionFields{"upsert", AttributeAction::Upsert, {"key", "value", "from_attribute"}},
    ActionFields{"delete", AttributeAction::Delete, {"key", "pattern"}},
    ActionFields{"hash", AttributeAction::Hash, {"key", "pattern"}},
    ActionFields{"extract", AttributeAction::Extract, {"key", "pattern"}},
    ActionFields{"convert", AttributeAction::Convert, {"key", "converted_type"}},
    ActionFields{"rename", AttributeAction::Rename, {"key", "new_key"}},
};

template <class Value>
struct Word {
  std::string_view name;
  Value value;
};

constexpr std::array kScopes = {
    Word{"span", AttributeScope::Span},
    Word{"resource", AttributeScope::Resource},
    Word{"event", AttributeScope::Event},
};
constexpr std::array kTypes = {
    Word{"int", ConvertedType::Int},
    Word{"double", ConvertedType::Double},
    Word{"string", ConvertedType::String},
};
constexpr std::array kMatchTypes = {
    Word{"strict", false},
    Word{"regexp", true},
};

/// The entry of that name, or a refusal that lists the names.
template <class Entries>
Result<typename Entries::value_type> find_word(const Entries& words, std::string_view text,
                                               std::string_view path) {
  const auto found = std::ranges::find(words, text, &Entries::value_type::name);
  if (found != words.end()) return *found;
  std::vector<std::string_view> names;
  for (const auto& word : words) names.push_back(word.name);
  return refuse(path,
                fmt::format("must be one of {}, not {}", fmt::join(names, ", "), quoted(text)));
}

Result<void> check_size(std::string_view text, std::size_t bytes_max, std::string_view path) {
  if (text.empty()) return refuse(path, "is empty");
  if (text.size() > bytes_max)
    return refuse(path, fmt::format("is {} bytes, the limit is {}", text.size(), bytes_max));
  return {};
}

Result<std::unique_ptr<const RE2>> compile(std::string_view text, std::string_view path) {
  GANTRY_CHECK(check_size(text, kAttributePatternBytesMax, path));
  constexpr std::int64_t kCompiledBytesMax = 1 << 20;
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kCompiledBytesMax);
  auto pattern = std::make_unique<const RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!pattern->ok())
    return refuse(path, fmt::format("not a regular expression of RE2: {}", pattern->error()));
  return pattern;
}

/// "" when it is not there.
Result<std::string> read_key(const Members& members, std::string_view name) {
  GANTRY_TRY(const std::optional<std::string_view> text, members.text(name));
  if (!text) return std::string();
  GANTRY_CHECK(check_size(*text, kAttributeKeyBytesMax, members.path_of(name)));
  return std::string(*text);
}

Result<RuleValue> read_value(dom::element element, const std::string& path) {
  using Kind = AttributeValue::Kind;
  RuleValue value;
  std::string_view text;
  if (element.get(text) == simdjson::SUCCESS) {
    if (text.size() > kAttributeValueBytesMax)
      return refuse(
          path, fmt::format("is {} bytes, the limit is {}", text.size(), kAttributeValueBytesMax));
    value.scalar.kind = Kind::String;
    value.text = text;
  } else if (element.is_bool() && element.get(value.scalar.boolean) == simdjson::SUCCESS) {
    value.scalar.kind = Kind::Bool;
  } else if (element.is_int64() && element.get(value.scalar.integer) == simdjson::SUCCESS) {
    value.scalar.kind = Kind::Int;
  } else if (element.is_double() && element.get(value.scalar.number) == simdjson::SUCCESS) {
    value.scalar.kind = Kind::Double;
  } else {
    return refuse(path, "must be a string, a number, true or false");
  }
  return value;
}

Result<TextCondition> read_text_condition(dom::element element, bool is_regexp,
                                          const std::string& path) {
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) return refuse(path, "must be a string");
  TextCondition condition;
  if (is_regexp) {
    GANTRY_TRY(condition.pattern, compile(text, path));
  } else {
    GANTRY_CHECK(check_size(text, kAttributeValueBytesMax, path));
    condition.text = text;
  }
  return condition;
}

Result<AttributeCondition> read_attribute_condition(dom::element element, bool is_regexp,
                                                    const std::string& path) {
  static constexpr std::array<std::string_view, 2> kNames = {"key", "value"};
  GANTRY_TRY(const Members members, Members::read(element, path, kNames));
  AttributeCondition condition;
  GANTRY_CHECK(members.required_text("key"));
  GANTRY_TRY(condition.key, read_key(members, "key"));
  const dom::element* const value = members.find("value");
  if (value == nullptr) return condition;
  const std::string value_path = members.path_of("value");
  if (is_regexp) {
    GANTRY_TRY(const std::string_view text, members.required_text("value"));
    GANTRY_TRY(condition.pattern, compile(text, value_path));
  } else {
    GANTRY_TRY(RuleValue read, read_value(*value, value_path));
    condition.value = std::move(read);
  }
  return condition;
}

/// The conditions of one list; none when it is not there.
template <class Condition, class Read>
Result<std::vector<Condition>> read_conditions(const Members& members, std::string_view name,
                                               bool is_regexp, Read read) {
  std::vector<Condition> conditions;
  const dom::element* const element = members.find(name);
  if (element == nullptr) return conditions;
  const std::string path = members.path_of(name);
  GANTRY_TRY(const dom::array array, read_array(*element, path));
  for (const dom::element item : array) {
    if (conditions.size() == kAttributeIncludesMax)
      return refuse(path, fmt::format("more than {} entries", kAttributeIncludesMax));
    GANTRY_TRY(Condition condition,
               read(item, is_regexp, fmt::format("{}[{}]", path, conditions.size())));
    conditions.push_back(std::move(condition));
  }
  // An empty list would read as "nothing" and work as "everything".
  if (conditions.empty()) return refuse(path, "is empty");
  return conditions;
}

Result<AttributeInclude> read_include(dom::element element, const std::string& path,
                                      AttributeScope scope) {
  static constexpr std::array<std::string_view, 4> kNames = {"match_type", "services", "span_names",
                                                             "attributes"};
  GANTRY_TRY(const Members members, Members::read(element, path, kNames));
  GANTRY_TRY(const std::optional<std::string_view> match_type, members.text("match_type"));
  GANTRY_TRY(const auto match,
             find_word(kMatchTypes, match_type.value_or("strict"), members.path_of("match_type")));
  // One resource has many spans: it cannot be edited for some of them.
  if (scope == AttributeScope::Resource && members.find("span_names") != nullptr)
    return refuse(members.path_of("span_names"), "is not for scope resource");
  AttributeInclude include;
  GANTRY_TRY(include.services,
             read_conditions<TextCondition>(members, "services", match.value, read_text_condition));
  GANTRY_TRY(include.span_names, read_conditions<TextCondition>(members, "span_names", match.value,
                                                                read_text_condition));
  GANTRY_TRY(include.attributes, read_conditions<AttributeCondition>(
                                     members, "attributes", match.value, read_attribute_condition));
  if (include.services.empty() && include.span_names.empty() && include.attributes.empty())
    return refuse(path, "has none of services, span_names, attributes");
  return include;
}

Result<void> read_source(const Members& members, AttributeRule& rule) {
  GANTRY_TRY(rule.from_attribute, read_key(members, "from_attribute"));
  const dom::element* const value = members.find("value");
  if (rule.from_attribute.empty() == (value == nullptr))
    return refuse(members.path(), "needs one of \"value\" and \"from_attribute\"");
  if (value == nullptr) return {};
  GANTRY_TRY(rule.value, read_value(*value, members.path_of("value")));
  return {};
}

Result<void> read_pattern(const Members& members, AttributeRule& rule) {
  GANTRY_TRY(const std::optional<std::string_view> text, members.text("pattern"));
  if (!text) return {};
  GANTRY_TRY(rule.pattern, compile(*text, members.path_of("pattern")));
  return {};
}

Result<void> read_groups(const Members& members, AttributeRule& rule) {
  GANTRY_CHECK(members.required_text("pattern"));
  GANTRY_CHECK(read_pattern(members, rule));
  const auto& names = rule.pattern->CapturingGroupNames();
  const int count = rule.pattern->NumberOfCapturingGroups();
  if (count == 0) return refuse(members.path_of("pattern"), "has no named group: (?P<name>…)");
  for (int group = 1; group <= count; ++group) {
    const auto name = names.find(group);
    if (name == names.end())
      return refuse(members.path_of("pattern"),
                    fmt::format("group {} has no name: (?P<name>…)", group));
    rule.group_names.push_back(name->second);
  }
  return {};
}

Result<void> read_fields(const Members& members, AttributeRule& rule) {
  using enum AttributeAction;
  GANTRY_TRY(rule.key, read_key(members, "key"));
  const bool takes_keys_by_pattern = rule.action == Delete || rule.action == Hash;
  if (takes_keys_by_pattern) {
    GANTRY_CHECK(read_pattern(members, rule));
    if (rule.key.empty() && rule.pattern == nullptr)
      return refuse(members.path(), "needs \"key\" or \"pattern\"");
    return {};
  }
  GANTRY_CHECK(members.required_text("key"));
  switch (rule.action) {
    case Insert:
    case Update:
    case Upsert:
      return read_source(members, rule);
    case Extract:
      return read_groups(members, rule);
    case Convert: {
      GANTRY_TRY(const std::string_view type, members.required_text("converted_type"));
      GANTRY_TRY(const auto word, find_word(kTypes, type, members.path_of("converted_type")));
      rule.converted_type = word.value;
      return {};
    }
    case Rename: {
      GANTRY_CHECK(members.required_text("new_key"));
      GANTRY_TRY(rule.new_key, read_key(members, "new_key"));
      if (rule.new_key == rule.key) return refuse(members.path_of("new_key"), "is the key itself");
      return {};
    }
    case Delete:
    case Hash:
      break;
  }
  return {};
}

/// A field that the action does not read would look as if it did.
Result<void> check_fields(const Members& members, const ActionFields& action) {
  static constexpr std::array<std::string_view, 6> kFields = {
      "key", "value", "from_attribute", "pattern", "converted_type", "new_key"};
  for (const std::string_view field : kFields)
    if (members.find(field) != nullptr &&
        std::ranges::find(action.fields, field) == action.fields.end())
      return refuse(members.path_of(field), fmt::format("is not for action {}", action.name));
  return {};
}

Result<AttributeRule> read_rule(dom::element element, const std::string& path) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "action",         "key",     "value", "from_attribute", "pattern",
      "converted_type", "new_key", "scope", "include"};
  GANTRY_TRY(const Members members, Members::read(element, path, kNames));
  GANTRY_TRY(const std::string_view action_name, members.required_text("action"));
  GANTRY_TRY(const ActionFields action,
             find_word(kActions, core::to_lower(action_name), members.path_of("action")));
  GANTRY_CHECK(check_fields(members, action));
  AttributeRule rule;
  rule.action = action.action;
  GANTRY_CHECK(read_fields(members, rule));
  GANTRY_TRY(const std::optional<std::string_view> scope_name, members.text("scope"));
  GANTRY_TRY(const auto scope,
             find_word(kScopes, scope_name.value_or("span"), members.path_of("scope")));
  rule.scope = scope.value;
  if (const dom::element* const include = members.find("include"); include != nullptr) {
    GANTRY_TRY(rule.include, read_include(*include, members.path_of("include"), rule.scope));
  }
  return rule;
}

}  // namespace

AttributeValue RuleValue::view() const {
  AttributeValue value = scalar;
  value.text = text;
  return value;
}

bool TextCondition::matches(std::string_view candidate) const {
  if (pattern == nullptr) return candidate == text;
  return RE2::PartialMatch(re2::StringPiece(candidate.data(), candidate.size()), *pattern);
}

Result<std::vector<AttributeRule>> parse_attribute_rules(std::string_view json) {
  dom::parser parser;
  GANTRY_TRY(const dom::element root, read_document(parser, json, kRoot, kAttributeRulesBytesMax));
  std::vector<AttributeRule> rules;
  if (root.is_null()) return rules;
  GANTRY_TRY(const dom::array array, read_array(root, kRoot));
  for (const dom::element item : array) {
    if (rules.size() == kAttributeRulesMax)
      return refuse(kRoot, fmt::format("more than {} rules", kAttributeRulesMax));
    GANTRY_TRY(AttributeRule rule, read_rule(item, fmt::format("{}[{}]", kRoot, rules.size())));
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace gantry::pipeline
