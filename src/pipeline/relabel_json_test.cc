#include "pipeline/relabel_json.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace gantry::pipeline {
namespace {

struct RelabelJsonCase {
  std::string_view name;
  std::string_view json;
  std::string_view expected;  ///< What becomes of up{job="api",env="prod"}, or "error: …".
};

class RelabelJsonTest : public ::testing::TestWithParam<RelabelJsonCase> {};

TEST_P(RelabelJsonTest, RelabelsOrExplains) {
  const auto rules = parse_relabel_rules(GetParam().json);
  if (!rules) {
    EXPECT_EQ(rules.error().code, Code::InvalidArgument);
    EXPECT_EQ("error: " + rules.error().message, GetParam().expected);
    return;
  }
  telemetry::Labels labels = telemetry::make_labels({{.name = "__name__", .value = "up"},
                                                     {.name = "job", .value = "api"},
                                                     {.name = "env", .value = "prod"}});
  const bool is_kept = rules->apply(labels);
  EXPECT_EQ(is_kept ? telemetry::format_series(labels) : "dropped", GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Configs, RelabelJsonTest,
    ::testing::Values(
        RelabelJsonCase{"null", "null", R"(up{env="prod", job="api"})"},
        RelabelJsonCase{"empty", "[]", R"(up{env="prod", job="api"})"},
        RelabelJsonCase{"drop", R"([{"source_labels":["__name__"],"regex":"u.","action":"drop"}])",
                        "dropped"},
        RelabelJsonCase{"defaults", R"([{"source_labels":["job","env"],"target_label":"both"}])",
                        R"(up{both="api;prod", env="prod", job="api"})"},
        RelabelJsonCase{"in_order",
                        R"([{"target_label":"job","replacement":"web"},)"
                        R"({"source_labels":["job"],"regex":"web","action":"keep"},)"
                        R"({"regex":"env","action":"labeldrop"}])",
                        R"(up{job="web"})"},
        RelabelJsonCase{"every_key",
                        R"x([{"source_labels":["job","env"],"separator":"-","regex":"(.*)-(.*)",)x"
                        R"("modulus":0,"target_label":"x","replacement":"$2","action":"Replace"}])",
                        R"(up{env="prod", job="api", x="prod"})"},
        RelabelJsonCase{
            "no_json", "[",
            "error: metric_relabel_configs: not JSON: The JSON document has an improper "
            "structure: missing or superfluous commas, braces, missing keys, etc."},
        RelabelJsonCase{"no_array", "{}", "error: metric_relabel_configs: must be an array"},
        RelabelJsonCase{"no_object", "[1]", "error: metric_relabel_configs[0]: must be an object"},
        RelabelJsonCase{
            "unknown_key", R"([{"regex":"a","action":"labeldrop"},{"sources":[]}])",
            "error: metric_relabel_configs[1]: unknown key \"sources\"; the keys are "
            "source_labels, separator, regex, modulus, target_label, replacement, action"},
        RelabelJsonCase{"twice", R"([{"action":"drop","action":"keep"}])",
                        "error: metric_relabel_configs[0].action: is given twice"},
        RelabelJsonCase{"no_action", R"([{"action":"x"}])",
                        "error: metric_relabel_configs[0].action: unknown relabel action \"x\""},
        RelabelJsonCase{"no_text", R"([{"regex":7}])",
                        "error: metric_relabel_configs[0].regex: must be a string"},
        RelabelJsonCase{"no_labels", R"([{"source_labels":["a",1]}])",
                        "error: metric_relabel_configs[0].source_labels[1]: must be a string"},
        RelabelJsonCase{"negative_modulus", R"([{"modulus":-1}])",
                        "error: metric_relabel_configs[0].modulus: must be a whole number"},
        RelabelJsonCase{
            "no_target", R"([{"action":"lowercase"}])",
            "error: metric_relabel_configs[0]: relabel configuration for lowercase action "
            "requires 'target_label' value"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(RelabelJson, HasLimits) {
  std::string many = "[";
  for (std::size_t i = 0; i < kRelabelConfigsMax; ++i)
    many += R"({"regex":"a","action":"labeldrop"},)";
  std::string most = many;
  most.back() = ']';
  EXPECT_TRUE(parse_relabel_rules(most));
  const auto more = parse_relabel_rules(many + R"({"regex":"a","action":"labeldrop"}])");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "metric_relabel_configs: more than 100 rules");
  const auto long_text = parse_relabel_rules(std::string(kRelabelBytesMax + 1, ' '));
  ASSERT_FALSE(long_text);
  EXPECT_EQ(long_text.error().message,
            "metric_relabel_configs: is 65537 bytes, the limit is 65536");
}

}  // namespace
}  // namespace gantry::pipeline
