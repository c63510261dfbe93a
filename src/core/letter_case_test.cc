#include "core/letter_case.h"

#include <gtest/gtest.h>

namespace gantry::core {
namespace {

TEST(LetterCase, IsThatOfGo) {
  EXPECT_EQ(to_upper(""), "");
  EXPECT_EQ(to_upper("bAr123-Foo@[`{"), "BAR123-FOO@[`{");
  EXPECT_EQ(to_lower("bAr123-Foo@[`{"), "bar123-foo@[`{");
  EXPECT_EQ(to_upper("größe ÿ ő ж я ά ա ა"), "GRÖßE Ÿ Ő Ж Я Ά Ա Ა");
  EXPECT_EQ(to_lower("GRÖẞE Ÿ Ő Ж Я Ά Ա İ Σ"), "größe ÿ ő ж я ά ա i σ");
  EXPECT_EQ(to_upper("ǆ ǅ 𐐨"), "Ǆ Ǆ 𐐀");
  EXPECT_EQ(to_lower("Ǆ ǅ 𐐀"), "ǆ ǆ 𐐨");
  // Every second code point of a range is a capital.
  EXPECT_EQ(to_upper("āĀăĂ"), "ĀĀĂĂ");
  EXPECT_EQ(to_lower("āĀăĂ"), "āāăă");
  EXPECT_EQ(to_upper("日本語 😀 ×÷"), "日本語 😀 ×÷");
}

TEST(LetterCase, RepairsWhatIsNoUtf8) {
  EXPECT_EQ(to_upper("a\xff"
                     "b"),
            "A\xef\xbf\xbd"
            "B");
}

}  // namespace
}  // namespace gantry::core
