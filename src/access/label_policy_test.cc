#include "access/label_policy.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "access/testing/label_source.h"

namespace gantry::access {
namespace {

using Selectors = std::vector<std::string>;

LabelPolicySet make_set(const Selectors& selectors) {
  auto set = LabelPolicySet::parse(selectors);
  EXPECT_TRUE(set) << (set ? "" : set.error().message);
  return *set;
}

bool shows(const Selectors& selectors,
           std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  std::vector<telemetry::LabelView> views;
  for (const auto& [name, value] : labels) views.push_back({.name = name, .value = value});
  return make_set(selectors).shows(views);
}

struct SelectorCase {
  std::string_view name;
  std::string selector;
  std::string canonical;  ///< Or "error: …", of which the beginning is compared.
};

class SelectorTest : public testing::TestWithParam<SelectorCase> {};

TEST_P(SelectorTest, BecomesCanonicalOrIsRefused) {
  const auto policy = LabelPolicy::parse(GetParam().selector);
  const std::string actual = policy ? policy->text() : "error: " + policy.error().message;
  EXPECT_EQ(actual.substr(0, policy ? std::string::npos : GetParam().canonical.size()),
            GetParam().canonical);
  if (!policy) {
    EXPECT_EQ(policy.error().code, Code::InvalidArgument);
    return;
  }
  const auto again = LabelPolicy::parse(policy->text());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->text(), policy->text());
}

std::string nested_counts() {
  return "{ns=~\"" + std::string("((((a{100}){100}){100}){100})") + "\"}";
}

INSTANTIATE_TEST_SUITE_P(
    Policies, SelectorTest,
    testing::Values(
        SelectorCase{"one", R"({ns="a"})", R"({ns="a"})"},
        SelectorCase{"sorted", R"({ns="a",env=~"p.*",env!="x"})",
                     R"({env!="x",env=~"p.*",ns="a"})"},
        SelectorCase{"duplicates_fold", R"({ns="a", ns="a"})", R"({ns="a"})"},
        SelectorCase{"trailing_comma", R"({ns="a",})", R"({ns="a"})"},
        SelectorCase{"negative_only", R"({secret!="true"})", R"({secret!="true"})"},
        SelectorCase{"matches_the_empty_string", R"({ns=~".*"})", R"({ns=~".*"})"},
        SelectorCase{"empty_value", R"({ns=""})", R"({ns=""})"},
        SelectorCase{"name_label", R"({__name__=~"up|down"})", R"({__name__=~"up|down"})"},
        SelectorCase{"metric_name", R"({"metric.name"})", R"({__name__="metric.name"})"},
        SelectorCase{"name_in_front", R"(up{ns="a"})", R"({__name__="up",ns="a"})"},
        SelectorCase{"quoted_name", R"({"service.name"="x"})", R"({"service.name"="x"})"},
        SelectorCase{"escaped_name", R"({"n\x73"="b"})", R"({ns="b"})"},
        SelectorCase{"quotes_in_a_value", R"({ns="a\"}\\"})", R"({ns="a\"}\\"})"},
        SelectorCase{"single_quotes", R"({ns='a'})", R"({ns="a"})"},
        SelectorCase{"harmless_with_re2", R"({ns=~"(a+)+$"})", R"({ns=~"(a+)+$"})"},
        SelectorCase{"empty", "{}", "error: the selector has no matcher"},
        SelectorCase{"nothing", "", "error: unknown position: parse error"},
        SelectorCase{"empty_name", R"({""="a"})", "error: a label name is empty"},
        SelectorCase{"range", R"({ns="a"}[5m])", "error: 1:9: parse error"},
        SelectorCase{"expression", R"({ns="a"} or {ns="b"})", "error: 1:10: parse error"},
        SelectorCase{"or_inside", R"({ns="a" or ns="b"})", "error: 1:9: parse error"},
        SelectorCase{"bare_dot", R"({span.customer="x"})", "error: 1:6: parse error"},
        SelectorCase{"bad_regex", R"({ns=~"("})", "error: 1:2: parse error"},
        SelectorCase{"not_utf8", "{ns=\"\\xff\"}", "error: a label name or value is not valid"},
        SelectorCase{"large_program", nested_counts(), "error: "},
        SelectorCase{"long_regex", "{ns=~\"" + std::string(513, 'a') + "\"}",
                     "error: a regular expression has 513 bytes, the limit is 512"},
        SelectorCase{"longest_selector", "{ns=\"" + std::string(2048 - 7, 'x') + "\"}",
                     "{ns=\"" + std::string(2048 - 7, 'x') + "\"}"},
        SelectorCase{"long_selector", "{ns=\"" + std::string(2049 - 7, 'x') + "\"}",
                     "error: the selector has 2049 bytes, the limit is 2048"}),
    [](const auto& c) { return std::string(c.param.name); });

std::string many_matchers(int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i) text += "l" + std::to_string(i) + "=\"x\",";
  return text + "}";
}

