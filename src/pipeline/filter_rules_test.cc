#include "pipeline/filter_rules.h"

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "pipeline/testing/broadcast_tables.h"

namespace gantry::pipeline {
namespace {

using nlohmann::json;

/// Views into `event`, which must outlive the result.
EventFields fields_of(const json& event) {
  EventFields fields;
  const auto text = [&](const char* name, std::optional<std::string_view>& field) {
    if (const auto& value = event.at(name); value.is_string())
      field = value.get_ref<const std::string&>();
  };
  const auto number = [&](const char* name, std::optional<double>& field) {
    if (const auto& value = event.at(name); value.is_number()) field = value.get<double>();
  };
  text("model", fields.model);
  text("provider", fields.provider);
  text("session_id", fields.session_id);
  text("user_id", fields.user_id);
  text("api_key_name", fields.api_key_name);
  text("finish_reason", fields.finish_reason);
  text("input", fields.input);
  text("output", fields.output);
  number("total_cost", fields.total_cost);
  number("total_tokens", fields.total_tokens);
  number("prompt_tokens", fields.prompt_tokens);
  number("completion_tokens", fields.completion_tokens);
  return fields;
}

/// Rules of one group with one rule.
std::string one_rule(std::string_view rule) {
  return R"({"groups":[{"logic":"and","rules":[)" + std::string(rule) + "]}]}";
}

std::string error_of(std::string_view text) {
  const auto rules = FilterRules::parse(text);
  if (rules) return "accepted";
  EXPECT_EQ(rules.error().code, Code::InvalidArgument);
  return rules.error().message;
}

bool matches(std::string_view rule, const EventFields& fields) {
  const auto rules = FilterRules::parse(one_rule(rule));
  EXPECT_TRUE(rules) << (rules ? "" : rules.error().message);
  return rules && rules->matches(fields);
}

TEST(FilterRules, AreThoseOfThePublishedTable) {
  GANTRY_BROADCAST_JSON(table, "table-filters.json");
  const EventFields fields = fields_of(table.at("event"));
  for (const json& row : table.at("rows")) {
    json text = row;
    text.erase("result");
    const auto rules = FilterRules::parse(text.dump());
    if (row.at("result") == "invalid") {
      EXPECT_FALSE(rules) << text;
    } else {
      ASSERT_TRUE(rules) << text << " " << rules.error().message;
      EXPECT_EQ(rules->matches(fields), row.at("result").get<bool>()) << text;
    }
  }
}

TEST(FilterRules, WithoutGroupsPassEverything) {
  for (const std::string_view text :
       {"null", "{}", R"({"enabled":true})", R"({"enabled":true,"groups":[]})",
        R"({"groups":[{"logic":"or","rules":[]}]})",
        R"({"groups":[{"logic":"and","rules":[{"field":"model","operator":"exists"}]},)"
        R"({"logic":"and","rules":[]}]})"}) {
    const auto rules = FilterRules::parse(text);
    ASSERT_TRUE(rules) << text;
    EXPECT_TRUE(rules->matches({})) << text;
    EXPECT_FALSE(rules->reads_content()) << text;
  }
  EXPECT_TRUE(FilterRules().matches({}));
}

TEST(FilterRules, CompareTextByItsBytes) {
  const EventFields fields{.model = "Größe", .input = std::string_view("a\nb\0c", 5)};
  EXPECT_TRUE(
      matches(R"({"field":"model","operator":"equals","value":"Gr\u00f6\u00dfe"})", fields));
  EXPECT_FALSE(matches(R"({"field":"model","operator":"contains","value":"grö"})", fields));
  EXPECT_TRUE(matches(R"({"field":"model","operator":"regex","value":"(?i)grÖ.e"})", fields));
  EXPECT_TRUE(matches(R"({"field":"input","operator":"ends_with","value":"\u0000c"})", fields));
  EXPECT_TRUE(matches(R"({"field":"input","operator":"starts_with","value":""})", fields));
  // As in Go: a dot takes no newline unless it is told to.
  EXPECT_FALSE(matches(R"({"field":"input","operator":"regex","value":"a.b"})", fields));
  EXPECT_TRUE(matches(R"({"field":"input","operator":"regex","value":"(?s)a.b"})", fields));
}

TEST(FilterRules, CompareNumbers) {
  const EventFields fields{.total_cost = 0.004, .total_tokens = 120};
  EXPECT_TRUE(matches(R"({"field":"total_tokens","operator":"equals","value":"1.2e2"})", fields));
  EXPECT_TRUE(matches(R"({"field":"total_tokens","operator":"not_equals","value":121})", fields));
  EXPECT_TRUE(matches(R"({"field":"total_cost","operator":"gt","value":-1})", fields));
  EXPECT_FALSE(matches(R"({"field":"total_cost","operator":"lt","value":0.004})", fields));
  const EventFields unknown{.total_cost = std::numeric_limits<double>::quiet_NaN()};
  EXPECT_FALSE(matches(R"({"field":"total_cost","operator":"gte","value":0})", unknown));
  EXPECT_TRUE(matches(R"({"field":"total_cost","operator":"exists"})", unknown));
}

TEST(FilterRules, AFieldThatIsNotThereFailsAllButTheNegations) {
  struct Row {
    std::string_view op, text_value, number_value;
    bool holds;
  };

  for (const Row& row :
       {Row{"equals", "\"\"", "0", false}, Row{"not_equals", "\"a\"", "1", true},
        Row{"contains", "\"\"", "", false}, Row{"not_contains", "\"\"", "", true},
        Row{"regex", "\"\"", "", false}, Row{"starts_with", "\"\"", "", false},
        Row{"ends_with", "\"\"", "", false}, Row{"gt", "", "-1", false}, Row{"lt", "", "1", false},
        Row{"gte", "", "0", false}, Row{"lte", "", "0", false},
        Row{"exists", "null", "null", false}, Row{"not_exists", "null", "null", true}}) {
    const auto holds = [&](std::string_view field, std::string_view value) {
      return matches(R"({"field":")" + std::string(field) + R"(","operator":")" +
                         std::string(row.op) + R"(","value":)" + std::string(value) + "}",
                     {});
    };
    if (!row.text_value.empty()) EXPECT_EQ(holds("input", row.text_value), row.holds) << row.op;
    if (!row.number_value.empty())
      EXPECT_EQ(holds("prompt_tokens", row.number_value), row.holds) << row.op;
  }
}

