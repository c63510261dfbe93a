#include "promql/anchored_regex.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::promql {
namespace {

/// What Go's regexp.Expand makes of the template, or "no match".
std::string expanded(std::string_view expression, std::string_view text,
                     std::string_view replacement) {
  const AnchoredRegex regex = AnchoredRegex::compile(expression).value();
  std::vector<std::string_view> groups = {"old"};
  if (!regex.match(text, groups)) return "no match";
  return GroupTemplate(replacement, regex).expand(groups);
}

TEST(AnchoredRegex, TakesTheWholeText) {
  const AnchoredRegex regex = AnchoredRegex::compile("a|b.").value();
  EXPECT_TRUE(regex.matches("a"));
  EXPECT_TRUE(regex.matches("b\n"));
  EXPECT_FALSE(regex.matches("ab"));
  EXPECT_FALSE(regex.matches("xa"));
  EXPECT_FALSE(regex.matches(""));
  EXPECT_TRUE(AnchoredRegex::compile("")->matches(""));
  EXPECT_FALSE(AnchoredRegex::compile("")->matches("a"));
}

TEST(AnchoredRegex, RefusesInTheWordsOfGo) {
  const auto error = [](std::string_view expression) {
    return AnchoredRegex::compile(expression).error().message;
  };
  EXPECT_EQ(error("("), "error parsing regexp: missing closing ): `^(?s:()$`");
  EXPECT_EQ(error("[a"), "error parsing regexp: missing closing ]: `[a)$`");
  EXPECT_EQ(error("*"), "error parsing regexp: missing argument to repetition operator: `*`");
  EXPECT_EQ(error("(?=a)"), "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
  EXPECT_EQ(AnchoredRegex::compile("(").error().code, Code::InvalidArgument);
}

TEST(GroupTemplate, IsThatOfGo) {
  EXPECT_EQ(expanded("f(.*)", "foo", "ch${1}-ch$1"), "choo-choo");
  EXPECT_EQ(expanded("f(.*)", "foo", "$0"), "foo");
  EXPECT_EQ(expanded("f(.*)", "foo", "$1x"), "");
  EXPECT_EQ(expanded("f(.*)", "foo", "${1}x"), "oox");
  EXPECT_EQ(expanded("f(.*)", "foo", "$$1 $$"), "$1 $");
  EXPECT_EQ(expanded("f(.*)", "foo", "$"), "$");
  EXPECT_EQ(expanded("f(.*)", "foo", "${1"), "${1");
  EXPECT_EQ(expanded("f(.*)", "foo", "${} $-"), "${} $-");
  EXPECT_EQ(expanded("f(.*)", "foo", "<$2>"), "<>");
  EXPECT_EQ(expanded("f(.*)", "foo", "<$01>"), "<>");
  EXPECT_EQ(expanded("f(.*)", "foo", "<$99999999999999999999>"), "<>");
  EXPECT_EQ(expanded("f(?P<rest>.*)", "foo", "$rest ${rest} $other"), "oo oo ");
  EXPECT_EQ(expanded("(a)|(b)", "b", "<$1|$2>"), "<|b>");
  EXPECT_EQ(expanded("f", "foo", "x"), "no match");
}

}  // namespace
}  // namespace gantry::promql
