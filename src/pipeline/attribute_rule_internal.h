#pragma once

// One attribute rule as it was written, checked.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <re2/re2.h>

#include "core/error.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

enum class AttributeAction : std::uint8_t {
  Insert,
  Update,
  Upsert,
  Delete,
  Hash,
  Extract,
  Convert,
  Rename,
};

enum class AttributeScope : std::uint8_t { Span, Resource, Event };

enum class ConvertedType : std::uint8_t { Int, Double, String };

/// A value that was written in a rule: a scalar.
struct RuleValue {
  telemetry::AttributeValue scalar;  ///< Of a text without its `text`.
  std::string text;

  /// Points into this.
  [[nodiscard]] telemetry::AttributeValue view() const;
};

/// A text of a condition, or an expression that is to be found in one.
struct TextCondition {
  std::string text;
  std::unique_ptr<const RE2> pattern;  ///< Null: the text must be equal.

  [[nodiscard]] bool matches(std::string_view candidate) const;
};

struct AttributeCondition {
  std::string key;
  std::optional<RuleValue> value;
  std::unique_ptr<const RE2> pattern;  ///< Instead of the value; without both the key is enough.
};

/// Where a rule applies; empty lists do not matter.
struct AttributeInclude {
  std::vector<TextCondition> services;
  std::vector<TextCondition> span_names;
  std::vector<AttributeCondition> attributes;
};

struct AttributeRule {
  AttributeAction action = AttributeAction::Insert;
  AttributeScope scope = AttributeScope::Span;
  std::string key;  ///< Empty where a pattern stands for it.
  std::string new_key;
  std::string from_attribute;  ///< Empty: `value`.
  RuleValue value;
  ConvertedType converted_type = ConvertedType::Int;
  std::unique_ptr<const RE2> pattern;
  std::vector<std::string> group_names;  ///< Of `pattern`, the first group's first.
  AttributeInclude include;
};

/// Errors: as AttributeRules::parse.
[[nodiscard]] Result<std::vector<AttributeRule>> parse_attribute_rules(std::string_view json);

}  // namespace gantry::pipeline
