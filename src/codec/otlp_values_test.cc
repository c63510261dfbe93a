#include "codec/otlp_values.h"

#include <cmath>

#include <gtest/gtest.h>
#include <protozero/exception.hpp>

#include "codec/testing/span_text.h"

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

std::string nested_lists(int depth) {
  std::string value = field(1, "x");
  for (int i = 0; i < depth; ++i) value = field(5, field(1, value));
  return value;
}

TEST(OtlpValues, KeepsListsUpToADepth) {
  core::Arena arena;
  telemetry::AttributeValue value;
  const std::string kept = nested_lists(kValueDepthMax);
  EXPECT_EQ(read_attribute_value(kept, arena, value), ValueState::AsSent);
  EXPECT_EQ(value.text, kept);
  const std::string refused = nested_lists(kValueDepthMax + 1);
  EXPECT_EQ(read_attribute_value(refused, arena, value), ValueState::TooDeep);
  EXPECT_EQ(value.text, "");
  const std::string far_too_deep = nested_lists(3000);
  EXPECT_EQ(read_attribute_value(far_too_deep, arena, value), ValueState::TooDeep);
}

TEST(OtlpValues, MalformedPartsThrow) {
  core::Arena arena;
  telemetry::AttributeValue value;
  const std::string bad = field(5, field(1, "\x0a\x05x"));
  EXPECT_THROW(static_cast<void>(read_attribute_value(bad, arena, value)), protozero::exception);
  const std::string bad_pair = field(6, field(1, "\x0a\x7f"));
  EXPECT_THROW(static_cast<void>(read_attribute_value(bad_pair, arena, value)),
               protozero::exception);
}

TEST(OtlpValues, RepairKeepsWhatIsGood) {
  core::Arena arena;
  telemetry::AttributeValue value;
  // {"k": [true, 7, 0.5, bytes ff, "\xff", {}]}
  const std::string half("\x21\x00\x00\x00\x00\x00\x00\xe0\x3f", 9);
  const std::string list = field(1, std::string("\x10\x01")) + field(1, std::string("\x18\x07")) +
                           field(1, half) + field(1, field(7, "\xff")) +
                           field(1, field(1, "\xff")) + field(1, "");
  const std::string map = field(6, field(1, field(1, "k") + field(2, field(5, list))));
  EXPECT_EQ(read_attribute_value(map, arena, value), ValueState::Repaired);
  EXPECT_EQ(testing::value_text(value),
            "{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{\"arrayValue\":{\"values\":["
            "{\"boolValue\":true},{\"intValue\":\"7\"},{\"doubleValue\":0.5},"
            "{\"bytesValue\":\"/w==\"},{\"stringValue\":\"\xef\xbf\xbd\"},{}]}}}]}}");
}

TEST(OtlpValues, TheLastMemberCounts) {
  core::Arena arena;
  telemetry::AttributeValue value;
  const std::string both = field(1, "x") + "\x18\x05";
  EXPECT_EQ(read_attribute_value(both, arena, value), ValueState::AsSent);
  EXPECT_EQ(testing::value_text(value), R"({"intValue":"5"})");
}

TEST(OtlpValues, SpecialDoublesAreStrings) {
  using Kind = telemetry::AttributeValue::Kind;
  EXPECT_EQ(testing::value_text({.kind = Kind::Double, .number = std::nan("")}),
            R"({"doubleValue":"NaN"})");
  EXPECT_EQ(testing::value_text({.kind = Kind::Double, .number = INFINITY}),
            R"({"doubleValue":"Infinity"})");
  EXPECT_EQ(testing::value_text({.kind = Kind::Double, .number = -INFINITY}),
            R"({"doubleValue":"-Infinity"})");
  EXPECT_EQ(testing::value_text({.kind = Kind::String}), R"({"stringValue":""})");
  EXPECT_EQ(testing::value_text({}), "{}");
}

}  // namespace
}  // namespace gantry::codec
