#include "access/stored_text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/utf8.h"

namespace gantry::access {
namespace {

TEST(StoredTextTest, KeepsWhatIsText) {
  EXPECT_EQ(stored_text("curl/8.1 (größer)\n\t"), "curl/8.1 (größer)\n\t");
  EXPECT_EQ(stored_text(""), "");
}

TEST(StoredTextTest, ReplacesWhatNoDatabaseTakes) {
  EXPECT_EQ(stored_text("a\xff z"), "a\xef\xbf\xbd z");
  EXPECT_EQ(stored_text("\xc3"), "\xef\xbf\xbd");
  EXPECT_EQ(stored_text(std::string_view("a\0b", 3)),
            "a\xef\xbf\xbd"
            "b");
}

TEST(StoredTextTest, CutsBetweenCodePoints) {
  EXPECT_EQ(stored_text("aöb", 2), "a");
  EXPECT_EQ(stored_text("aöb", 3), "aö");
}

RC_GTEST_PROP(StoredTextProperty, IsAlwaysUtf8WithoutNul, (std::string text, std::uint8_t most)) {
  const std::string stored = stored_text(text, most);
  RC_ASSERT(core::is_valid_utf8(stored));
  RC_ASSERT(stored.find('\0') == std::string::npos);
  RC_ASSERT(stored.size() <= most);
}

}  // namespace
}  // namespace gantry::access
