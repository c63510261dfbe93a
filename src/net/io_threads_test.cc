#include "net/io_threads.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "net/io_threads_internal.h"

namespace gantry::net {
namespace {

TEST(IoThreads, RunWhatIsLeftBeforeTheyEnd) {
  std::atomic<int> done = 0;
  {
    IoThreads threads(2, "test-io");
    for (int i = 0; i < 100; ++i) asio::post(*threads.impl().io, [&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

TEST(IoThreads, SettleOnceWhatRunsHasReturned) {
  IoThreads threads(2, "test-io");
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> running = 0;
    std::atomic<bool> has_begun = false;
    asio::post(*threads.impl().io, [&] {
      ++running;
      has_begun = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      --running;
    });
    while (!has_begun) std::this_thread::yield();
    threads.settle();
    EXPECT_EQ(running, 0);
  }
}

TEST(IoThreads, SettleForSeveralAtOnce) {
  IoThreads threads(3, "test-io");
  std::vector<std::jthread> callers;
  std::atomic<int> settled = 0;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) threads.settle();
      ++settled;
    });
  }
  callers.clear();
  EXPECT_EQ(settled, 4);
}

}  // namespace
}  // namespace gantry::net
