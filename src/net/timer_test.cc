#include "net/timer.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>

#include <gtest/gtest.h>

#include "net/testing/streaming_peer.h"

namespace gantry::net {
namespace {

using testing::Caller;
using Steady = std::chrono::steady_clock;

TEST(Timer, CallsBackOnceAndNotBeforeItsTime) {
  Caller caller;
  const auto timer = caller.client().make_timer();
  std::promise<Steady::time_point> due;
  const auto begin = Steady::now();
  timer->start({20}, [&] { due.set_value(Steady::now()); });  // twice would throw
  EXPECT_GE(due.get_future().get() - begin, std::chrono::milliseconds(20));
}

TEST(Timer, ANewStartReplacesTheFormer) {
  Caller caller;
  const auto timer = caller.client().make_timer();
  std::atomic<bool> is_first_called = false;
  std::promise<void> second;
  timer->start({30'000}, [&] { is_first_called = true; });
  timer->start({1}, [&] { second.set_value(); });
  second.get_future().wait();
  EXPECT_FALSE(is_first_called);
}

TEST(Timer, MayStartAgainInItsCallback) {
  Caller caller;
  const auto timer = caller.client().make_timer();
  std::promise<void> second;
  timer->start({1}, [&] { timer->start({1}, [&] { second.set_value(); }); });
  second.get_future().wait();
}

TEST(Timer, CancelDropsTheCallback) {
  Caller caller;
  const auto timer = caller.client().make_timer();
  const auto held = std::make_shared<int>(0);
  timer->start({30'000}, [held] { FAIL() << "cancelled"; });
  timer->cancel();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Timer, TheLastHandleCancels) {
  Caller caller;
  const auto held = std::make_shared<int>(0);
  caller.client().make_timer()->start({30'000}, [held] { FAIL() << "cancelled"; });
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Timer, OutlivesTheClientAndDoesNothingThen) {
  const auto held = std::make_shared<int>(0);
  std::shared_ptr<Timer> timer;
  {
    Caller caller;
    timer = caller.client().make_timer();
    timer->start({30'000}, [held] { FAIL() << "stopped"; });
  }
  EXPECT_EQ(held.use_count(), 1);
  timer->start({0}, [held] { FAIL() << "stopped"; });
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace gantry::net
