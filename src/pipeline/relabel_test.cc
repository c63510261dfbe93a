#include "pipeline/relabel.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gantry::pipeline {
namespace {

using nlohmann::json;
using telemetry::Labels;

/// As in Prometheus' configuration files, with JSON for YAML.
Result<RelabelRules> rules_of(const json& configs) {
  std::vector<RelabelConfig> read;
  for (const json& text : configs) {
    RelabelConfig& config = read.emplace_back();
    config.source_labels = text.value("source_labels", config.source_labels);
    config.separator = text.value("separator", config.separator);
    if (text.contains("regex")) config.regex = text["regex"].get<std::string>();
    config.modulus = text.value("modulus", config.modulus);
    config.target_label = text.value("target_label", config.target_label);
    config.replacement = text.value("replacement", config.replacement);
    GANTRY_TRY(config.action, parse_relabel_action(text.value("action", "replace")));
  }
  return RelabelRules::make(read);
}

Labels labels_of(const json& object) {
  Labels labels;
  for (const auto& [name, value] : object.items())
    labels.push_back({.name = name, .value = value.get<std::string>()});
  return telemetry::make_labels(labels);
}

/// The labels as text, "dropped", or "error: …".
std::string relabelled(const json& labels, const json& configs) {
  const auto rules = rules_of(configs);
  if (!rules) return "error: " + rules.error().message;
  Labels result = labels_of(labels);
  return rules->apply(result) ? telemetry::format_labels(result) : "dropped";
}

TEST(Relabel, IsThatOfThePublishedVectors) {
  const char* const directory = std::getenv("GANTRY_CONFORMANCE_DIR");
  std::string path = directory != nullptr ? directory : GANTRY_CONFORMANCE_DEFAULT;
  std::ifstream file(path.append("/wire/exposition/relabel.json"), std::ios::binary);
  if (!file)
    GTEST_SKIP() << "no wire/exposition/relabel.json: set GANTRY_CONFORMANCE_DIR to the vectors";
  const json vectors = json::parse(file);
  for (const json& vector : vectors.at("cases")) {
    const std::string actual = relabelled(vector.at("labels"), vector.at("config"));
    const json& result = vector.at("result");
    if (result.is_null()) {
      EXPECT_EQ(actual, "dropped") << vector.at("id");
    } else if (result.contains("config_error")) {
      EXPECT_TRUE(actual.starts_with("error: ")) << vector.at("id") << " " << actual;
    } else {
      EXPECT_EQ(actual, telemetry::format_labels(labels_of(result))) << vector.at("id");
    }
  }
}

struct Case {
  std::string_view name, labels, configs, expected;
};

class RelabelTest : public ::testing::TestWithParam<Case> {};

TEST_P(RelabelTest, RelabelsOrExplains) {
  EXPECT_EQ(relabelled(json::parse(GetParam().labels), json::parse(GetParam().configs)),
            GetParam().expected);
}

// A delimiter of their own, for expressions end with )".
INSTANTIATE_TEST_SUITE_P(
    Replace, RelabelTest,
    ::testing::Values(
        Case{"no_rules", R"x({"a":"1"})x", "[]", R"x({a="1"})x"},
        Case{"default_on_nothing", R"x({"a":"1"})x", R"x([{"target_label":"b"}])x", R"x({a="1"})x"},
        Case{"empty_result_deletes", R"x({"a":"1","b":"2"})x",
             R"x([{"source_labels":["c"],"target_label":"b"}])x", R"x({a="1"})x"},
        Case{"dot_takes_newlines", R"x({"a":"x\ny"})x",
             R"x([{"source_labels":["a"],"regex":"x.y","target_label":"b","replacement":"z"}])x",
             R"x({a="x\ny", b="z"})x"},
        Case{"empty_regex_is_empty_text", R"x({"a":"1"})x",
             R"x([{"source_labels":["a"],"regex":"","target_label":"b","replacement":"z"},)x"
             R"x({"source_labels":["c"],"regex":"","target_label":"d","replacement":"z"}])x",
             R"x({a="1", d="z"})x"},
        Case{"target_from_groups", R"x({"a":"some-name-value"})x",
             R"x([{"source_labels":["a"],"regex":"some-([^-]+)-([^,]+)",)x"
             R"x("target_label":"${1}","replacement":"${2}"}])x",
             R"x({a="some-name-value", name="value"})x"},
        Case{"target_that_is_empty_is_skipped", R"x({"a":"some-name-0"})x",
             R"x([{"source_labels":["a"],"regex":"some-([^-]+)-([^,]+)",)x"
             R"x("target_label":"${3}","replacement":"${1}"}])x",
             R"x({a="some-name-0"})x"},
        Case{"target_in_utf8", R"x({"a":"1"})x",
             R"x([{"source_labels":["a"],"target_label":"grüße.$1"}])x",
             R"x({a="1", "grüße.1"="1"})x"},
        Case{"sees_earlier_rules", R"x({"a":"foo","b":"bar","c":"baz"})x",
             R"x([{"source_labels":["a","b"],"regex":"f(.*);(.*)r","target_label":"a",)x"
             R"x("replacement":"b${1}${2}m"},{"source_labels":["c","a"],)x"
             R"x("regex":"(b).*b(.*)ba(.*)","target_label":"d","replacement":"$1$2$2$3"}])x",
             R"x({a="boobam", b="bar", c="baz", d="boooom"})x"},
        Case{"set_after_delete", R"x({"p":"1"})x",
             R"x([{"regex":"p","action":"labeldrop"},{"target_label":"p","replacement":"2"},)x"
             R"x({"source_labels":["p"],"regex":"2","action":"keep"}])x",
             R"x({p="2"})x"},
        Case{"separator", R"x({"a":"1","b":"2"})x",
             R"x([{"source_labels":["a","x","b"],"separator":"","target_label":"c"},)x"
             R"x({"source_labels":["a","x","b"],"separator":"::","target_label":"d"}])x",
             R"x({a="1", b="2", c="12", d="1::::2"})x"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Others, RelabelTest,
    ::testing::Values(
        Case{"keep_is_anchored", R"x({"a":"foo"})x",
             R"x([{"source_labels":["a"],"regex":"f|o","action":"keep"}])x", "dropped"},
        Case{"action_in_any_case", R"x({"a":"foo"})x",
             R"x([{"source_labels":["a"],"regex":"foo","action":"Drop"}])x", "dropped"},
        Case{"keepequal", R"x({"a":"1","b":"2"})x",
             R"x([{"source_labels":["a"],"target_label":"b","action":"keepequal"}])x", "dropped"},
        Case{"keepequal_of_nothing", R"x({"c":"1"})x",
             R"x([{"source_labels":["a"],"target_label":"b","action":"keepequal"}])x",
             R"x({c="1"})x"},
        Case{"dropequal", R"x({"a":"1","b":"2"})x",
             R"x([{"source_labels":["a"],"target_label":"b","action":"dropequal"}])x",
             R"x({a="1", b="2"})x"},
        Case{"hashmod_of_several", R"x({"a":"x","b":"y"})x",
             R"x([{"source_labels":["a","b"],"target_label":"h","modulus":18446744073709551615,)x"
             R"x("action":"hashmod"}])x",
             R"x({a="x", b="y", h="15403037210241300238"})x"},
        Case{"labelmap", R"x({"a":"1","b1":"2","b2":"3"})x",
             R"x([{"regex":"(b.*)","replacement":"bar_${1}","action":"labelmap"}])x",
             R"x({a="1", b1="2", b2="3", bar_b1="2", bar_b2="3"})x"},
        Case{"labelmap_last_wins", R"x({"x_1":"a","x_2":"b"})x",
             R"x([{"regex":"(x)_.","action":"labelmap"}])x", R"x({x="b", x_1="a", x_2="b"})x"},
        Case{"labelmap_added_ones_are_last", R"x({"x_1":"a","x_2":"b"})x",
             R"x([{"target_label":"x_1","replacement":"c"},)x"
             R"x({"regex":"(x)_.","action":"labelmap"}])x",
             R"x({x="c", x_1="c", x_2="b"})x"},
        Case{"labelmap_without_a_name", R"x({"a":"1"})x",
             R"x([{"regex":"a","replacement":"$1","action":"labelmap"}])x", R"x({a="1"})x"},
        Case{"labeldrop_all", R"x({"a":"1"})x", R"x([{"regex":".*","action":"labeldrop"}])x", "{}"},
        Case{"labelkeep", R"x({"a":"1","b1":"2","b2":"3"})x",
             R"x([{"regex":"b.*","action":"labelkeep"}])x", R"x({b1="2", b2="3"})x"},
        Case{"case_of_other_letters", R"x({"a":"Größe Ж"})x",
             R"x([{"source_labels":["a"],"target_label":"u","action":"uppercase"},)x"
             R"x({"source_labels":["a"],"target_label":"l","action":"lowercase"}])x",
             R"x({a="Größe Ж", l="größe ж", u="GRÖßE Ж"})x"},
        Case{"case_of_nothing_deletes", R"x({"a":"1"})x",
             R"x([{"source_labels":["b"],"target_label":"a","action":"lowercase"}])x", "{}"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Refused, RelabelTest,
    ::testing::Values(
        Case{"action", "{}", R"x([{"action":"Rename"}])x",
             R"x(error: unknown relabel action "Rename")x"},
        Case{"regex", "{}", R"x([{"regex":"(","target_label":"a"}])x",
             "error: error parsing regexp: missing closing ): `^(?s:()$`"},
        Case{"source_label", "{}", R"x([{"source_labels":[""],"target_label":"a"}])x",
             R"x(error: "" is not a valid label name)x"},
        Case{"no_target", "{}", "[{}]",
             "error: relabel configuration for replace action requires 'target_label' value"},
        Case{"no_target_for_case", "{}", R"x([{"action":"lowercase"}])x",
             "error: relabel configuration for lowercase action requires 'target_label' value"},
        Case{"no_modulus", "{}", R"x([{"target_label":"a","action":"hashmod"}])x",
             "error: relabel configuration for hashmod requires non-zero modulus"},
        Case{"labelmap_replacement", "{}", R"x([{"replacement":"","action":"labelmap"}])x",
             R"x(error: "" is invalid 'replacement' for labelmap action)x"},
        Case{"case_replacement", "{}",
             R"x([{"target_label":"a","replacement":"x","action":"uppercase"}])x",
             "error: 'replacement' can not be set for uppercase action"},
        Case{"equal_with_regex", "{}",
             R"x([{"target_label":"a","regex":"(.*)","action":"keepequal"}])x",
             "error: keepequal action requires only 'source_labels' and `target_label`, and no "
             "other fields"},
        Case{"equal_with_separator", "{}",
             R"x([{"target_label":"a","separator":",","action":"dropequal"}])x",
             "error: dropequal action requires only 'source_labels' and `target_label`, and no "
             "other fields"},
        Case{"labeldrop_with_target", "{}", R"x([{"target_label":"a","action":"labeldrop"}])x",
             "error: labeldrop action requires only 'regex', and no other fields"},
        Case{"labelkeep_with_source", "{}", R"x([{"source_labels":["a"],"action":"labelkeep"}])x",
             "error: labelkeep action requires only 'regex', and no other fields"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(Relabel, RefusesNamesThatAreNoUtf8) {
  const std::vector<RelabelConfig> configs = {
      {.target_label = "a\xff", .action = RelabelAction::Uppercase}};
  EXPECT_EQ(RelabelRules::make(configs).error().message,
            R"("a\xff" is invalid 'target_label' for uppercase action)");
}

TEST(Relabel, LeavesDroppedLabelsAsTheyWere) {
  const auto rules = rules_of(
      json::parse(R"x([{"target_label":"b","replacement":"2"},{"regex":"no","action":"keep"}])x"));
  Labels labels = labels_of({{"a", "1"}});
  EXPECT_FALSE(rules.value().apply(labels));
  EXPECT_EQ(telemetry::format_labels(labels), R"({a="1"})");
}

TEST(Relabel, NamesItsActions) {
  for (const std::string_view name :
       {"replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop",
        "labelkeep", "lowercase", "uppercase"})
    EXPECT_EQ(relabel_action_text(parse_relabel_action(name).value()), name);
}

}  // namespace
}  // namespace gantry::pipeline
