#include "gateway/spend.h"

#include <limits>

#include <gtest/gtest.h>

#include "core/rfc3339.h"

namespace gantry::gateway {
namespace {

TimestampMs time(std::string_view text) {
  return core::parse_rfc3339(text).value();
}

/// "daily weekly monthly" of 1 spent at `before`, looked at at `after`.
std::string left(std::string_view before, std::string_view after) {
  KeySpend spend{.as_of = time(before)};
  spend.add({1}, {1});
  spend.roll(time(after));
  EXPECT_EQ(spend.own, spend.byok);
  EXPECT_EQ(spend.own.total, PicoUsd{1});
  return std::to_string(spend.own.daily.value) + std::to_string(spend.own.weekly.value) +
         std::to_string(spend.own.monthly.value);
}

TEST(KeySpendTest, WindowsEndAtMidnightUtc) {
  EXPECT_EQ(left("2026-07-15T00:00:00Z", "2026-07-15T23:59:59.999Z"), "111");
  EXPECT_EQ(left("2026-07-15T23:59:59.999Z", "2026-07-16T00:00:00Z"), "011");
  EXPECT_EQ(left("2026-07-19T23:59:59Z", "2026-07-20T00:00:00Z"), "001") << "a Monday";
  EXPECT_EQ(left("2026-07-31T12:00:00Z", "2026-08-01T00:00:00Z"), "010") << "a Saturday";
  EXPECT_EQ(left("2026-07-31T12:00:00Z", "2027-07-31T12:00:00Z"), "000");
}

TEST(KeySpendTest, AClockSetBackEndsNothing) {
  KeySpend spend{.as_of = time("2026-07-15T00:00:00Z")};
  spend.add({1}, {});
  spend.roll(time("2026-06-01T00:00:00Z"));
  EXPECT_EQ(spend.own.daily, PicoUsd{1});
  EXPECT_EQ(spend.as_of, time("2026-07-15T00:00:00Z"));
}

TEST(KeySpendTest, SumsStayAtTheLargestAmount) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  KeySpend spend;
  spend.add({kMax - 1}, {5});
  spend.add({3}, {});
  EXPECT_EQ(spend.own.total, PicoUsd{kMax});
  EXPECT_EQ(spend.against_limit({.includes_byok = true}), PicoUsd{kMax});
}

TEST(KeySpendTest, TheLimitSaysWhatCounts) {
  KeySpend spend{.as_of = time("2026-07-15T00:00:00Z")};
  spend.add({100}, {7});
  spend.roll(time("2026-07-16T00:00:00Z"));
  spend.add({10}, {2});
  EXPECT_EQ(spend.against_limit({.limit_reset = LimitReset::Never}), PicoUsd{110});
  EXPECT_EQ(spend.against_limit({.limit_reset = LimitReset::Daily}), PicoUsd{10});
  EXPECT_EQ(spend.against_limit({.limit_reset = LimitReset::Daily, .includes_byok = true}),
            PicoUsd{12});
  EXPECT_EQ(spend.against_limit({.limit_reset = LimitReset::Weekly}), PicoUsd{110});
}

TEST(NextResetTest, IsTheNextMidnightOfItsKind) {
  const TimestampMs now = time("2026-12-31T10:00:00Z");  // a Thursday
  EXPECT_EQ(next_reset(LimitReset::Never, now), std::nullopt);
  EXPECT_EQ(next_reset(LimitReset::Daily, now), time("2027-01-01T00:00:00Z"));
  EXPECT_EQ(next_reset(LimitReset::Weekly, now), time("2027-01-04T00:00:00Z"));
  EXPECT_EQ(next_reset(LimitReset::Monthly, now), time("2027-01-01T00:00:00Z"));
  EXPECT_EQ(next_reset(LimitReset::Daily, time("2026-07-15T00:00:00Z")),
            time("2026-07-16T00:00:00Z"));
}

}  // namespace
}  // namespace gantry::gateway