TEST(LabelPolicy, MatchersAreLimited) {
  EXPECT_TRUE(LabelPolicy::parse(many_matchers(20)));
  EXPECT_EQ(LabelPolicy::parse(many_matchers(21)).error().message,
            "the selector has 21 matchers, the limit is 20");
}

TEST(LabelPolicySet, PoliciesAreLimited) {
  EXPECT_TRUE(LabelPolicySet::parse(Selectors(50, R"({ns="a"})")));
  EXPECT_EQ(LabelPolicySet::parse(Selectors(51, R"({ns="a"})")).error().message,
            "51 label policies, the limit is 50");
  EXPECT_EQ(LabelPolicySet::parse({}).error().code, Code::InvalidArgument);
  EXPECT_EQ(LabelPolicySet::parse(Selectors{R"({ns="a"})", "{}"}).error().message.substr(0, 15),
            "label policy 2:");
}

TEST(LabelPolicySet, MatchersAreAndPoliciesAreOr) {
  const Selectors either{R"({ns="a",env="prod"})", R"({ns="b",env="dev"})"};
  EXPECT_TRUE(shows(either, {{"env", "prod"}, {"ns", "a"}}));
  EXPECT_TRUE(shows(either, {{"env", "dev"}, {"ns", "b"}}));
  EXPECT_FALSE(shows(either, {{"env", "dev"}, {"ns", "a"}}));
  EXPECT_FALSE(shows(either, {{"env", "prod"}, {"ns", "b"}}));
  EXPECT_FALSE(shows(either, {}));
}

TEST(LabelPolicySet, AMissingLabelIsTheEmptyString) {
  EXPECT_TRUE(shows({R"({secret!="true"})"}, {{"ns", "a"}}));
  EXPECT_FALSE(shows({R"({secret!="true"})"}, {{"secret", "true"}}));
  EXPECT_TRUE(shows({R"({ns=""})"}, {{"job", "x"}}));
  EXPECT_FALSE(shows({R"({ns=""})"}, {{"ns", "a"}}));
}

TEST(LabelPolicySet, RegularExpressionsAreAnchoredAndSeeNewlines) {
  EXPECT_FALSE(shows({R"({ns=~"a"})"}, {{"ns", "ab"}}));
  EXPECT_FALSE(shows({R"({ns=~"a|b"})"}, {{"ns", "ac"}}));
  EXPECT_TRUE(shows({R"({ns=~"a.*"})"}, {{"ns", "a\nb"}}));
}

TEST(LabelPolicySet, NothingShowsNothing) {
  EXPECT_TRUE(LabelPolicySet::nothing().is_empty());
  EXPECT_FALSE(LabelPolicySet::nothing().shows({}));
}

