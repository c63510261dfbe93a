#include "promql/matcher.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <re2/re2.h>

namespace gantry::promql {
namespace {

Matcher regex(std::string_view expression, MatchOp op = MatchOp::Regex) {
  auto matcher = Matcher::make(op, "label", std::string(expression));
  EXPECT_TRUE(matcher) << expression;
  return *std::move(matcher);
}

TEST(Matcher, ComparesText) {
  EXPECT_TRUE(Matcher::make(MatchOp::Equal, "a", "x")->matches("x"));
  EXPECT_FALSE(Matcher::make(MatchOp::Equal, "a", "x")->matches(""));
  EXPECT_TRUE(Matcher::make(MatchOp::NotEqual, "a", "x")->matches_empty());
  EXPECT_TRUE(Matcher::make(MatchOp::Equal, "a", "")->matches_empty());
  EXPECT_EQ(Matcher::make(MatchOp::Equal, "a", "x")->literal_alternatives(), nullptr);
}

struct RegexCase {
  std::string_view expression;
  std::vector<std::string_view> matching;
  std::vector<std::string_view> other;
};

TEST(Matcher, AnchorsExpressions) {
  const RegexCase cases[] = {
      {"a|b|c", {"a", "b", "c"}, {"", "ab", "d", "a|b"}},
      {"|a", {"", "a"}, {"b"}},
      {"", {""}, {"a"}},
      {"(foo|bar)-(1|2)", {"foo-1", "bar-2"}, {"foo-", "foo-3", "foo"}},
      {"10\\.0\\.0\\.1", {"10.0.0.1"}, {"10x0x0x1"}},
      {".*", {"", "x", "a\nb"}, {}},
      {".+", {"x", "a\nb"}, {""}},
      {"ab.*", {"ab", "abc", "ab\n"}, {"a", "xab"}},
      {"ab.+", {"abc"}, {"ab", "xabc"}},
      {"a|b.*", {"a", "b", "bcd"}, {"ac", ""}},
      {"(?i)up|down", {"UP", "Down"}, {"u", ""}},
      {"ab*", {"a", "abb"}, {"b", "abc"}},
      {"\xC3\xA9?x", {"x", "\xC3\xA9x"}, {"\xC3x"}},
      {"a.c", {"abc", "a\nc"}, {"ac"}},
      {"[ab]c", {"ac", "bc"}, {"c"}},
      {"a{2}", {"aa"}, {"a"}},
      {"(a|b)?c", {"c", "ac"}, {"ab"}},
      {"\\d+", {"12"}, {"d", ""}},
      {"x\\.*", {"x", "x.."}, {"xa"}},
      {"^a$", {"a"}, {"^a$"}},
  };
  for (const RegexCase& item : cases) {
    const Matcher positive = regex(item.expression);
    const Matcher negative = regex(item.expression, MatchOp::NotRegex);
    for (const std::string_view value : item.matching) {
      EXPECT_TRUE(positive.matches(value)) << item.expression << " " << value;
      EXPECT_FALSE(negative.matches(value)) << item.expression << " " << value;
    }
    for (const std::string_view value : item.other) {
      EXPECT_FALSE(positive.matches(value)) << item.expression << " " << value;
      EXPECT_TRUE(negative.matches(value)) << item.expression << " " << value;
    }
  }
}

TEST(Matcher, FindsLiterals) {
  const Matcher alternation = regex("c|a|b|a");
  ASSERT_NE(alternation.literal_alternatives(), nullptr);
  EXPECT_EQ(*alternation.literal_alternatives(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(regex("a|b.").literal_alternatives(), nullptr);
  EXPECT_EQ(regex("(?i)a|b").literal_alternatives(), nullptr);
  EXPECT_EQ(regex("http_.*").literal_prefix(), "http_");
  EXPECT_EQ(regex("http_[a-z]+").literal_prefix(), "http_");
  EXPECT_EQ(regex("http?s").literal_prefix(), "htt");
  EXPECT_EQ(regex("http+s").literal_prefix(), "http");
  EXPECT_EQ(regex("a\xC3\xA9*b.c").literal_prefix(), "a");
  EXPECT_EQ(regex("abc|abd.*").literal_prefix(), "");
  EXPECT_EQ(regex("(?i)abc").literal_prefix(), "");
  EXPECT_EQ(regex("\\.net[0-9]").literal_prefix(), ".net");
}

TEST(Matcher, RefusesBadExpressions) {
  for (const std::string_view bad : {"*", "(", "a)", "[", "a**", "\\", "(?P<x", "a{2,1}", "\\8"}) {
    const auto matcher = Matcher::make(MatchOp::Regex, "a", std::string(bad));
    ASSERT_FALSE(matcher) << bad;
    EXPECT_EQ(matcher.error().code, Code::InvalidArgument);
    EXPECT_TRUE(matcher.error().message.starts_with("error parsing regexp: ")) << bad;
  }
}

// Whatever short-cut was taken, the answer is that of the expression itself.
RC_GTEST_PROP(MatcherProperty, AgreesWithRe2, ()) {
  const auto piece = rc::gen::element<std::string>("a", "b", "|", "(", ")", ".*", ".+", "\\.", "c?",
                                                   "(?:", "x", "*", ".");
  const auto pieces = *rc::gen::container<std::vector<std::string>>(piece);
  std::string expression;
  for (const std::string& text : pieces) expression += text;
  const std::string value =
      *rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcx.")));
  const re2::RE2 reference("^(?s:" + expression + ")$", re2::RE2::Quiet);
  const auto matcher = Matcher::make(MatchOp::Regex, "l", expression);
  RC_ASSERT(matcher.has_value() == reference.ok());
  if (!matcher) return;
  RC_ASSERT(matcher->matches(value) == re2::RE2::FullMatch(value, reference));
  if (matcher->matches(value)) RC_ASSERT(value.starts_with(matcher->literal_prefix()));
}

TEST(Matcher, TakesAnyNumberOfLiteralValues) {
  std::vector<std::string> values = {"10.0.0.1:9100", "a|b", "(c)", "10.0.0.1:9100", "\\d"};
  const Matcher few = Matcher::make_one_of("instance", values);
  EXPECT_EQ(few.op(), MatchOp::Regex);
  EXPECT_EQ(few.name(), "instance");
  for (const std::string& value : values) EXPECT_TRUE(few.matches(value)) << value;
  for (const std::string_view other : {"", "10x0x0x1:9100", "a", "b", "c", "7"}) {
    EXPECT_FALSE(few.matches(other)) << other;
  }
  // Its text is an expression for the same values.
  const auto parsed = Matcher::make(MatchOp::Regex, "instance", few.value());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed->literal_alternatives(), *few.literal_alternatives());

  values.clear();
  for (int i = 0; i < 100'000; ++i) values.push_back("10.0.0.1:" + std::to_string(i));
  const Matcher many = Matcher::make_one_of("instance", std::move(values));
  EXPECT_EQ(many.literal_alternatives()->size(), 100'000U);
  EXPECT_TRUE(many.matches("10.0.0.1:99999"));
  EXPECT_FALSE(many.matches("10.0.0.1:100000"));
}

}  // namespace
}  // namespace gantry::promql
