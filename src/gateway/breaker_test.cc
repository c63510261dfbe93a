#include "gateway/breaker.h"

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::gateway {
namespace {

constexpr DurationMs kSecond{1'000};

class BreakerTest : public ::testing::Test {
 protected:
  void call(AttemptOutcome outcome) {
    auto permit = breaker_->try_begin();
    ASSERT_TRUE(permit);
    permit->end(outcome);
  }

  void open() {
    for (int i = 0; i < 5; ++i) call(AttemptOutcome::Failure);
    ASSERT_EQ(breaker_->status().state, BreakerState::Open);
  }

  ManualClock clock_{TimestampMs{1'000'000}};
  std::shared_ptr<Breaker> breaker_ = std::make_shared<Breaker>(clock_);
};

TEST_F(BreakerTest, OpensAtFiveFailuresInARow) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) call(AttemptOutcome::Failure);
    call(AttemptOutcome::Success);
    clock_.advance({31'000});
  }
  for (int i = 0; i < 4; ++i) call(AttemptOutcome::Failure);
  call(AttemptOutcome::Neither);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
  call(AttemptOutcome::Failure);
  EXPECT_EQ(breaker_->status().state, BreakerState::Open);
  EXPECT_FALSE(breaker_->status().admits);
  EXPECT_FALSE(breaker_->try_begin());
}

TEST_F(BreakerTest, OpensAtHalfOfTwentyInThirtySeconds) {
  for (int i = 0; i < 9; ++i) {
    call(AttemptOutcome::Success);
    call(AttemptOutcome::Failure);
  }
  call(AttemptOutcome::Success);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
  call(AttemptOutcome::Failure);
  EXPECT_EQ(breaker_->status().state, BreakerState::Open);
}

TEST_F(BreakerTest, ForgetsFailuresAfterThirtySeconds) {
  for (int i = 0; i < 9; ++i) {
    call(AttemptOutcome::Success);
    call(AttemptOutcome::Failure);
  }
  clock_.advance({30'000});
  call(AttemptOutcome::Success);
  call(AttemptOutcome::Failure);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
}

TEST_F(BreakerTest, LetsOneProbeThroughAfterThirtySeconds) {
  open();
  clock_.advance({29'999});
  EXPECT_FALSE(breaker_->try_begin());
  clock_.advance({1});
  EXPECT_EQ(breaker_->status().state, BreakerState::HalfOpen);
  EXPECT_TRUE(breaker_->status().admits);
  auto probe = breaker_->try_begin();
  ASSERT_TRUE(probe);
  EXPECT_FALSE(breaker_->try_begin());
  EXPECT_FALSE(breaker_->status().admits);
  probe->end(AttemptOutcome::Success);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
  for (int i = 0; i < 4; ++i) call(AttemptOutcome::Failure);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
}

TEST_F(BreakerTest, StaysOpenTwiceAsLongUpToFiveMinutes) {
  open();
  for (const std::int64_t open_s : {30, 60, 120, 240, 300, 300}) {
    clock_.advance({open_s * 1'000 - 1});
    EXPECT_FALSE(breaker_->try_begin()) << open_s;
    clock_.advance({1});
    call(AttemptOutcome::Failure);
  }
  clock_.advance({300'000});
  call(AttemptOutcome::Success);
  open();
  clock_.advance({30'000});
  EXPECT_TRUE(breaker_->try_begin());
}

TEST_F(BreakerTest, AProbeWithoutAnOutcomeMakesRoomForAnother) {
  open();
  clock_.advance({30'000});
  {
    const auto left = breaker_->try_begin();
    EXPECT_TRUE(left);
  }
  call(AttemptOutcome::Neither);
  auto probe = breaker_->try_begin();
  ASSERT_TRUE(probe);
  probe->end(AttemptOutcome::Success);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
}

TEST_F(BreakerTest, AForcedCallClosesButDoesNotProlong) {
  open();
  const TimestampMs until = breaker_->status().open_until;
  clock_.advance(kSecond);
  breaker_->begin_anyway().end(AttemptOutcome::Failure);
  EXPECT_EQ(breaker_->status().open_until, until);
  breaker_->begin_anyway().end(AttemptOutcome::Success);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
}

TEST_F(BreakerTest, LateNewsOfAnEarlierStateChangesNothing) {
  auto early = breaker_->try_begin();
  auto early_success = breaker_->try_begin();
  open();
  early_success->end(AttemptOutcome::Success);
  EXPECT_EQ(breaker_->status().state, BreakerState::Open);
  clock_.advance({30'000});
  auto probe = breaker_->try_begin();
  breaker_->begin_anyway().end(AttemptOutcome::Success);
  probe->end(AttemptOutcome::Failure);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
  for (int i = 0; i < 4; ++i) call(AttemptOutcome::Failure);
  early->end(AttemptOutcome::Failure);
  EXPECT_EQ(breaker_->status().state, BreakerState::Closed);
}

/// The rules as they are told, without regard to cost: all calls are kept.
class ModelBreaker {
 public:
  bool begins(std::int64_t now_ms) const { return !open_until_ || now_ms >= *open_until_; }

  void end(std::int64_t now_ms, bool is_failure) {
    if (open_until_) {
      if (is_failure) {
        open_ms_ = std::min<std::int64_t>(open_ms_ * 2, 300'000);
        open_until_ = now_ms + open_ms_;
      } else {
        open_until_.reset();
        calls_.clear();
      }
      return;
    }
    calls_.emplace_back(now_ms / 1000, is_failure);
    std::size_t in_row = 0;
    while (in_row < calls_.size() && calls_[calls_.size() - 1 - in_row].second) ++in_row;
    std::size_t recent = 0;
    std::size_t failed = 0;
    for (const auto& [second, has_failed] : calls_) {
      if (second <= now_ms / 1000 - 30) continue;
      ++recent;
      failed += has_failed ? 1 : 0;
    }
    if (is_failure && (in_row >= 5 || (recent >= 20 && failed * 2 >= recent))) {
      open_ms_ = 30'000;
      open_until_ = now_ms + open_ms_;
    }
  }

 private:
  std::deque<std::pair<std::int64_t, bool>> calls_;
  std::optional<std::int64_t> open_until_;
  std::int64_t open_ms_ = 0;
};

RC_GTEST_PROP(BreakerProperty, AgreesWithItsRules, ()) {
  ManualClock clock(TimestampMs{*rc::gen::inRange<std::int64_t>(0, 100'000)});
  const auto breaker = std::make_shared<Breaker>(clock);
  ModelBreaker model;
  const auto failure_percent = *rc::gen::inRange(0, 101);
  const auto pause_ms = *rc::gen::elementOf(std::vector<std::int64_t>{10, 1'000, 20'000});
  std::size_t opened = 0;
  for (int i = 0; i < 300; ++i) {
    clock.advance({*rc::gen::inRange<std::int64_t>(0, pause_ms)});
    const std::int64_t now_ms = clock.now().since_epoch;
    auto permit = breaker->try_begin();
    RC_ASSERT(permit.has_value() == model.begins(now_ms));
    if (!permit) {
      ++opened;
      clock.advance({*rc::gen::inRange<std::int64_t>(0, 20'000)});
      continue;
    }
    const bool is_failure = *rc::gen::inRange(0, 100) < failure_percent;
    permit->end(is_failure ? AttemptOutcome::Failure : AttemptOutcome::Success);
    model.end(now_ms, is_failure);
  }
  RC_TAG(opened > 0 ? "opened" : "stayed closed");
}

TEST(Breakers, AreOnePerEndpointAndForgottenWhenDropped) {
  ManualClock clock(TimestampMs{0});
  Breakers breakers(clock);
  EXPECT_EQ(breakers.status(EndpointId(1)).state, BreakerState::Closed);
  EXPECT_TRUE(breakers.statuses().empty());
  const auto first = breakers.of(EndpointId(1));
  EXPECT_EQ(breakers.of(EndpointId(1)), first);
  EXPECT_NE(breakers.of(EndpointId(2)), first);
  for (int i = 0; i < 5; ++i) first->try_begin()->end(AttemptOutcome::Failure);
  const auto statuses = breakers.statuses();
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_EQ(statuses[0].second.state, BreakerState::Open);
  EXPECT_EQ(statuses[1].second.state, BreakerState::Closed);
  const std::array kept = {EndpointId(2), EndpointId(3)};
  breakers.retain(kept);
  EXPECT_EQ(breakers.statuses().size(), 1U);
  EXPECT_EQ(breakers.status(EndpointId(1)).state, BreakerState::Closed);
}

TEST(Breakers, LetOneOfManyThreadsProbe) {
  ManualClock clock(TimestampMs{0});
  Breakers breakers(clock);
  for (int i = 0; i < 5; ++i) breakers.of(EndpointId(1))->try_begin()->end(AttemptOutcome::Failure);
  clock.advance({30'000});
  std::atomic<int> probes = 0;
  std::vector<Breaker::Permit> permits[8];
  {
    std::vector<std::jthread> threads;
    for (auto& mine : permits) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          if (auto permit = breakers.of(EndpointId(1))->try_begin()) {
            mine.push_back(*std::move(permit));
            ++probes;
          }
        }
      });
    }
  }
  EXPECT_EQ(probes, 1);
}

}  // namespace
}  // namespace gantry::gateway
