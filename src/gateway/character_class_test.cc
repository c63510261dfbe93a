#include "gateway/character_class.h"

#include <map>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

using enum CharacterClass;

struct Case {
  char32_t code_point;
  CharacterClass expected;
};

TEST(CharacterClass, IsThatOfUnicode) {
  for (const Case& each : {
           Case{U'a', Lower},        Case{U'Z', Upper},        Case{U'0', Number},
           Case{U'_', Other},        Case{U'\t', Space},       Case{U'\r', Space},
           Case{U'\0', Other},       Case{0x1c, Other},        Case{0x7f, Other},
           Case{0x85, Space},        Case{0xa0, Space},        Case{U'ª', OtherLetter},
           Case{U'²', Number},       Case{U'µ', Lower},        Case{U'×', Other},
           Case{U'ß', Lower},        Case{U'Ā', Upper},        Case{U'ā', Lower},
           Case{U'ĸ', Lower},        Case{U'Ĺ', Upper},        Case{U'ĺ', Lower},
           Case{0x1c5, Upper},       Case{0x2b0, OtherLetter}, Case{0x300, Mark},
           Case{U'я', Lower},        Case{U'Ж', Upper},        Case{U'א', OtherLetter},
           Case{0x660, Number},      Case{0x94d, Mark},        Case{U'中', OtherLetter},
           Case{U'한', OtherLetter}, Case{U'Ⅷ', Number},       Case{0x2028, Space},
           Case{0x200b, Other},      Case{0x3000, Space},      Case{0xfeff, Other},
           Case{U'😀', Other},       Case{0x1f3fb, Other},     Case{0xfe0f, Mark},
           Case{0x10400, Upper},     Case{0x10428, Lower},     Case{0x20000, OtherLetter},
           Case{0xe0100, Mark},      Case{0xd800, Other},      Case{0x10ffff, Other},
       }) {
    EXPECT_EQ(classify_character(each.code_point), each.expected)
        << "U+" << std::hex << static_cast<std::uint32_t>(each.code_point);
  }
}

/// The numbers of characters that Unicode 17.0 has of each: a range that is off by one shows.
TEST(CharacterClass, HasAsManyOfEachAsUnicode) {
  std::map<CharacterClass, int> counts;
  for (char32_t code_point = 0; code_point <= 0x10ffff; ++code_point) {
    ++counts[classify_character(code_point)];
  }
  EXPECT_EQ(counts[Upper], 1917);
  EXPECT_EQ(counts[Lower], 2283);
  EXPECT_EQ(counts[OtherLetter], 141472);
  EXPECT_EQ(counts[Mark], 2543);
  EXPECT_EQ(counts[Number], 1924);
  EXPECT_EQ(counts[Space], 25);
}

}  // namespace
}  // namespace gantry::gateway
