#include "gateway/text_pieces.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/utf8.h"

namespace gantry::gateway {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(Encoding encoding, const std::string& text) {
  Pieces pieces;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = piece_end(encoding, text, begin);
    pieces.push_back(text.substr(begin, end - begin));
    if (end <= begin) break;
    begin = end;
  }
  return pieces;
}

struct Case {
  std::string text;
  Pieces cl100k;
  Pieces o200k;
};

class TextPiecesTest : public ::testing::TestWithParam<Case> {};

TEST_P(TextPiecesTest, AreThoseOfThePatterns) {
  EXPECT_EQ(split(Encoding::Cl100kBase, GetParam().text), GetParam().cl100k);
  EXPECT_EQ(split(Encoding::O200kBase, GetParam().text), GetParam().o200k);
}

// What the patterns themselves find, in a library of regular expressions.
const std::vector<Case> kCases = {
    {"Hello, world!", {"Hello", ",", " world", "!"}, {"Hello", ",", " world", "!"}},
    {"don't I'LL we'Ve 'sure it'd",
     {"don", "'t", " I", "'LL", " we", "'Ve", " '", "sure", " it", "'d"},
     {"don't", " I'LL", " we'Ve", " '", "sure", " it'd"}},
    {"x's'tX", {"x", "'s", "'t", "X"}, {"x's", "'t", "X"}},
    {"1234567 12a3",
     {"123", "456", "7", " ", "12", "a", "3"},
     {"123", "456", "7", " ", "12", "a", "3"}},
    {"a  b   c", {"a", " ", " b", "  ", " c"}, {"a", " ", " b", "  ", " c"}},
    {" a", {" a"}, {" a"}},
    {"  (x)", {" ", " (", "x", ")"}, {" ", " (", "x", ")"}},
    {"a\n", {"a", "\n"}, {"a", "\n"}},
    {"a \n \n  b", {"a", " \n \n", " ", " b"}, {"a", " \n \n", " ", " b"}},
    {"a\n   ", {"a", "\n   "}, {"a", "\n", "   "}},
    {"a   ", {"a", "   "}, {"a", "   "}},
    {"\r\n\r\nb", {"\r\n\r\n", "b"}, {"\r\n\r\n", "b"}},
    {"if (x) {\n  return;\n}//\n/",
     {"if", " (", "x", ")", " {\n", " ", " return", ";\n", "}//\n", "/"},
     {"if", " (", "x", ")", " {\n", " ", " return", ";\n", "}//\n/"}},
    {"HTTPServer getURL XMLs",
     {"HTTPServer", " getURL", " XMLs"},
     {"HTTPServer", " get", "URL", " XMLs"}},
    {"ÀÉaß Ǆx ABCd", {"ÀÉaß", " Ǆx", " ABCd"}, {"ÀÉaß", " Ǆx", " ABCd"}},
    {"zażółć gęślą", {"zażółć", " gęślą"}, {"zażółć", " gęślą"}},
    {"cafe\u0301s ñ", {"cafe", "\u0301s", " n", "̃"}, {"cafe\u0301s", " ñ"}},
    {"\u0301ABC \u0301", {"\u0301ABC", " \u0301"}, {"\u0301", "ABC", " \u0301"}},
    {"你好，世界 2024年",
     {"你好", "，世界", " ", "202", "4", "年"},
     {"你好", "，世界", " ", "202", "4", "年"}},
    {"ひらがなカタカナAbcД", {"ひらがなカタカナAbcД"}, {"ひらがなカタカナAbc", "Д"}},
    {"한국어 텍스트입니다", {"한국어", " 텍스트입니다"}, {"한국어", " 텍스트입니다"}},
    {"נִקּוּד עברית", {"נ", "ִק", "ּו", "ּד", " עברית"}, {"נִקּוּד", " עברית"}},
    {"हिन\u094dदी में", {"ह", "िन", "\u094dद", "ी", " म", "ें"}, {"हिन\u094dदी", " में"}},
    {"😀👩\u200d💻 ❤\ufe0f!", {"😀👩\u200d💻", " ❤\ufe0f!"}, {"😀👩\u200d💻", " ❤\ufe0f!"}},
    {"²³½Ⅷ٣٤٥٦", {"²³½", "Ⅷ٣٤", "٥٦"}, {"²³½", "Ⅷ٣٤", "٥٦"}},
    {"\u3000a\u3000\u3000b", {"\u3000a", "\u3000", "\u3000b"}, {"\u3000a", "\u3000", "\u3000b"}},
    {"\u00a0x", {"\u00a0x"}, {"\u00a0x"}},
    {"\t\tfoo\tbar", {"\t", "\tfoo", "\tbar"}, {"\t", "\tfoo", "\tbar"}},
    {"-- ...\n\n/path/to", {"--", " ...\n\n", "/path", "/to"}, {"--", " ...\n\n/", "path", "/to"}},
    {"_snake_case camelCase",
     {"_snake", "_case", " camelCase"},
     {"_snake", "_case", " camel", "Case"}},
    {"'\u017f a'\u017f", {"'\u017f", " a", "'\u017f"}, {"'\u017f", " a'\u017f"}},
    {".'s", {".'", "s"}, {".'", "s"}},
    {"AʰB ªb", {"AʰB", " ªb"}, {"Aʰ", "B", " ªb"}},
    {"Aあ'S", {"Aあ", "'S"}, {"Aあ'S"}},
    {"tab\t\n\tx", {"tab", "\t\n", "\tx"}, {"tab", "\t\n", "\tx"}},
    {"!\n!\r\n /x", {"!\n", "!\r\n", " /", "x"}, {"!\n", "!\r\n", " /", "x"}},
    // No UTF-8: as symbols.
    {"a\xff\xc3 b\xe4\xb8",
     {"a", "\xff\xc3", " b", "\xe4\xb8"},
     {"a", "\xff\xc3", " b", "\xe4\xb8"}},
};

INSTANTIATE_TEST_SUITE_P(Texts, TextPiecesTest, ::testing::ValuesIn(kCases));

std::string random_text() {
  const auto code_points = *rc::gen::container<std::vector<int>>(
      rc::gen::element<int>('a', 'B', '1', ' ', ' ', '\n', '\r', '\t', '\'', 's', 'L', '/', '.',
                            0xe9, 0xc9, 0x301, 0x4e2d, 0x1f600, 0x663, 0x3000, 0x1c5, 0x2b0));
  std::string text;
  for (const int code_point : code_points) {
    core::append_utf8(text, static_cast<char32_t>(code_point));
  }
  return text;
}

RC_GTEST_PROP(TextPiecesProperty, CoverTheTextAndCutNoCharacter, ()) {
  const std::string text = random_text();
  for (const Encoding encoding : {Encoding::Cl100kBase, Encoding::O200kBase}) {
    std::string joined;
    for (const std::string& piece : split(encoding, text)) {
      RC_ASSERT(!piece.empty());
      RC_ASSERT(core::is_valid_utf8(piece));
      joined += piece;
    }
    RC_ASSERT(joined == text);
  }
}

}  // namespace
}  // namespace gantry::gateway
