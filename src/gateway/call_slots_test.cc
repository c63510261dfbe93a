#include "gateway/call_slots.h"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

using Slot = CallSlots::Slot;

std::shared_ptr<CallSlots> make(std::size_t slots_max, std::size_t waiting_max = 10) {
  return std::make_shared<CallSlots>(slots_max, std::make_shared<WaitingRoom>(waiting_max));
}

TEST(CallSlots, GivesAsManyAsThereAre) {
  const auto slots = make(2);
  auto first = slots->try_take();
  const auto second = slots->try_take();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(slots->try_take());
  first.reset();
  EXPECT_TRUE(slots->try_take());
}

TEST(CallSlots, CallsThoseWhoWaitInOrder) {
  const auto slots = make(1);
  auto first = slots->try_take();
  std::vector<int> called;
  std::vector<Slot> held;
  for (const int who : {1, 2}) {
    EXPECT_TRUE(slots->wait(&called + who, [&, who](Slot slot) {
      called.push_back(who);
      held.push_back(std::move(slot));
    }));
  }
  EXPECT_TRUE(called.empty());
  first.reset();
  EXPECT_EQ(called, std::vector{1});
  EXPECT_FALSE(slots->try_take()) << "another waits";
  std::exchange(held, {}).clear();  // the callback adds to it
  EXPECT_EQ(called, (std::vector{1, 2}));
}

TEST(CallSlots, WhoLeavesIsNotCalled) {
  const auto slots = make(1);
  auto first = slots->try_take();
  bool is_called = false;
  EXPECT_TRUE(slots->wait(&is_called, [&](Slot) { is_called = true; }));
  slots->leave(&is_called);
  slots->leave(&is_called);
  first.reset();
  EXPECT_FALSE(is_called);
  EXPECT_TRUE(slots->try_take());
}

TEST(CallSlots, TheWaitingRoomIsBoundedForAll) {
  const auto room = std::make_shared<WaitingRoom>(1);
  const auto one = std::make_shared<CallSlots>(0, room);
  const auto other = std::make_shared<CallSlots>(0, room);
  EXPECT_TRUE(one->wait(&room, [](Slot) {}));
  EXPECT_FALSE(other->wait(&room, [](Slot) {}));
  one->leave(&room);
  EXPECT_EQ(room->count(), 0U);
  EXPECT_TRUE(other->wait(&room, [](Slot) {}));
}

TEST(CallSlots, ANewLimitLetsThoseInWhoWait) {
  const auto slots = make(0);
  bool is_called = false;
  EXPECT_TRUE(slots->wait(&is_called, [&](Slot) { is_called = true; }));
  slots->set_slots_max(1);
  EXPECT_TRUE(is_called);
  EXPECT_TRUE(slots->try_take());
}

TEST(CallSlots, ALongQueueOfQuickOnesDoesNotNest) {
  constexpr int kCount = 100'000;
  const auto slots = make(1, kCount);
  auto first = slots->try_take();
  int called = 0;
  for (int i = 0; i < kCount; ++i) {
    EXPECT_TRUE(slots->wait(&slots, [&](Slot) { ++called; }));
  }
  first.reset();
  EXPECT_EQ(called, kCount);
}

TEST(CallSlots, ManyThreadsNeverHoldMoreThanThereAre) {
  const auto slots = make(3, 1000);
  std::atomic<int> held = 0;
  std::atomic<int> done = 0;
  std::atomic<bool> is_over = false;
  const auto use = [&](Slot) {
    if (held.fetch_add(1) >= 3) is_over = true;
    held.fetch_sub(1);
    ++done;
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) {
        if (auto slot = slots->try_take()) {
          use(std::move(*slot));
        } else {
          EXPECT_TRUE(slots->wait(&j, use));
        }
      }
    });
  }
  threads.clear();
  EXPECT_FALSE(is_over);
  EXPECT_EQ(done, 800);
}

}  // namespace
}  // namespace gantry::gateway