TEST(FilterRules, SayWhetherTheyReadContent) {
  const auto reads = [](std::string_view text) {
    return FilterRules::parse(text).value().reads_content();
  };
  EXPECT_TRUE(reads(one_rule(R"({"field":"input","operator":"exists"})")));
  EXPECT_TRUE(reads(one_rule(R"({"field":"model","operator":"exists"},)"
                             R"({"field":"output","operator":"not_contains","value":"x"})")));
  EXPECT_FALSE(reads(one_rule(R"({"field":"total_tokens","operator":"gt","value":1})")));
  EXPECT_FALSE(reads(R"({"enabled":false,"groups":[{"logic":"or","rules":)"
                     R"([{"field":"input","operator":"exists"}]}]})"));
}

struct Refusal {
  std::string_view name;
  std::string text;
  std::string_view error;
};

class FilterRulesRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(FilterRulesRefusalTest, NamesThePlace) {
  EXPECT_EQ(error_of(GetParam().text), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Shape, FilterRulesRefusalTest,
    ::testing::Values(
        Refusal{"array", "[]", "filter_rules: must be an object"},
        Refusal{"unknown_key", R"({"group":[]})",
                R"(filter_rules: unknown key "group"; the keys are enabled, groups)"},
        Refusal{"twice", R"({"groups":[],"groups":[]})",
                R"(filter_rules: "groups" is given twice)"},
        Refusal{"enabled", R"({"enabled":"yes"})", "filter_rules.enabled: must be true or false"},
        Refusal{"groups", R"({"groups":{}})", "filter_rules.groups: must be an array"},
        Refusal{"group", R"({"groups":[1]})", "filter_rules.groups[0]: must be an object"},
        Refusal{"no_logic", R"({"groups":[{"rules":[]}]})",
                R"(filter_rules.groups[0]: "logic" is missing)"},
        Refusal{"logic", R"({"groups":[{"logic":"xor","rules":[]}]})",
                R"(filter_rules.groups[0].logic: must be "and" or "or", not "xor")"},
        Refusal{"no_rules", R"({"groups":[{"logic":"or"}]})",
                R"(filter_rules.groups[0]: "rules" is missing)"},
        Refusal{"rules", R"({"groups":[{"logic":"or","rules":1}]})",
                "filter_rules.groups[0].rules: must be an array"},
        Refusal{"disabled_is_checked", R"({"enabled":false,"groups":[1]})",
                "filter_rules.groups[0]: must be an object"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Rule, FilterRulesRefusalTest,
    ::testing::Values(
        Refusal{"rule", one_rule("[]"), "filter_rules.groups[0].rules[0]: must be an object"},
        Refusal{"no_field", one_rule(R"({"operator":"exists"})"),
                R"(filter_rules.groups[0].rules[0]: "field" is missing)"},
        Refusal{"field_type", one_rule(R"({"field":1,"operator":"exists"})"),
                "filter_rules.groups[0].rules[0].field: must be a string"},
        Refusal{"field", one_rule(R"({"field":"models","operator":"exists"})"),
                R"(filter_rules.groups[0].rules[0]: unknown field "models"; the fields are model, )"
                "provider, session_id, user_id, api_key_name, finish_reason, input, output, "
                "total_cost, total_tokens, prompt_tokens, completion_tokens"},
        Refusal{"operator", one_rule(R"({"field":"model","operator":"="})"),
                R"(filter_rules.groups[0].rules[0]: unknown operator "="; the operators are )"
                "equals, not_equals, contains, not_contains, regex, starts_with, ends_with, gt, "
                "lt, gte, lte, exists, not_exists"},
        Refusal{"second_rule",
                one_rule(R"({"field":"model","operator":"exists"},{"field":"model","operator":)"
                         R"("gt","value":1})"),
                R"(filter_rules.groups[0].rules[1]: "gt" is for numbers, and model is text)"},
        Refusal{"text_operator", one_rule(R"({"field":"total_cost","operator":"contains"})"),
                R"(filter_rules.groups[0].rules[0]: "contains" is for text, and total_cost is a )"
                "number"},
        Refusal{"no_value", one_rule(R"({"field":"model","operator":"equals"})"),
                "filter_rules.groups[0].rules[0].value: must be a string, which model is "
                "compared with"},
        Refusal{"text_value", one_rule(R"({"field":"model","operator":"equals","value":1})"),
                "filter_rules.groups[0].rules[0].value: must be a string, which model is "
                "compared with"},
        Refusal{"number_value", one_rule(R"({"field":"total_cost","operator":"gt","value":true})"),
                "filter_rules.groups[0].rules[0].value: must be a number or numeric text, which "
                "total_cost is compared with"},
        Refusal{"numeric_text",
                one_rule(R"({"field":"total_cost","operator":"gt","value":"1 USD"})"),
                R"(filter_rules.groups[0].rules[0].value: "1 USD" is not a number, which )"
                "total_cost is compared with"},
        Refusal{"infinity", one_rule(R"({"field":"total_cost","operator":"gt","value":"inf"})"),
                R"(filter_rules.groups[0].rules[0].value: "inf" is not a number, which )"
                "total_cost is compared with"},
        Refusal{"regex", one_rule(R"({"field":"model","operator":"regex","value":"("})"),
                "filter_rules.groups[0].rules[0].value: not a regular expression of RE2: "
                "missing ): ("},
        Refusal{"lookahead", one_rule(R"x({"field":"model","operator":"regex","value":"(?=a)"})x"),
                "filter_rules.groups[0].rules[0].value: not a regular expression of RE2: "
                "invalid perl operator: (?="}),
    [](const auto& c) { return std::string(c.param.name); });

/// `count` texts with commas between them.
std::string repeated(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all.append(i == 0 ? "" : ",").append(text);
  return all;
}

std::string text_rule(std::string_view op, std::size_t bytes) {
  return R"({"field":"model","operator":")" + std::string(op) + R"(","value":")" +
         std::string(bytes, 'a') + R"("})";
}

TEST(FilterRules, HaveLimits) {
  const std::string rule = R"({"field":"model","operator":"exists"})";
  EXPECT_EQ(error_of(one_rule(repeated(rule, kFilterRulesMax))), "accepted");
  EXPECT_EQ(error_of(one_rule(repeated(rule, kFilterRulesMax + 1))),
            "filter_rules: more than 128 rules");
  const std::string group = R"({"logic":"or","rules":[)" + repeated(rule, 5) + "]}";
  EXPECT_EQ(error_of(R"({"groups":[)" + repeated(group, 26) + "]}"),
            "filter_rules: more than 128 rules");
  const std::string empty = R"({"logic":"or","rules":[]})";
  EXPECT_EQ(error_of(R"({"groups":[)" + repeated(empty, kFilterGroupsMax) + "]}"), "accepted");
  EXPECT_EQ(error_of(R"({"groups":[)" + repeated(empty, kFilterGroupsMax + 1) + "]}"),
            "filter_rules.groups: more than 32 groups");
  EXPECT_EQ(error_of(one_rule(text_rule("equals", kFilterValueBytesMax))), "accepted");
  EXPECT_EQ(error_of(one_rule(text_rule("equals", kFilterValueBytesMax + 1))),
            "filter_rules.groups[0].rules[0].value: is 4097 bytes, the limit is 4096");
  EXPECT_EQ(error_of(one_rule(text_rule("regex", kFilterRegexBytesMax))), "accepted");
  EXPECT_EQ(error_of(one_rule(text_rule("regex", kFilterRegexBytesMax + 1))),
            "filter_rules.groups[0].rules[0].value: is 513 bytes, the limit of a regex is 512");
  EXPECT_EQ(error_of(one_rule(R"({"field":"model","operator":"regex","value":"(a{999}){999}"})")),
            "filter_rules.groups[0].rules[0].value: not a regular expression of RE2: "
            "invalid repetition size: {999}");
  EXPECT_EQ(error_of("null" + std::string(kFilterRulesBytesMax, ' ')),
            "filter_rules: is 65540 bytes, the limit is 65536");
}

TEST(FilterRules, ShowOnlyTheBeginningOfWhatTheyDoNotKnow) {
  const std::string error =
      error_of(one_rule(R"({"field":")" + std::string(5000, 'x') + R"(","operator":"exists"})"));
  EXPECT_TRUE(error.starts_with("filter_rules.groups[0].rules[0]: unknown field \"xxx"));
  EXPECT_LT(error.size(), 400U);
}

TEST(FilterRules, RefuseWhatIsNoJson) {
  for (const std::string_view text : {"", "{", "{} {}", "{\"enabled\":tru}", "\xff"}) {
    EXPECT_TRUE(error_of(text).starts_with("filter_rules: not JSON: ")) << text;
  }
  EXPECT_NE(error_of(std::string(10'000, '[')), "accepted");
}

/// One random rule with its plain meaning.
struct RandomRule {
  json text;
  std::function<bool(const EventFields&)> holds;
};

RandomRule random_text_rule() {
  const auto op = *rc::gen::element<std::string>("equals", "not_equals", "contains", "not_contains",
                                                 "starts_with", "ends_with");
  const auto value = *rc::gen::element<std::string>("", "a", "b", "ab", "ba");
  const bool is_model = *rc::gen::arbitrary<bool>();
  const auto holds = [=](const EventFields& fields) {
    const auto& field = is_model ? fields.model : fields.output;
    const bool is_negation = op.starts_with("not_");
    if (!field) return is_negation;
    bool is_match = false;
    if (op.ends_with("equals")) is_match = *field == value;
    if (op.ends_with("contains")) is_match = field->find(value) != std::string_view::npos;
    if (op == "starts_with") is_match = field->substr(0, value.size()) == value;
    if (op == "ends_with")
      is_match =
          field->size() >= value.size() && field->substr(field->size() - value.size()) == value;
    return is_match != is_negation;
  };
  return {{{"field", is_model ? "model" : "output"}, {"operator", op}, {"value", value}}, holds};
}

RandomRule random_number_rule() {
  const auto op = *rc::gen::element<std::string>("gt", "lt", "gte", "lte", "equals");
  const int value = *rc::gen::inRange(0, 3);
  const auto holds = [=](const EventFields& fields) {
    if (!fields.total_tokens) return false;
    if (op == "equals") return *fields.total_tokens == value;
    const bool is_equal = *fields.total_tokens == value;
    const bool is_beyond =
        op.starts_with("g") ? *fields.total_tokens > value : *fields.total_tokens < value;
    return is_beyond || (op.ends_with("e") && is_equal);
  };
  return {{{"field", "total_tokens"}, {"operator", op}, {"value", value}}, holds};
}

RC_GTEST_PROP(FilterRules, MeanWhatTheirPlainTwinMeans, ()) {
  const auto maybe_text = [] {
    return *rc::gen::element<std::optional<std::string_view>>(std::nullopt, "", "a", "ab", "bab");
  };
  EventFields fields{.model = maybe_text(), .output = maybe_text()};
  if (*rc::gen::arbitrary<bool>()) fields.total_tokens = *rc::gen::inRange(0, 3);

  json groups = json::array();
  bool expected = false;
  const int group_count = *rc::gen::inRange(0, 4);
  for (int g = 0; g < group_count; ++g) {
    const bool is_or = *rc::gen::arbitrary<bool>();
    const int rule_count = *rc::gen::inRange(0, 4);
    json rules = json::array();
    int held = 0;
    for (int r = 0; r < rule_count; ++r) {
      const RandomRule rule =
          *rc::gen::arbitrary<bool>() ? random_text_rule() : random_number_rule();
      rules.push_back(rule.text);
      held += rule.holds(fields) ? 1 : 0;
    }
    groups.push_back({{"logic", is_or ? "or" : "and"}, {"rules", rules}});
    expected = expected || rule_count == 0 || (is_or ? held > 0 : held == rule_count);
  }
  const json text = {{"enabled", true}, {"groups", groups}};
  const auto rules = FilterRules::parse(text.dump());
  RC_ASSERT(rules.has_value());
  RC_ASSERT(rules->matches(fields) == (expected || group_count == 0));
}

}  // namespace
}  // namespace gantry::pipeline
