#include "promql/lexer.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::promql {
namespace {

std::string describe_all(std::string_view text) {
  Lexer lexer(text);
  std::string all;
  while (true) {
    const Token token = lexer.next();
    if (!all.empty()) all += ' ';
    if (token.kind == TokenKind::EndOfInput) return all + "end";
    if (token.kind == TokenKind::Error) return all + "error: " + lexer.error();
    all += describe(token);
  }
}

struct LexerCase {
  std::string_view text;
  std::string_view expected;
};

TEST(Lexer, TokensDependOnWhereTheyStand) {
  const LexerCase cases[] = {
      {"", "end"},
      {"# all comment", "end"},
      {"SUM sum{sum=\"x\"}",
       R"~(<aggr:SUM> <aggr:sum> "{" identifier "sum" "=" string "\"x\"" "}" end)~"},
      {"a:b c", R"~(metric identifier "a:b" identifier "c" end)~"},
      {"fill (1) fill 2", R"~(<fill> "(" number "1" ")" identifier "fill" number "2" end)~"},
      {"x[5m:1h]", R"~(identifier "x" "[" duration "5m" ":" duration "1h" "]" end)~"},
      {"x[ step ( ) * 2 ]", R"~(identifier "x" "[" "step" "(" ")" <op:*> number "2" "]" end)~"},
      {"a</b>/c", R"~(identifier "a" <op:</> identifier "b" <op:>/> identifier "c" end)~"},
      {"1>=2<=3!=4==5", R"~(number "1" <op:>=> number "2" <op:<=> number "3" <op:!=> number "4" )~"
                        R"~(<op:==> number "5" end)~"},
      {"{a=~`b\\`}#c", R"~("{" identifier "a" <op:=~> string "`b\\`" "}" end)~"},
      {"inf NaN 1e3", R"~(number "inf" number "NaN" number "1e3" end)~"},
      {"x{a # why\n =\"b\"}", R"~(identifier "x" "{" identifier "a" "=" string "\"b\"" "}" end)~"},
      {"\x01", "error: unexpected character: '\\x01'"},
      {"\xC3\xA9", "error: unexpected character: '\xC3\xA9'"},
      {"x[\"", "identifier \"x\" \"[\" error: unexpected character in duration expression: '\"'"},
      {"1e", "error: bad number or duration syntax: \"1e\""},
      {"0x1.5", "error: bad number or duration syntax: \"0x1.\""},
      {"1__0", "error: bad number or duration syntax: \"1__\""},
      {"'\\400'", "error: escape sequence is an invalid Unicode code point"},
      {"'\\ud800'", "error: escape sequence is an invalid Unicode code point"},
      {"'a\nb'", "error: unterminated quoted string"},
      {"\"\xff\"", "error: invalid UTF-8 rune"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(describe_all(text), expected) << text;
  }
}

TEST(Lexer, ErrorsAreFinal) {
  Lexer lexer("a ! b");
  EXPECT_EQ(lexer.next().kind, TokenKind::Identifier);
  EXPECT_EQ(lexer.next().kind, TokenKind::Error);
  EXPECT_EQ(lexer.next().kind, TokenKind::Error);
  EXPECT_EQ(lexer.error_position(), (Position{2, 5}));
}

TEST(Lexer, Unquotes) {
  const std::pair<std::string_view, std::string> cases[] = {
      {R"("a\tb\"")", "a\tb\""},
      {R"('it\'s')", "it's"},
      {R"("\x41\101\u00e9\U0001F600")", "AA\xC3\xA9\xF0\x9F\x98\x80"},
      {R"("\xff")", "\xFF"},
      {"`raw\\n\n`", "raw\\n\n"},
      {"\"\"", ""},
  };
  for (const auto& [quoted, expected] : cases) EXPECT_EQ(unquote(quoted), expected) << quoted;
}

}  // namespace
}  // namespace gantry::promql
