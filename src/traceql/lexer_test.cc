#include "traceql/lexer.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "traceql/static_value.h"

namespace gantry::traceql {
namespace {

// Kind or text of each token with what it holds, up to the end or an error.
std::string tokens_of(std::string_view text) {
  Lexer lexer(text);
  std::string result;
  while (true) {
    const Token token = lexer.next();
    if (token.kind == TokenKind::EndOfInput) return result;
    if (!result.empty()) result += ' ';
    switch (token.kind) {
      case TokenKind::Error:
        return result + "error: " + token.value;
      case TokenKind::AttributeName:
      case TokenKind::Identifier:
      case TokenKind::String:
        result += describe(token) + '<' + token.value + '>';
        break;
      case TokenKind::Integer:
        result += "INTEGER<" + std::to_string(token.integer) + '>';
        break;
      case TokenKind::Float:
        result += "FLOAT<" + format_static(Static::of_float(token.number)) + '>';
        break;
      case TokenKind::Duration:
        result += "DURATION<" + format_go_duration(token.integer) + '>';
        break;
      default:
        result += describe(token);
    }
  }
}

struct LexerCase {
  std::string_view name;
  std::string_view text;
  std::string_view expected;
};

class LexerTest : public ::testing::TestWithParam<LexerCase> {};

TEST_P(LexerTest, ReadsOrExplains) {
  EXPECT_EQ(tokens_of(GetParam().text), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Operators, LexerTest,
    ::testing::Values(LexerCase{"greedy", "{}>>{}!>>{}&<<{}", "{ } >> { } !>> { } &<< { }"},
                      LexerCase{"every_union", "&> &>> &< &<< &~", "&> &>> &< &<< &~"},
                      LexerCase{"not_sibling_is_not_regex", "!~ =~ !=", "!~ =~ !="},
                      LexerCase{"single_ampersand_is_no_operator", "& &&", "IDENTIFIER<&> &&"},
                      LexerCase{"equals_do_not_grow_together", "==", "= ="},
                      LexerCase{"less_greater", "<>", "< >"},
                      LexerCase{"unknown_characters", "# ; [ @",
                                "IDENTIFIER<#> IDENTIFIER<;> IDENTIFIER<[> "
                                "IDENTIFIER<@>"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Attributes, LexerTest,
    ::testing::Values(
        LexerCase{"letters_of_attribute_mode", ".a-b/c+d*e:f[0]@g%h=1",
                  ". IDENTIFIER<a-b/c+d*e:f[0]@g%h> = INTEGER<1>"},
        LexerCase{"ends_at_operators", "span.a!=1", "span. IDENTIFIER<a> != INTEGER<1>"},
        LexerCase{"ends_at_caret_and_comma", ".a^.b,.c",
                  ". IDENTIFIER<a> ^ . IDENTIFIER<b> , . "
                  "IDENTIFIER<c>"},
        LexerCase{"words_of_other_modes", "span.rate span.by .true",
                  "span. IDENTIFIER<rate> span. IDENTIFIER<by> . IDENTIFIER<true>"},
        LexerCase{"scope_in_a_name", "span.span.a", "span. IDENTIFIER<span.a>"},
        LexerCase{"parent_keeps_the_scope", "parent.resource.a", "parent. IDENTIFIER<resource.a>"},
        LexerCase{"quoted", R"(."a b")", ". IDENTIFIER<a b>"},
        LexerCase{"partly_quoted", R"(span.a."b c".d)", "span. IDENTIFIER<a.b c.d>"},
        LexerCase{"quoted_dots_are_dots", R"(."a.b")", ". IDENTIFIER<a.b>"},
        LexerCase{"escapes", R"(."a\"\\b")", R"(. IDENTIFIER<a"\b>)"},
        LexerCase{"braces_in_quotes", R"x(."{}()")x", ". IDENTIFIER<{}()>"},
        LexerCase{"unknown_escape", R"(."a\n")", ". error: invalid escape sequence"},
        LexerCase{"escape_at_the_end", R"(."a\)", ". error: invalid escape sequence"},
        LexerCase{"unclosed", R"(."a)", ". error: unexpected EOF, expecting \""},
        LexerCase{"none", ". }", ". END_ATTRIBUTE }"},
        LexerCase{"empty_quotes_are_none", R"(."" })", ". END_ATTRIBUTE }"},
        LexerCase{"no_break_space_ends_it",
                  ".a\xC2\xA0"
                  "b",
                  ". IDENTIFIER<a> IDENTIFIER<\xC2\xA0"
                  "b>"},
        LexerCase{"comment_signs_are_letters", ".a//b", ". IDENTIFIER<a//b>"},
        LexerCase{"colon_scopes", "span:name trace:id resource:x",
                  "span: name trace: id IDENTIFIER<resource> IDENTIFIER<:> IDENTIFIER<x>"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Numbers, LexerTest,
    ::testing::Values(
        LexerCase{"integers", "0 42 9223372036854775807",
                  "INTEGER<0> INTEGER<42> "
                  "INTEGER<9223372036854775807>"},
        LexerCase{"smallest_without_its_sign", "9223372036854775808",
                  "INTEGER<-9223372036854775808>"},
        LexerCase{"too_large", "9223372036854775809",
                  "error: strconv.Atoi: parsing \"9223372036854775809\": value out of range"},
        LexerCase{"hexadecimal", "0x10", "error: strconv.Atoi: parsing \"0x10\": invalid syntax"},
        LexerCase{"underscore", "1_000", "error: strconv.Atoi: parsing \"1_000\": invalid syntax"},
        LexerCase{"floats", "1.5 .5 1e3 2. 1e-7",
                  "FLOAT<1.5> FLOAT<0.5> FLOAT<1000.0> FLOAT<2.0> FLOAT<1e-07>"},
        LexerCase{"huge_float", "1e999",
                  "error: strconv.ParseFloat: parsing \"1e999\": value out of range"},
        LexerCase{"no_exponent", "1e", "error: exponent has no digits"},
        LexerCase{"days_to_years", "1d 1w 1y",
                  "DURATION<24h0m0s> DURATION<168h0m0s> "
                  "DURATION<8760h0m0s>"},
        LexerCase{"several_units", "1h30m 1d2h 1ms500us",
                  "DURATION<1h30m0s> DURATION<26h0m0s> DURATION<1.5ms>"},
        LexerCase{"fractions", "1.5h .5s 0.1us 1.5µs 2μs",
                  "DURATION<1h30m0s> DURATION<500ms> DURATION<100ns> DURATION<1.5µs> "
                  "DURATION<2µs>"},
        LexerCase{"order_matters_for_days_only", "30m1h 2h1d",
                  "DURATION<1h30m0s> INTEGER<2> IDENTIFIER<h1d>"},
        LexerCase{"unknown_unit", "10x", "INTEGER<10> IDENTIFIER<x>"},
        LexerCase{"space_before_the_unit", "10 s", "INTEGER<10> IDENTIFIER<s>"},
        LexerCase{"too_long_a_duration", "300y", "INTEGER<300> IDENTIFIER<y>"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Strings, LexerTest,
    ::testing::Values(LexerCase{"escapes", R"("\n\t\\\"\x41\u00e9\101")", "STRING<\n\t\\\"AéA>"},
                      LexerCase{"unknown_escape", R"("\d")", "error: invalid char escape"},
                      LexerCase{"surrogate", R"("\ud800")", "error: invalid char escape"},
                      LexerCase{"large_octal", R"("\400")", "error: invalid char escape"},
                      LexerCase{"short_escape", R"("\x4")", "error: invalid char escape"},
                      LexerCase{"newline", "\"a\nb\"", "error: literal not terminated"},
                      LexerCase{"unclosed", "\"a", "error: literal not terminated"},
                      LexerCase{"raw", "`a\\d\n\"`", "STRING<a\\d\n\">"},
                      LexerCase{"raw_unclosed", "`a", "error: literal not terminated"},
                      LexerCase{"single_quotes_are_no_strings", "'x'", "IDENTIFIER<'x'>"},
                      LexerCase{"long_single_quotes", "'xy'", "error: invalid char literal"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(Comments, LexerTest,
                         ::testing::Values(LexerCase{"line", "{ // } \n }", "{ }"},
                                           LexerCase{"block", "{/* } \n */}", "{ }"},
                                           LexerCase{"block_unclosed", "{ /* }",
                                                     "{ error: comment not terminated"},
                                           LexerCase{"in_a_string", "\"//\"", "STRING<//>"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Lexer, CountsLinesAndCodePoints) {
  Lexer lexer("{\n  .föö >= `é` }");
  EXPECT_EQ(lexer.next().column, 1u);
  const Token dot = lexer.next();
  EXPECT_EQ(dot.line, 2u);
  EXPECT_EQ(dot.column, 3u);
  static_cast<void>(lexer.next());
  const Token op = lexer.next();
  EXPECT_EQ(op.line, 0u);  // it took two characters
  EXPECT_EQ(op.column, 8u);
  EXPECT_EQ(lexer.next().column, 11u);
  const Token brace = lexer.next();
  EXPECT_EQ(brace.line, 2u);
  EXPECT_EQ(brace.column, 15u);
}

TEST(Lexer, StaysAtItsError) {
  Lexer lexer("\"a");
  EXPECT_EQ(lexer.next().kind, TokenKind::Error);
  EXPECT_EQ(lexer.next().kind, TokenKind::Error);
}

}  // namespace
}  // namespace gantry::traceql
