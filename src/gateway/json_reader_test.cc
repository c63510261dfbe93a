#include "gateway/json_reader.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "gateway/testing/random_json.h"

namespace gantry::gateway {
namespace {

std::string check(std::string_view text) {
  JsonReader json(text);
  json.skip();
  return json.finish() ? "ok" : json.error_text();
}

struct Case {
  std::string name;
  std::string text;
  std::string expected;
};

class JsonReaderTest : public ::testing::TestWithParam<Case> {};

TEST_P(JsonReaderTest, AcceptsOrExplains) {
  EXPECT_EQ(check(GetParam().text), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, JsonReaderTest,
    ::testing::Values(
        Case{"nothing", "", "line 1, column 1: unexpected end"},
        Case{"spaces", " \t\r\n ", "line 2, column 2: unexpected end"},
        Case{"nested", R"( {"a":[1,{"b":null}],"c":{}} )", "ok"},
        Case{"numbers", "[0,-0,1.5,1e3,1E-3,-2.5e+10,123456789012345678901234567890]", "ok"},
        Case{"leading_zero", "[01]", "line 1, column 2: number with a leading zero"},
        Case{"bare_minus", "-", "line 1, column 2: expected a digit after '-'"},
        Case{"bare_fraction", "1.", "line 1, column 3: expected a digit after '.'"},
        Case{"bare_exponent", "1e+", "line 1, column 4: expected a digit in the exponent"},
        Case{"plus", "+1", "line 1, column 1: expected a value"},
        Case{"literals", "[true,false,null]", "ok"},
        Case{"half_literal", "[tru]", "line 1, column 2: expected a value"},
        Case{"nan", "NaN", "line 1, column 1: expected a value"},
        Case{"trailing_comma_array", "[1,]", "line 1, column 4: expected a value after ','"},
        Case{"trailing_comma_object", R"({"a":1,})", "line 1, column 8: expected a key in quotes"},
        Case{"leading_comma", "[,1]", "line 1, column 2: expected a value"},
        Case{"missing_comma", "[1 2]", "line 1, column 4: expected ',' or ']' after an element"},
        Case{"missing_colon", "{\n \"a\" 1}", "line 2, column 6: expected ':' after a key"},
        Case{"missing_member_comma", R"({"a":1 "b":2})",
             "line 1, column 8: expected ',' or '}' after a member"},
        Case{"bare_key", "{a:1}", "line 1, column 2: expected a key in quotes"},
        Case{"unclosed_object", R"({"a":1)",
             "line 1, column 7: expected ',' or '}' after a member"},
        Case{"unclosed_array", "[1", "line 1, column 3: expected ',' or ']' after an element"},
        Case{"unclosed_string", R"(["abc)", "line 1, column 2: string without an end"},
        Case{"unclosed_escape", R"(["abc\)", "line 1, column 6: unexpected end"},
        Case{"unknown_escape", R"(["\x"])", "line 1, column 3: unknown escape"},
        Case{"short_escape", R"(["\u12g4"])",
             "line 1, column 3: expected four hexadecimal digits after \\u"},
        Case{"escapes", R"(["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"])", "ok"},
        Case{"half_a_pair", R"(["\ud83d"])", "ok"},
        Case{"control", "[\"long enough a\tb\"]",
             "line 1, column 16: control character in a string"},
        Case{"utf8", "[\"\xc3\xa9 \xf0\x9f\x98\x80\"]", "ok"},
        Case{"broken_utf8", "[\"caf\xc3\"]", "line 1, column 6: invalid UTF-8"},
        Case{"overlong_utf8", "[\"\xc0\xaf\"]", "line 1, column 3: invalid UTF-8"},
        Case{"surrogate_utf8", "[\"\xed\xa0\x80\"]", "line 1, column 3: invalid UTF-8"},
        Case{"two_values", "{} {}", "line 1, column 4: unexpected text after the end"},
        Case{"byte_order_mark", "\xef\xbb\xbf{}", "line 1, column 1: expected a value"},
        Case{"deepest", std::string(128, '[') + std::string(128, ']'), "ok"},
        Case{"too_deep", std::string(129, '[') + std::string(129, ']'),
             "line 1, column 129: nested too deeply"},
        Case{"far_too_deep", std::string(1 << 20, '['), "line 1, column 129: nested too deeply"}),
    [](const auto& c) { return c.param.name; });

TEST(JsonReader, FindsAControlCharacterAtEveryPlace) {
  // Runs of eight bytes are passed over at once.
  for (std::size_t length = 0; length < 24; ++length) {
    for (const char bad : {'\x01', '\x1f', '\n', '\0'}) {
      const std::string text = "\"" + std::string(length, 'a') + bad + "aaaaaaaaa\"";
      JsonReader json(text);
      json.skip();
      EXPECT_TRUE(json.has_failed()) << length;
    }
    const std::string good = "\"" + std::string(length, ' ') + "\x7f\xc3\xbf\"";
    EXPECT_EQ(check(good), "ok");
  }
}

TEST(JsonReader, SaysWhereValuesAre) {
  const std::string text = R"( { "a" : [ 1 , 2 ] , "b":"x" } )";
  JsonReader json(text);
  std::vector<std::string> seen;
  EXPECT_EQ(json.position(), 1U);
  json.object([&](const JsonMember& member) {
    seen.push_back(std::string(member.key) + "@" + std::to_string(member.key_begin) + "=" +
                   std::string(json.skip().of(text)));
    EXPECT_EQ(member.comma_before.has_value(), member.key == "b");
  });
  EXPECT_EQ(json.value_end(), text.size() - 1);
  EXPECT_TRUE(json.finish());
  EXPECT_EQ(seen, (std::vector<std::string>{"a@3=[ 1 , 2 ]", "b@21=\"x\""}));
}

TEST(JsonReader, UnderstandsKeysWithEscapes) {
  JsonReader json(R"({"mo\u0064el":"\ud83d\ude00","\ud800x":1})");
  std::vector<std::string> seen;
  json.object([&](const JsonMember& member) {
    seen.emplace_back(member.key);
    if (auto text = json.string()) seen.push_back(*text);
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"model", "\xf0\x9f\x98\x80", "\xef\xbf\xbdx"}));
}

TEST(JsonReader, SkipsWhatIsOfAnotherKind) {
  JsonReader json(R"({"a":{"b":1},"c":[2],"d":"3","e":4.0,"f":true,"g":5})");
  std::vector<std::string> seen;
  json.object([&](const JsonMember& member) {
    if (member.key == "a") EXPECT_EQ(json.string(), std::nullopt);
    if (member.key == "c") EXPECT_FALSE(json.object([](const JsonMember&) { ADD_FAILURE(); }));
    if (member.key == "d") EXPECT_EQ(json.integer(), std::nullopt);
    if (member.key == "e") EXPECT_EQ(json.boolean(), std::nullopt);
    if (member.key == "f") EXPECT_FALSE(json.array([] { ADD_FAILURE(); }));
    if (member.key == "g") EXPECT_EQ(json.integer(), 5);
  });
  EXPECT_TRUE(json.finish());
}

TEST(JsonReader, ReadsIntegersHoweverTheyAreWritten) {
  const auto read = [](std::string_view text) { return JsonReader(text).integer(); };
  EXPECT_EQ(read("9223372036854775807"), 9223372036854775807);
  EXPECT_EQ(read("-12"), -12);
  EXPECT_EQ(read("1e3"), 1000);
  EXPECT_EQ(read("2.50e1"), 25);
  EXPECT_EQ(read("2.5"), std::nullopt);
  EXPECT_EQ(read("9223372036854775808"), std::nullopt);
  EXPECT_EQ(read("1e400"), std::nullopt);
  EXPECT_EQ(read("\"1\""), std::nullopt);
}

TEST(JsonReader, StopsAtTheFirstError) {
  JsonReader json(R"({"a":[1,x],"b":2})");
  int calls = 0;
  EXPECT_FALSE(json.object([&](const JsonMember&) { ++calls; }));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(json.kind(), JsonKind::None);
  EXPECT_EQ(json.integer(), std::nullopt);
  EXPECT_EQ(json.error_text(), "line 1, column 9: expected a value");
}

RC_GTEST_PROP(JsonReaderProperty, ReadsStringsAsAnotherParserDoes, ()) {
  const std::string text = testing::random_json_string();
  RC_ASSERT(JsonReader(text).string() == nlohmann::json::parse(text).get<std::string>());
}

RC_GTEST_PROP(JsonReaderProperty, AgreesWithAnotherParserOnWhatIsJson, ()) {
  std::string text = testing::random_json(3);
  // Without what the other parser refuses beyond the grammar: half surrogate pairs, and numbers
  // that no double holds.
  const int edits = text.contains("\\ud") ? 0 : *rc::gen::inRange(0, 3);
  for (int i = 0; i < edits && !text.empty(); ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    text[at] = *rc::gen::elementOf(std::string("{}[]\",:0-+.tn\\u \n\x01\xc3\xa9"));
  }
  const bool expected = nlohmann::json::accept(text);
  RC_ASSERT((check(text) == "ok") == expected);
}

}  // namespace
}  // namespace gantry::gateway
