#include "access/label_policy_header.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "access/label_policy.h"

namespace gantry::access {
namespace {

constexpr std::string_view kAccepts = R"({"acceptLabelPolicyHeader":true})";
constexpr StackId kStack{1'000'001};

Visibility only(std::vector<std::string> selectors) {
  return read_visibility(selectors, "p");
}

/// The policies' texts, "everything", or the status of the error.
std::string narrowed(const Visibility& own, std::vector<std::string> values,
                     std::string_view attributes = kAccepts) {
  const auto visibility = narrow_by_header(own, attributes, kStack, values);
  if (!visibility) return std::to_string(visibility.error().status);
  if (visibility->is_everything()) return "everything";
  std::string text;
  for (const LabelPolicy& policy : visibility->policies()->policies()) text += policy.text();
  return text;
}

TEST(LabelPolicyHeader, IsIgnoredUnlessThePolicySaysSo) {
  const Visibility own = only({R"({ns="a"})"});
  EXPECT_EQ(narrowed(own, {"1000001:%7Bns%3D%22b%22%7D"}, "{}"), R"({ns="a"})");
  EXPECT_EQ(narrowed(own, {"garbage"}, R"({"acceptLabelPolicyHeader":false})"), R"({ns="a"})");
  EXPECT_EQ(narrowed(Visibility::everything(), {}), "everything");
}

TEST(LabelPolicyHeader, OnlyNarrows) {
  EXPECT_EQ(narrowed(only({R"({ns="a"})"}), {"1000001:%7Bns%3D%22b%22%7D"}), R"({ns="a",ns="b"})");
  EXPECT_EQ(narrowed(only({R"({ns="a"})", R"({ns="b"})"}), {"1000001:%7Bns%3D%22b%22%7D"}),
            R"({ns="a",ns="b"}{ns="b"})");
  EXPECT_EQ(narrowed(Visibility::everything(), {"1000001:%7Bns%3D%22b%22%7D"}), R"({ns="b"})");
}

TEST(LabelPolicyHeader, ValuesAddUp) {
  EXPECT_EQ(narrowed(Visibility::everything(),
                     {R"(1000001:{ns="a"}, 1000001:{ns="b"%2Cenv="x"})", R"(1000001:{ns="c"})"}),
            R"({env="x",ns="b"}{ns="a"}{ns="c"})");
}

TEST(LabelPolicyHeader, WhatCannotBeReadIsAnError) {
  const Visibility own = only({R"({ns="a"})"});
  for (const std::string value :
       {R"(1000001:{ns="a"},garbage)", R"({ns="a"})", "", "1000001:", "1000001:{}",
        R"(1000002:{ns="a"})", R"(:{ns="a"})", "1000001:%7", "1000001:%zz", R"(1000001:{ns="a"},)",
        R"(01000001:{ns="a"})", R"(1000001:{ns="a",env="b"})"}) {
    EXPECT_EQ(narrowed(own, {value}), "400") << value;
  }
  EXPECT_EQ(narrowed(own, {R"(1000001:{ns="a"})"}, "not json"), "400");
  EXPECT_EQ(narrowed(own, {R"(1000001:{ns="a"})"}, R"({"acceptLabelPolicyHeader":"true"})"), "400");
  std::string many = R"(1000001:{ns="a"})";
  for (int i = 0; i < 50; ++i) many += R"(,1000001:{ns="a"})";
  EXPECT_EQ(narrowed(own, {many}), "400");
}

TEST(LabelPolicyHeader, SaysNothingAboutThePolicies) {
  const auto refused = narrow_by_header(only({R"({ns="hidden"})"}), kAccepts, kStack,
                                        std::vector<std::string>{"1000001:{ns="});
  EXPECT_EQ(refused.error().message, "authentication error: malformed X-Prom-Label-Policy header");
}

}  // namespace
}  // namespace gantry::access
