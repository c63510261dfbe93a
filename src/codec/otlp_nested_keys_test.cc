#include "codec/otlp_nested_keys.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::codec {
namespace {

/// A message with one length-delimited field.
std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  std::size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7U) out.push_back(static_cast<char>(size | 0x80U));
  out.push_back(static_cast<char>(size));
  return out.append(bytes);
}

std::string text(std::string_view value) {
  return field(1, value);
}

/// A key-value list with one member.
std::string map(std::string_view key, std::string_view value) {
  return field(6, field(1, field(1, key) + field(2, value)));
}

std::string array(std::string_view value) {
  return field(5, field(1, value));
}

bool is_key_b(std::string_view /*path*/, std::string_view key) {
  return key == "b";
}

bool is_path_abc(std::string_view path, std::string_view /*key*/) {
  return path == "a.b.c";
}

TEST(OtlpNestedKeys, AreThoseOfListsAtAnyDepth) {
  EXPECT_FALSE(has_nested_key("", "b", is_key_b).value());
  EXPECT_FALSE(has_nested_key(text("b"), "b", is_key_b).value());
  EXPECT_FALSE(has_nested_key(array(text("b")), "a", is_key_b).value());
  EXPECT_FALSE(has_nested_key(map("a", text("b")), "a", is_key_b).value());
  EXPECT_TRUE(has_nested_key(map("b", text("x")), "a", is_key_b).value());
  EXPECT_TRUE(has_nested_key(map("a", array(map("b", ""))), "a", is_key_b).value());
  // The second member of a list, and one behind it.
  const std::string two = field(6, field(1, field(1, "a")) + field(1, field(1, "b")));
  EXPECT_TRUE(has_nested_key(array(two), "a", is_key_b).value());
}

TEST(OtlpNestedKeys, HavePathsFromTheAttribute) {
  EXPECT_TRUE(has_nested_key(map("b", map("c", "")), "a", is_path_abc).value());
  EXPECT_TRUE(has_nested_key(map("b.c", ""), "a", is_path_abc).value());
  EXPECT_TRUE(has_nested_key(array(map("c", "")), "a.b", is_path_abc).value());
  EXPECT_FALSE(has_nested_key(map("c", ""), "a", is_path_abc).value());
  // A path ends where its list ends.
  const std::string siblings = field(6, field(1, field(1, "b")) + field(1, field(1, "c")));
  EXPECT_FALSE(has_nested_key(siblings, "a", is_path_abc).value());
}

TEST(OtlpNestedKeys, IncludeWhatALaterMemberHides) {
  EXPECT_TRUE(has_nested_key(map("b", "") + text("x"), "a", is_key_b).value());
}

TEST(OtlpNestedKeys, RefuseWhatIsNoValue) {
  EXPECT_EQ(has_nested_key("\x2a\x05", "a", is_key_b).error().code, Code::InvalidArgument);
  std::string deep = text("x");
  for (int i = 0; i < 32; ++i) deep = array(deep);
  EXPECT_FALSE(has_nested_key(deep, "a", is_key_b).value());
  EXPECT_EQ(has_nested_key(array(deep), "a", is_key_b).error().message,
            "an attribute value is nested deeper than 32");
}

}  // namespace
}  // namespace gantry::codec
