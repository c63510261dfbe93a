#include "storage/hash_filter.h"

#include <random>

#include <gtest/gtest.h>

namespace gantry::storage {
namespace {

class HashFilterTest : public testing::TestWithParam<unsigned> {};

TEST_P(HashFilterTest, NeverForgetsAndSeldomErrs) {
  const unsigned bits = GetParam();
  std::mt19937_64 random(bits);
  std::vector<std::uint64_t> hashes(20'000);
  for (std::uint64_t& hash : hashes) hash = random();
  const std::vector<std::byte> filter = make_hash_filter(hashes, bits);
  EXPECT_TRUE(is_hash_filter_size(filter.size()));
  EXPECT_LE(filter.size(), hashes.size() * bits / 8 + kHashFilterBlockBytes);
  for (const std::uint64_t hash : hashes) EXPECT_TRUE(may_contain(filter, hash));
  std::size_t wrong = 0;
  constexpr std::size_t kQuestions = 100'000;
  for (std::size_t i = 0; i < kQuestions; ++i) wrong += may_contain(filter, random()) ? 1 : 0;
  EXPECT_LT(wrong, bits == 10 ? kQuestions * 2 / 100 : kQuestions / 100);
}

INSTANTIATE_TEST_SUITE_P(BitsPerHash, HashFilterTest, testing::Values(10U, 12U));

TEST(HashFilter, OfNothingHasNothing) {
  EXPECT_TRUE(make_hash_filter({}, 12).empty());
  EXPECT_FALSE(may_contain({}, 42));
}

TEST(HashFilter, OfOneHashHasOneBlock) {
  const std::uint64_t hash = 0x0123456789abcdefULL;
  const std::vector<std::byte> filter = make_hash_filter(std::span(&hash, 1), 12);
  EXPECT_EQ(filter.size(), kHashFilterBlockBytes);
  EXPECT_TRUE(may_contain(filter, hash));
}

}  // namespace
}  // namespace gantry::storage
