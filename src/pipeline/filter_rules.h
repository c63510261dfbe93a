#pragma once

// Which events a destination takes: rules over the fields of an LLM call, in groups joined by OR.
//
//   GANTRY_TRY(const FilterRules rules, FilterRules::parse(json));
//   if (!rules.matches(fields)) …   // counted as "filtered"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::pipeline {

inline constexpr std::size_t kFilterRulesBytesMax = 64 << 10;  ///< Of the JSON text.
inline constexpr std::size_t kFilterGroupsMax = 32;
inline constexpr std::size_t kFilterRulesMax = 128;  ///< In all groups together.
inline constexpr std::size_t kFilterValueBytesMax = 4096;
inline constexpr std::size_t kFilterRegexBytesMax = 512;

/// What rules can ask about; a field that is not there has its own rules (see matches).
struct EventFields {
  std::optional<std::string_view> model;
  std::optional<std::string_view> provider;
  std::optional<std::string_view> session_id;
  std::optional<std::string_view> user_id;
  std::optional<std::string_view> api_key_name;
  std::optional<std::string_view> finish_reason;
  std::optional<std::string_view> input;
  std::optional<std::string_view> output;
  std::optional<double> total_cost;
  std::optional<double> total_tokens;
  std::optional<double> prompt_tokens;
  std::optional<double> completion_tokens;
};

/// Immutable, thread-safe, cheap to copy. Default: passes everything.
class FilterRules {
 public:
  FilterRules() = default;

  /// From `{"enabled":true,"groups":[{"logic":"and","rules":[{"field","operator","value"}]}]}`;
  /// `null` passes everything. `enabled` is true and `groups` empty when they are not there; a key
  /// that is not known or given twice is refused. Texts take equals, not_equals, contains,
  /// not_contains, regex (RE2, matches anywhere), starts_with and ends_with, numbers take equals,
  /// not_equals, gt, lt, gte and lte with a number or numeric text; all take exists and not_exists,
  /// whose value does not matter. Errors: InvalidArgument, which names the group and the rule
  /// ("filter_rules.groups[0].rules[1].value: …") and the limit if one is passed.
  static Result<FilterRules> parse(std::string_view json);

  /// Groups are joined by OR; no group, an empty group and `enabled: false` pass. Text is compared
  /// by its bytes. Of a field that is not there, not_equals, not_contains and not_exists are true
  /// and all others false.
  [[nodiscard]] bool matches(const EventFields& fields) const;

  /// Whether an answer of `matches` can depend on the recorded content (input, output).
  [[nodiscard]] bool reads_content() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;  ///< Null: passes everything.
};

}  // namespace gantry::pipeline
