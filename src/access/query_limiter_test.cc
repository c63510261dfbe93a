#include "access/query_limiter.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

class QueryLimiterTest : public testing::Test {
 protected:
  /// "in", or why not.
  std::string ask(std::string_view token, const QueryPolicy* policy = nullptr) {
    const auto permit = limiter_.enter(token, policy);
    return permit ? "in" : std::string(permit.error().reason);
  }

  ManualClock clock_{TimestampMs{1'700'000'000'000}};
  core::MetricRegistry registry_;
  QueryLimiter limiter_{
      clock_, registry_, {.requests_per_second = 2, .burst = 3, .concurrent_queries = 2}};
};

TEST_F(QueryLimiterTest, LetsABurstInAndThenTheRate) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("a"), "in");
  EXPECT_EQ(ask("a"), "rate");
  clock_.advance(DurationMs{499});
  EXPECT_EQ(ask("a"), "rate");
  clock_.advance(DurationMs{1});
  EXPECT_EQ(ask("a"), "in");
  EXPECT_EQ(ask("a"), "rate");
  clock_.advance(DurationMs{3'600'000});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("a"), "in");
  EXPECT_EQ(ask("a"), "rate") << "no more than the burst is saved up";
}

TEST_F(QueryLimiterTest, KeepsTokensApart) {
  for (int i = 0; i < 4; ++i) static_cast<void>(ask("a"));
  EXPECT_EQ(ask("b"), "in");
}

TEST_F(QueryLimiterTest, BoundsWhatIsInFlight) {
  auto first = limiter_.enter("a", nullptr);
  auto second = limiter_.enter("a", nullptr);
  ASSERT_TRUE(first && second);
  const auto refused = limiter_.enter("a", nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 429);
  EXPECT_EQ(refused.error().message, "rate limit exceeded");
  EXPECT_EQ(refused.error().headers.find("Retry-After"), "1");
  EXPECT_EQ(refused.error().reason, "concurrency");
  const auto copy = *first;
  first->reset();
  clock_.advance(DurationMs{1000});
  EXPECT_EQ(ask("a"), "concurrency") << "a copy still holds the place";
  second->reset();
  EXPECT_EQ(ask("a"), "in");
}

TEST_F(QueryLimiterTest, APolicyOverrides) {
  const QueryPolicy policy{.requests_per_second = 1, .burst = 1, .concurrent_queries = 1};
  EXPECT_EQ(ask("a", &policy), "in");
  EXPECT_EQ(ask("a", &policy), "rate");
  EXPECT_EQ(ask("a"), "rate") << "what a smaller burst left over does not grow";
  clock_.advance(DurationMs{1000});
  const auto held = limiter_.enter("a", &policy);
  ASSERT_TRUE(held);
  clock_.advance(DurationMs{1000});
  EXPECT_EQ(ask("a", &policy), "concurrency");
}

TEST_F(QueryLimiterTest, ForgetsTokensThatRest) {
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(ask(std::to_string(i)), "in");
    clock_.advance(DurationMs{2000});
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("4999"), "in");
}

TEST_F(QueryLimiterTest, CountsRightUnderThreads) {
  const QueryPolicy policy{.requests_per_second = 1e9, .burst = 1e9, .concurrent_queries = 1000};
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 500; ++j) EXPECT_TRUE(limiter_.enter("a", &policy));
    });
  threads.clear();
  clock_.advance(DurationMs{10'000});
  EXPECT_TRUE(limiter_.enter("a", nullptr)) << "nothing is left in flight";
}

}  // namespace
}  // namespace gantry::access