TEST(LabelPolicySet, TheDigestIsOfTheMeaningNotOfTheSpelling) {
  EXPECT_EQ(make_set({R"({ns="a"})", R"({env='p',ns="b"})", R"({ns="a"})"}).digest(),
            make_set({R"({ns="b",env="p"})", R"({"ns"="a"})"}).digest());
  EXPECT_NE(make_set({R"({a="1"})", R"({b="2"})"}).digest(),
            make_set({R"({a="1",b="2"})"}).digest());
  EXPECT_NE(make_set({R"({ab="c"})"}).digest(), make_set({R"({a="bc"})"}).digest());
  EXPECT_NE(make_set({R"({a="b"})"}).digest(), make_set({R"({a=~"b"})"}).digest());
  EXPECT_NE(make_set({R"({a="b"})"}).digest(), LabelPolicySet::nothing().digest());
}

TEST(LabelPolicySet, TheDigestNeverChanges) {
  EXPECT_EQ(visibility_key(read_visibility(Selectors{R"({ns="a"})"}, "p")),
            "d1760195aee799f434b394ecd3b5ac76379936b2ea982549ddff8a4098e12a04");
  EXPECT_EQ(visibility_key(Visibility::everything()), "unrestricted");
}

struct PrefilterCase {
  std::string_view name;
  Selectors selectors;
  std::string expected;
};

class PrefilterTest : public testing::TestWithParam<PrefilterCase> {};

