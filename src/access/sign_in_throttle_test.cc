#include "access/sign_in_throttle.h"

#include <string>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "access/testing/directory_fixture.h"

namespace gantry::access {
namespace {

class SignInThrottleTest : public DirectoryFixture {
 protected:
  /// Null when admitted, else the seconds to wait.
  std::int64_t wait_seconds(std::string_view login, std::string_view ip, bool known = false) {
    const auto admission = throttle_.admit({.login = login, .ip = ip, .is_known_device = known});
    EXPECT_TRUE(admission) << (admission ? "" : admission.error().message);
    return admission->is_admitted ? 0 : admission->retry_after.count / 1000;
  }

  /// `count` failures of an account, each from another address.
  void fail_from_everywhere(std::string_view login, int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_EQ(wait_seconds(login, fmt::format("10.0.{}.{}", i / 200, i % 200)), 0) << i;
  }

  SignInThrottle throttle_{*db_, hasher_, clock_};
};

TEST_F(SignInThrottleTest, DelaysDoubleAfterFiveFailures) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0) << i;
  for (const std::int64_t seconds : {2, 4, 8, 16, 32}) {
    EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), seconds);
    EXPECT_EQ(wait_seconds("Ann", "192.0.2.1"), seconds) << "asking again costs nothing";
    clock_.advance({seconds * 1000});
    EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0);
  }
}

TEST_F(SignInThrottleTest, TheDelayHasALimit) {
  std::int64_t longest = 0;
  for (int i = 0; i < 40; ++i) {
    const std::int64_t seconds = wait_seconds("ann", "192.0.2.1");
    longest = std::max(longest, seconds);
    clock_.advance({seconds * 1000});
  }
  EXPECT_LE(longest, 15 * 60);
}

TEST_F(SignInThrottleTest, OthersAreNotHeldUp) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0);
  EXPECT_GT(wait_seconds("ann", "192.0.2.1"), 0);
  EXPECT_EQ(wait_seconds("ann", "192.0.2.2"), 0);
  EXPECT_EQ(wait_seconds("bob", "192.0.2.1"), 0);
}

TEST_F(SignInThrottleTest, AWindowEnds) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0);
  clock_.advance({15 * 60 * 1000});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0) << i;
}

TEST_F(SignInThrottleTest, AnAddressHasItsOwnLimit) {
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(wait_seconds(fmt::format("user{}", i), "2001:db8::1"), 0) << i;
  EXPECT_GT(wait_seconds("another", "2001:db8::2"), 0) << "one /64 is one address";
  EXPECT_EQ(wait_seconds("another", "2001:db8:0:1::2"), 0);
  clock_.advance({15 * 60 * 1000});
  EXPECT_EQ(wait_seconds("another", "2001:db8::2"), 0);
}

TEST_F(SignInThrottleTest, SuccessForgives) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0);
  ASSERT_TRUE(throttle_.forgive({.login = "ann", .ip = "192.0.2.1"}));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0) << i;
}

TEST_F(SignInThrottleTest, StrangersCannotLockAnAccount) {
  fail_from_everywhere("ann", 100);
  EXPECT_EQ(wait_seconds("ann", "192.0.2.9", true), 0) << "her own browser";
  EXPECT_EQ(wait_seconds("ann", "192.0.2.8"), 2);
  clock_.advance({2000});
  EXPECT_EQ(wait_seconds("ann", "192.0.2.8"), 0) << "slow, not locked";
  EXPECT_EQ(wait_seconds("ann", "192.0.2.8"), 2) << "each time";
  EXPECT_EQ(wait_seconds("bob", "192.0.2.8"), 0);
  clock_.advance({60 * 60 * 1000});
  EXPECT_EQ(wait_seconds("ann", "192.0.2.7"), 0);
}

TEST_F(SignInThrottleTest, LoginsAreNotKept) {
  EXPECT_EQ(wait_seconds("hunter2-typed-in-the-wrong-field", "192.0.2.1"), 0);
  auto tx = db_->begin_read();
  ASSERT_TRUE(tx);
  auto select = tx->prepare("SELECT count(*) FROM sign_in_failures WHERE key LIKE '%hunter%'");
  ASSERT_TRUE(select);
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->integer(0), 0);
}

TEST_F(SignInThrottleTest, OldCountersGo) {
  EXPECT_EQ(wait_seconds("ann", "192.0.2.1"), 0);
  clock_.advance({2 * 60 * 60 * 1000});
  ASSERT_TRUE(throttle_.expire());
  auto tx = db_->begin_read();
  auto select = tx->prepare("SELECT count(*) FROM sign_in_failures");
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->integer(0), 0);
}

TEST(ThrottledAddressTest, IsWhatOnePersonHolds) {
  EXPECT_EQ(throttled_address("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(throttled_address("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(throttled_address("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(throttled_address("no address"), "no address");
}

}  // namespace
}  // namespace gantry::access
