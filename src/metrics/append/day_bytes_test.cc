#include "metrics/append/day_bytes.h"

#include <gtest/gtest.h>

namespace gantry::metrics {
namespace {

constexpr std::int64_t kDay = 24LL * 60 * 60 * 1000;
constexpr TimestampMs kNoon{20'000 * kDay + kDay / 2};

TEST(DayBytes, CountsUntilTheLimitAndNotBeyond) {
  DayBytes bytes;
  EXPECT_TRUE(bytes.take(60, 100, kNoon).is_taken);
  const DayBytes::Answer refused = bytes.take(41, 100, kNoon);
  EXPECT_FALSE(refused.is_taken);
  EXPECT_EQ(refused.bytes_before, 60U);
  EXPECT_TRUE(bytes.take(40, 100, kNoon).is_taken);
  EXPECT_TRUE(bytes.take(0, 100, kNoon).is_taken);
  EXPECT_EQ(bytes.count(), (DayBytes::Count{.day = 20'000, .bytes = 100}));
}

TEST(DayBytes, HugeRequestsDoNotWrapAround) {
  DayBytes bytes;
  EXPECT_TRUE(bytes.take(60, 100, kNoon).is_taken);
  EXPECT_FALSE(bytes.take(~std::uint64_t{0}, 100, kNoon).is_taken);
  EXPECT_FALSE(bytes.take(~std::uint64_t{0} - 10, ~std::uint64_t{0} - 1, kNoon).is_taken);
}

TEST(DayBytes, CountsWithoutALimitToo) {
  DayBytes bytes;
  EXPECT_TRUE(bytes.take(1000, 0, kNoon).is_taken);
  EXPECT_FALSE(bytes.take(1, 1000, kNoon).is_taken);
}

TEST(DayBytes, ANewDayBeginsAtMidnightUtc) {
  DayBytes bytes;
  const TimestampMs last{kNoon.since_epoch + kDay / 2 - 1};
  EXPECT_TRUE(bytes.take(100, 100, last).is_taken);
  EXPECT_FALSE(bytes.take(1, 100, last).is_taken);
  EXPECT_TRUE(bytes.take(100, 100, last + DurationMs{1}).is_taken);
  EXPECT_EQ(until_next_day(last).count, 1);
  EXPECT_EQ(until_next_day(last + DurationMs{1}).count, kDay);
  EXPECT_EQ(until_next_day(TimestampMs{-1}).count, 1);
}

TEST(DayBytes, GivesBackToTheSameDayOnly) {
  DayBytes bytes;
  EXPECT_TRUE(bytes.take(100, 100, kNoon).is_taken);
  bytes.give_back(40, kNoon);
  EXPECT_EQ(bytes.count().bytes, 60U);
  EXPECT_TRUE(bytes.take(10, 100, kNoon + DurationMs{kDay}).is_taken);
  bytes.give_back(60, kNoon);
  EXPECT_EQ(bytes.count().bytes, 10U);
}

TEST(DayBytes, AFileIsReadBackOrRefused) {
  const DayBytes::Count count{.day = -3, .bytes = std::uint64_t{1} << 60};
  const std::vector<std::byte> bytes = encode_day_bytes(count);
  const auto read = decode_day_bytes(bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, count);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_day_bytes(std::span(bytes).first(length))) << length;
  }
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::vector<std::byte> flipped = bytes;
    flipped[i / 8] ^= static_cast<std::byte>(1U << (i % 8));
    EXPECT_FALSE(decode_day_bytes(flipped)) << i;
  }
  std::vector<std::byte> newer = bytes;
  newer[8] = std::byte{2};
  EXPECT_EQ(decode_day_bytes(newer).error().code, Code::FailedPrecondition);
}

}  // namespace
}  // namespace gantry::metrics
