#include "gateway/byte_edits.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

TEST(ByteEdits, AreMadeWhateverTheirOrder) {
  ByteEdits edits;
  edits.remove({4, 6});
  edits.insert(8, "<");
  edits.insert(8, ">");
  edits.replace({8, 9}, "H");
  edits.insert(0, "[");
  edits.replace({1, 2}, "BB");
  std::string out = "out:";
  edits.apply("abcdefghij", out);
  EXPECT_EQ(out, "out:[aBBcdgh<>Hj");
}

TEST(ByteEdits, CopyWithoutAny) {
  std::string out;
  ByteEdits().apply("abc", out);
  EXPECT_EQ(out, "abc");
}

/// `text` without the members whose keys begin with '-'.
std::string without(const std::string& text) {
  ByteEdits edits;
  JsonReader json(text);
  auto earlier = EarlierMembers::AllRemoved;
  json.object([&](const JsonMember& member) {
    if (!member.key.starts_with('-')) {
      earlier = EarlierMembers::SomeKept;
      return;
    }
    const JsonMember copy = member;
    edits.remove(member_range(text, copy, json.skip().end, earlier));
  });
  std::string out;
  edits.apply(text, out);
  return out;
}

TEST(MemberRange, TakesOneCommaAlong) {
  EXPECT_EQ(without(R"({"-a":1})"), "{}");
  EXPECT_EQ(without(R"({"-a":1,"b":2})"), R"({"b":2})");
  EXPECT_EQ(without(R"({"a":1,"-b":2})"), R"({"a":1})");
  EXPECT_EQ(without(R"({"a":1,"-b":2,"c":3})"), R"({"a":1,"c":3})");
  EXPECT_EQ(without(R"({"-a":1,"-b":2,"c":3})"), R"({"c":3})");
  EXPECT_EQ(without(R"({"-a":1,"b":2,"-c":3,"-d":4})"), R"({"b":2})");
  EXPECT_EQ(without(R"({"-a":1,"-b":2})"), "{}");
  EXPECT_EQ(without(R"({ "-a" : 1 , "b" : 2 , "-c" : 3 })"), R"({  "b" : 2  })");
}

TEST(JsonString, IsEscaped) {
  EXPECT_EQ(json_string("a\"\n\xff"), "\"a\\\"\\n\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace gantry::gateway
