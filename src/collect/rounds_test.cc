#include "collect/rounds.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::collect {
namespace {

TEST(NextRound, IsTheNextMultiple) {
  EXPECT_EQ(next_round({0}, {15000}), (TimestampMs{15000}));
  EXPECT_EQ(next_round({14999}, {15000}), (TimestampMs{15000}));
  EXPECT_EQ(next_round({15000}, {15000}), (TimestampMs{30000}));
  EXPECT_EQ(next_round({-1}, {15000}), (TimestampMs{0}));
  EXPECT_EQ(next_round({-15000}, {15000}), (TimestampMs{0}));
}

/// Each look at it is half an interval later.
class SteppingClock final : public Clock {
 public:
  [[nodiscard]] TimestampMs now() const override { return {now_.fetch_add(500)}; }

 private:
  mutable std::atomic<std::int64_t> now_{250};
};

TEST(RunRounds, CollectsAtMultiplesInOrderUntilItIsStopped) {
  const SteppingClock clock;
  std::stop_source stop;
  std::vector<std::int64_t> rounds;
  run_rounds(stop.get_token(), clock, {1000}, [&](TimestampMs at) {
    rounds.push_back(at.since_epoch);
    if (rounds.size() == 5) stop.request_stop();
  });
  ASSERT_EQ(rounds.size(), 5U);
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    EXPECT_EQ(rounds[i] % 1000, 0);
    if (i > 0) EXPECT_GT(rounds[i], rounds[i - 1]);
  }
}

TEST(RunRounds, EndsWhileItWaits) {
  class Frozen final : public Clock {
   public:
    [[nodiscard]] TimestampMs now() const override { return {1}; }
  };

  const Frozen clock;
  int rounds = 0;
  std::jthread thread([&](const std::stop_token& stop) {
    run_rounds(stop, clock, {60'000}, [&](TimestampMs) { ++rounds; });
  });
  thread.request_stop();
  thread.join();
  EXPECT_EQ(rounds, 0);
}

}  // namespace
}  // namespace gantry::collect
