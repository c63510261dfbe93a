#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "pipeline/attribute_rules.h"

namespace gantry::pipeline {
namespace {

std::string error_of(std::string_view json) {
  const auto rules = AttributeRules::parse(json);
  if (rules) return "accepted";
  EXPECT_EQ(rules.error().code, Code::InvalidArgument);
  return rules.error().message;
}

struct ErrorCase {
  std::string_view name, rules, expected;
};

class AttributeRulesErrorTest : public ::testing::TestWithParam<ErrorCase> {};

TEST_P(AttributeRulesErrorTest, NamesTheRuleAndTheField) {
  EXPECT_EQ(error_of(GetParam().rules), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Refused, AttributeRulesErrorTest,
    ::testing::Values(
        ErrorCase{"no_array", "{}", "attribute_rules: must be an array"},
        ErrorCase{"no_object", "[1]", "attribute_rules[0]: must be an object"},
        ErrorCase{"no_action", R"j([{"key":"a"}])j", R"(attribute_rules[0]: "action" is missing)"},
        ErrorCase{"unknown_action",
                  R"j([{"action":"delete","key":"a"},{"action":"drop","key":"a"}])j",
                  "attribute_rules[1].action: must be one of insert, update, upsert, delete, hash, "
                  "extract, convert, rename, not \"drop\""},
        ErrorCase{"unknown_key", R"j([{"action":"delete","keys":"a"}])j",
                  "attribute_rules[0]: unknown key \"keys\"; the keys are action, key, value, "
                  "from_attribute, pattern, converted_type, new_key, scope, include"},
        ErrorCase{"twice", R"j([{"action":"delete","key":"a","key":"b"}])j",
                  R"(attribute_rules[0]: "key" is given twice)"},
        ErrorCase{"useless", R"j([{"action":"delete","key":"a","value":1}])j",
                  "attribute_rules[0].value: is not for action delete"},
        ErrorCase{"no_key", R"j([{"action":"insert","value":1}])j",
                  R"(attribute_rules[0]: "key" is missing)"},
        ErrorCase{"empty_key", R"j([{"action":"insert","key":"","value":1}])j",
                  "attribute_rules[0].key: is empty"},
        ErrorCase{"no_source", R"j([{"action":"insert","key":"a"}])j",
                  R"(attribute_rules[0]: needs one of "value" and "from_attribute")"},
        ErrorCase{"two_sources",
                  R"j([{"action":"insert","key":"a","value":1,"from_attribute":"b"}])j",
                  R"(attribute_rules[0]: needs one of "value" and "from_attribute")"},
        ErrorCase{"value_type", R"j([{"action":"insert","key":"a","value":[]}])j",
                  "attribute_rules[0].value: must be a string, a number, true or false"},
        ErrorCase{"nothing_meant", R"j([{"action":"hash"}])j",
                  R"(attribute_rules[0]: needs "key" or "pattern")"},
        ErrorCase{"bad_pattern", R"j([{"action":"delete","pattern":"("}])j",
                  "attribute_rules[0].pattern: not a regular expression of RE2: missing ): ("},
        ErrorCase{"no_groups", R"j([{"action":"extract","key":"a","pattern":".*"}])j",
                  "attribute_rules[0].pattern: has no named group: (?P<name>…)"},
        ErrorCase{"unnamed_group", R"j([{"action":"extract","key":"a","pattern":"(?P<x>.)(.)"}])j",
                  "attribute_rules[0].pattern: group 2 has no name: (?P<name>…)"},
        ErrorCase{"no_type", R"j([{"action":"convert","key":"a"}])j",
                  R"(attribute_rules[0]: "converted_type" is missing)"},
        ErrorCase{"bad_type", R"j([{"action":"convert","key":"a","converted_type":"bool"}])j",
                  "attribute_rules[0].converted_type: must be one of int, double, string, not "
                  "\"bool\""},
        ErrorCase{"same_name", R"j([{"action":"rename","key":"a","new_key":"a"}])j",
                  "attribute_rules[0].new_key: is the key itself"},
        ErrorCase{"bad_scope", R"j([{"action":"delete","key":"a","scope":"link"}])j",
                  "attribute_rules[0].scope: must be one of span, resource, event, not \"link\""},
        ErrorCase{"empty_include", R"j([{"action":"delete","key":"a","include":{}}])j",
                  "attribute_rules[0].include: has none of services, span_names, attributes"},
        ErrorCase{"empty_list", R"j([{"action":"delete","key":"a","include":{"services":[]}}])j",
                  "attribute_rules[0].include.services: is empty"},
        ErrorCase{"include_type", R"j([{"action":"delete","key":"a","include":{"services":[1]}}])j",
                  "attribute_rules[0].include.services[0]: must be a string"},
        ErrorCase{
            "match_type",
            R"j([{"action":"delete","key":"a","include":{"match_type":"glob","services":["a"]}}])j",
            "attribute_rules[0].include.match_type: must be one of strict, regexp, not "
            "\"glob\""},
        ErrorCase{
            "span_names_of_a_resource",
            R"j([{"action":"delete","key":"a","scope":"resource","include":{"span_names":["a"]}}])j",
            "attribute_rules[0].include.span_names: is not for scope resource"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(AttributeRules, LimitsAreNamed) {
  const std::string long_key(kAttributeKeyBytesMax + 1, 'k');
  EXPECT_EQ(error_of(R"([{"action":"delete","key":")" + long_key + R"("}])"),
            "attribute_rules[0].key: is 257 bytes, the limit is 256");
  const std::string long_value(kAttributeValueBytesMax + 1, 'v');
  EXPECT_EQ(error_of(R"([{"action":"insert","key":"a","value":")" + long_value + R"("}])"),
            "attribute_rules[0].value: is 4097 bytes, the limit is 4096");
  const std::string long_pattern(kAttributePatternBytesMax + 1, 'p');
  EXPECT_EQ(error_of(R"([{"action":"delete","pattern":")" + long_pattern + R"("}])"),
            "attribute_rules[0].pattern: is 513 bytes, the limit is 512");
  std::string many = "[";
  for (std::size_t i = 0; i < kAttributeRulesMax; ++i)
    many.append(i > 0 ? "," : "").append(R"({"action":"delete","key":"a"})");
  EXPECT_EQ(error_of(many + "]"), "accepted");
  EXPECT_EQ(error_of(many + R"(,{"action":"delete","key":"a"}])"),
            "attribute_rules: more than 100 rules");
  EXPECT_EQ(error_of(std::string(kAttributeRulesBytesMax + 1, ' ')),
            "attribute_rules: is 65537 bytes, the limit is 65536");
}

}  // namespace
}  // namespace gantry::pipeline