TEST_P(PrefilterTest, HoldsWhatAllPoliciesHaveInCommon) {
  const LabelPolicySet set = make_set(GetParam().selectors);
  std::string actual;
  for (const promql::Matcher& matcher : set.prefilter().matchers) {
    actual += matcher.name() + std::string(promql::match_op_text(matcher.op())) + matcher.value();
    actual.push_back(' ');
  }
  EXPECT_EQ(actual + (set.prefilter().is_exact ? "exact" : "rough"), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Policies, PrefilterTest,
    testing::Values(
        PrefilterCase{"one", {R"({ns="a",env!="x"})"}, "env!=x ns=a exact"},
        PrefilterCase{"values_of_one_label", {R"({ns="a"})", R"({ns=~"b|c"})"}, "ns=~a|b|c exact"},
        PrefilterCase{
            "common_part", {R"({job="j",ns="a"})", R"({job="j",ns="b"})"}, "job=j ns=~a|b exact"},
        PrefilterCase{"other_labels_differ",
                      {R"({ns="a",env="prod"})", R"({ns="b",env="dev"})"},
                      "env=~dev|prod ns=~a|b rough"},
        PrefilterCase{"one_says_more", {R"({ns="a"})", R"({ns="a",env="x"})"}, "ns=a exact"},
        PrefilterCase{"nothing_in_common", {R"({ns="a"})", R"({env="x"})"}, "rough"},
        PrefilterCase{"negative", {R"({ns!="a"})", R"({ns!="b"})"}, "rough"},
        PrefilterCase{"general_regex", {R"({ns=~"a[0-9]"})", R"({ns="b"})"}, "rough"},
        PrefilterCase{"empty_value", {R"({ns=""})", R"({ns="a"})"}, "ns=~|a exact"},
        PrefilterCase{
            "two_matchers_of_a_label", {R"({ns="a",ns!="b"})", R"({ns="c"})"}, "ns=~a|c rough"},
        PrefilterCase{
            "special_characters", {R"({ns="a.b"})", R"({ns="c|d"})"}, R"(ns=~a\.b|c\|d exact)"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(LabelPolicySet, AnIntersectionShowsWhatBothShow) {
  const LabelPolicySet both = LabelPolicySet::intersection(
      make_set({R"({ns="a"})", R"({ns="b"})"}), make_set({R"({env="x"})", R"({ns="b"})"}));
  std::vector<std::string> texts;
  for (const LabelPolicy& policy : both.policies()) texts.push_back(policy.text());
  EXPECT_EQ(texts, (std::vector<std::string>{R"({env="x",ns="a"})", R"({env="x",ns="b"})",
                                             R"({ns="a",ns="b"})", R"({ns="b"})"}));
}

TEST(LabelPolicySet, WithinIsDecidedByMatchers) {
  const auto visibility = [](const Selectors& selectors) {
    return read_visibility(selectors, "p");
  };
  const Visibility own = visibility({R"({ns="a"})", R"({ns="b"})"});
  EXPECT_TRUE(is_within(visibility({R"({ns="a",env="x"})"}), own));
  EXPECT_TRUE(is_within(own, own));
  EXPECT_FALSE(is_within(visibility({R"({ns="a"})", R"({ns="c"})"}), own));
  EXPECT_FALSE(is_within(visibility({R"({ns=~"a"})"}), own));
  EXPECT_FALSE(is_within(Visibility::everything(), own));
  EXPECT_TRUE(is_within(own, Visibility::everything()));
}

TEST(ReadVisibility, FailsClosed) {
  EXPECT_TRUE(read_visibility(std::nullopt, "p").is_everything());
  EXPECT_TRUE(read_visibility(Selectors{}, "p").policies()->is_empty());
  EXPECT_TRUE(read_visibility(Selectors{R"({ns="a"})", "{ns="}, "p").policies()->is_empty());
}

TEST(RestrictedScopes, OnlyReadingMayBeRestricted) {
  EXPECT_TRUE(check_restricted_scopes(
      Selectors{"metrics:read", "logs:read", "traces:read", "stacks:read"}));
  for (const std::string scope :
       {"metrics:write", "rules:read", "alerts:read", "metrics:delete", "metrics:import",
        "metrics:export", "accesspolicies:read", "profiles:read", "something:else"}) {
    const auto checked = check_restricted_scopes(Selectors{"metrics:read", scope});
    ASSERT_FALSE(checked) << scope;
    EXPECT_EQ(checked.error().message, "label policies can only be combined with read scopes");
  }
}

TEST(LabelPolicyWarnings, PointAtWhatShowsMoreThanMeant) {
  EXPECT_EQ(label_policy_warnings(make_set({R"({secret!="true"})"}), std::nullopt),
            (std::vector<std::string>{R"(label policy {secret!="true"} only excludes: it also )"
                                      "shows every series without its labels"}));
  EXPECT_EQ(label_policy_warnings(make_set({R"({ns=~".*"})"}), std::nullopt),
            (std::vector<std::string>{R"(label policy {ns=~".*"} also shows every series )"
                                      R"(without the label "ns": its regular expression )"
                                      "matches the empty string"}));
  const std::vector<std::string> known{"env", "ns"};
  EXPECT_EQ(label_policy_warnings(make_set({R"({ns="a",zone="x"})", R"({zone="y"})"}), known),
            (std::vector<std::string>{R"(no series of the stack has the label "zone")"}));
  EXPECT_TRUE(label_policy_warnings(make_set({R"({ns="a"})"}), known).empty());
}

std::string go_quoted(std::string_view text) {
  std::string out;
  telemetry::append_go_quoted(out, text);
  return out;
}

RC_GTEST_PROP(LabelPolicyProperty, CanonicalTextParsesToTheSame, ()) {
  std::string selector = "{";
  const int count = *rc::gen::inRange(1, 5);
  for (int i = 0; i < count; ++i) {
    const auto part = rc::gen::element<std::string>("a", "\"", "\\", "\n", "{", "}", ",", "=",
                                                    "\x7f", "é", "😀", "#", " ", ".", "_", "\'");
    const auto join = [](const std::vector<std::string>& parts) {
      std::string text;
      for (const std::string& one : parts) text += one;
      return text;
    };
    const auto name =
        *rc::gen::map(rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(part)), join);
    const auto value = *rc::gen::map(rc::gen::container<std::vector<std::string>>(part), join);
    const auto op = *rc::gen::element<std::string>("=", "!=");
    selector += go_quoted(name) + op + go_quoted(value) + ",";
  }
  selector += "}";
  RC_PRE(selector.size() <= kLabelSelectorBytesMax);
  const auto policy = LabelPolicy::parse(selector);
  RC_ASSERT(policy.has_value());
  const auto again = LabelPolicy::parse(policy->text());
  RC_ASSERT(again.has_value());
  RC_ASSERT(again->text() == policy->text());
}

}  // namespace
}  // namespace gantry::access
