#include "pipeline/stack_rules.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace gantry::pipeline {
namespace {

constexpr std::string_view kAll =
    R"({"sampling_rate":0.25,)"
    R"("filter_rules":{"groups":[{"logic":"and","rules":[{"field":"model","operator":"exists"}]}]},)"
    R"("attribute_rules":[{"action":"delete","key":"secret"}],)"
    R"("privacy_mode":true,)"
    R"("metric_relabel_configs":[{"regex":"pod","action":"labeldrop"}],)"
    R"("stream_aggregation":[{"match":"m","interval":"1s","outputs":["total"]}]})";
constexpr std::string_view kNone =
    R"({"sampling_rate":1,"filter_rules":null,"attribute_rules":null,"privacy_mode":false,)"
    R"("metric_relabel_configs":null,"stream_aggregation":null})";

std::string show(const StackRules& rules) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_object();
  write_stack_rules(json, rules);
  json.end_object();
  return text;
}

/// What becomes of `before`, or "error: …".
std::string applied(std::string_view json, const StackRules& before = {}) {
  const auto body = StackRulesBody::parse(json);
  if (!body) return "error: " + body.error().message;
  const auto rules = body->apply(before);
  return rules ? show(*rules) : "error: " + rules.error().message;
}

StackRules all() {
  return StackRulesBody::parse(kAll)->apply({}).value_or(StackRules());
}

TEST(StackRules, WhatIsShownCanBeSentBack) {
  EXPECT_EQ(applied(kAll), kAll);
  EXPECT_EQ(applied(kNone), kNone);
  EXPECT_EQ(applied("{}"), kNone);
  EXPECT_EQ(applied(R"({"version":3,"updated_at":"2026-11-22T07:00:00Z","workspace_id":"main"})"),
            kNone);
}

TEST(StackRules, ABodyChangesWhatItHas) {
  EXPECT_EQ(applied("{}", all()), kAll);
  EXPECT_EQ(applied(kNone, all()), kNone);
  EXPECT_EQ(
      applied(
          R"({"sampling_rate":null,"filter_rules":null,"attribute_rules":null,"privacy_mode":null,)"
          R"("metric_relabel_configs":null,"stream_aggregation":null})",
          all()),
      kNone);
  StackRules expected = all();
  expected.sampling_rate = 0.5;
  EXPECT_EQ(applied(R"({"sampling_rate":0.5})", all()), show(expected));
}

TEST(StackRules, KnowsWhatItLeavesAlone) {
  const StackRules none;
  EXPECT_TRUE(none.spares_spans() && none.spares_samples());
  EXPECT_FALSE(all().spares_spans() || all().spares_samples());
  const StackRules private_only =
      StackRulesBody::parse(R"({"privacy_mode":true})")->apply({}).value_or(StackRules());
  EXPECT_FALSE(private_only.spares_spans());
  EXPECT_TRUE(private_only.spares_samples());
}

TEST(StackRules, NamesTheVersionAndTheStack) {
  const auto body = StackRulesBody::parse(R"({"version":3,"workspace_id":"main"})");
  EXPECT_EQ(body->version(), 3);
  EXPECT_EQ(body->workspace_id(), "main");
  const auto silent = StackRulesBody::parse(R"({"version":null})");
  EXPECT_EQ(silent->version(), std::nullopt);
  EXPECT_EQ(silent->workspace_id(), std::nullopt);
  const auto wrong = StackRulesBody::parse(R"({"version":"3","workspace_id":7})");
  EXPECT_EQ(wrong->version().error().message, "version: must be a whole number");
  EXPECT_EQ(wrong->workspace_id().error().message, "workspace_id: must be a string");
}

struct RefusedCase {
  std::string_view name;
  std::string_view json;
  std::string_view expected;
};

class RefusedStackRulesTest : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(RefusedStackRulesTest, NamesTheField) {
  EXPECT_EQ(applied(GetParam().json), std::string("error: ").append(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, RefusedStackRulesTest,
    ::testing::Values(
        RefusedCase{"no_json", "{", "the body must be a JSON object"},
        RefusedCase{"no_object", "[]", "the body must be a JSON object"},
        RefusedCase{"unknown", R"({"sampling":1})",
                    "sampling: is not known here; the fields are sampling_rate, filter_rules, "
                    "attribute_rules, privacy_mode, "
                    "metric_relabel_configs, "
                    "stream_aggregation, version, updated_at, workspace_id"},
        RefusedCase{"twice", R"({"privacy_mode":true,"privacy_mode":false})",
                    "privacy_mode: is given twice"},
        RefusedCase{"rate_text", R"({"sampling_rate":"1"})",
                    "sampling_rate: must be from 0.0001 to 1"},
        RefusedCase{"rate_zero", R"({"sampling_rate":0})",
                    "sampling_rate: must be from 0.0001 to 1"},
        RefusedCase{"rate_high", R"({"sampling_rate":1.1})",
                    "sampling_rate: must be from 0.0001 to 1"},
        RefusedCase{"privacy", R"({"privacy_mode":1})", "privacy_mode: must be true or false"},
        RefusedCase{"inside_filter", R"({"filter_rules":{"groups":[{"logic":"xor","rules":[]}]}})",
                    "filter_rules.groups[0].logic: must be \"and\" or \"or\", not \"xor\""},
        RefusedCase{"inside_attributes", R"({"attribute_rules":[{"action":"burn","key":"a"}]})",
                    "attribute_rules[0].action: must be one of insert, update, upsert, delete, "
                    "hash, extract, "
                    "convert, rename, not \"burn\""},
        RefusedCase{"inside_aggregation", R"({"stream_aggregation":[{"match":"m"}]})",
                    "stream_aggregation[0]: \"interval\" is missing"},
        RefusedCase{"inside_relabel", R"({"metric_relabel_configs":[{"action":"x"}]})",
                    "metric_relabel_configs[0].action: unknown relabel action \"x\""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(StackRules, NamesEverythingThatIsWrong) {
  const auto body =
      StackRulesBody::parse(R"({"sampling_rate":2,"privacy_mode":"on","filter_rules":1})");
  const auto rules = body->apply({});
  ASSERT_FALSE(rules);
  EXPECT_EQ(rules.error().code, Code::InvalidArgument);
  std::string paths;
  for (const auto& problem : rules.error().fields) paths += problem.path + " ";
  EXPECT_EQ(paths, "sampling_rate privacy_mode filter_rules ");
}

TEST(StackRules, HasALimit) {
  const auto body = StackRulesBody::parse(std::string(kStackRulesBytesMax + 1, ' '));
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().message, "the rules are 524289 bytes, the limit is 524288");
}

}  // namespace
}  // namespace gantry::pipeline
