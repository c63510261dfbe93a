#include "storage/byte_cursor.h"

#include <gtest/gtest.h>

namespace gantry::storage {
namespace {

TEST(ByteReader, StopsAtTheEndAndAtOverlongVarints) {
  const std::vector<std::byte> overlong(11, std::byte{0xff});
  ByteReader reader(overlong);
  EXPECT_EQ(reader.varint(), 0U);
  EXPECT_TRUE(reader.failed());
  ByteReader empty{std::span<const std::byte>()};
  EXPECT_EQ(empty.u64(), 0U);
  EXPECT_TRUE(empty.failed());
  // A count that the rest cannot hold.
  const std::byte lie[] = {std::byte{100}, std::byte{1}};
  ByteReader liar(lie);
  EXPECT_EQ(liar.count(1), 0U);
  EXPECT_TRUE(liar.failed());
}

}  // namespace
}  // namespace gantry::storage
