// Appends, queries, seals, merges and deletions at once; and a process that is killed while it
// writes.

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <limits>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/testing/temporary_directory.h"
#include "traces/testing/store_fixture.h"

namespace gantry::traces {
namespace {

using telemetry::SpanBatch;
using telemetry::SpanId;

class StoreConcurrencyTest : public StoreFixture {};

TEST_F(StoreConcurrencyTest, EveryAcknowledgedSpanIsSeenOnceWhileEverythingMoves) {
  constexpr std::uint64_t kWriters = 3;
  constexpr std::uint64_t kRounds = 80;
  constexpr std::uint64_t kTracesEach = 8;
  open();
  std::atomic<std::uint64_t> writers_left = kWriters;
  std::vector<std::jthread> threads;
  for (std::uint64_t writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (std::uint64_t round = 0; round < kRounds; ++round) {
        // Each trace gets its spans over many seals; one more is written by all writers.
        const std::uint64_t own = 1 + writer * kTracesEach + round % kTracesEach;
        const SpanId id = 1 + writer * kRounds + round;
        const auto result =
            store_->append(make_batch({{.trace = own, .id = id}, {.trace = 1000, .id = id}}));
        ASSERT_TRUE(result.has_value()) << result.error().message;
        ASSERT_EQ(result->spans_written, 2U);
        ASSERT_EQ(trace(own).size(), round / kTracesEach + 1);
      }
      --writers_left;
    });
  }
  threads.emplace_back([&] {
    for (std::uint64_t number = 5000; writers_left > 0; ++number) {
      ASSERT_TRUE(store_->flush());
      ASSERT_TRUE(store_->append(make_batch({{.trace = number, .id = 1}})));
      ASSERT_TRUE(store_->delete_trace(test_trace_id(number)));
      store_->maintain();
      store_->update_gauges();
    }
  });
  threads.emplace_back([&] {
    std::size_t before = 0;
    while (writers_left > 0) {
      const std::size_t shared = trace(1000).size();
      ASSERT_GE(shared, before);
      before = shared;
      static_cast<void>(all());  // expects each trace in one group
    }
  });
  threads.clear();
  EXPECT_EQ(all().size(), 2 * kWriters * kRounds);
  EXPECT_EQ(trace(1000).size(), kWriters * kRounds);
  const std::vector<std::string> before = all();
  cut_power_and_open();
  EXPECT_EQ(all(), before);
}

constexpr int kCrashRounds = 50;
constexpr std::uint32_t kCrashWriters = 3;

/// What a child reports through the pipe after each acknowledged append; smaller than PIPE_BUF, so
/// that writes of several threads do not mix.
struct Acknowledged {
  std::uint32_t writer = 0;
  std::uint32_t number = 0;
};

using Progress = std::array<std::uint32_t, kCrashWriters>;

/// Ten requests of a writer are one trace, so that traces lie across seals and crashes.
std::uint64_t trace_of(std::uint32_t writer, std::uint32_t number) {
  return 1 + number / 10 * kCrashWriters + writer;
}

StoreEnvironment real_environment(storage::FileSystem& files, core::MetricRegistry& registry) {
  static const SystemClock clock;
  return {.files = files, .clock = clock, .registry = registry};
}

[[noreturn]] void write_until_killed(const storage::Path& directory, int pipe_end,
                                     const Progress& first) {
  storage::PosixFileSystem files;
  core::MetricRegistry registry;
  auto store = StoreImpl::open(directory, {}, real_environment(files, registry), Background::Off);
  if (!store) ::_exit(1);
  std::vector<std::thread> threads;
  for (std::uint32_t writer = 0; writer < kCrashWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (std::uint32_t number = first[writer];; ++number) {
        const auto done = (*store)->append(
            make_batch({{.trace = trace_of(writer, number), .id = 2ULL * number + 1},
                        {.trace = trace_of(writer, number), .id = 2ULL * number + 2}}));
        if (!done || done->spans_written != 2) ::_exit(2);
        const Acknowledged report{.writer = writer, .number = number};
        if (::write(pipe_end, &report, sizeof report) != sizeof report) ::_exit(3);
      }
    });
  }
  threads.emplace_back([&] {
    while (true) {
      if (!(*store)->flush()) ::_exit(4);
      (*store)->maintain();
      ::usleep(500);
    }
  });
  for (std::thread& thread : threads) thread.join();
  ::_exit(0);
}

/// Reads reports until `enough` of them have come, kills the child, drains what it had reported.
void kill_after(pid_t child, int pipe_end, std::uint64_t enough, Progress& acknowledged) {
  Acknowledged done;
  std::uint64_t count = 0;
  while (::read(pipe_end, &done, sizeof done) == sizeof done) {
    acknowledged.at(done.writer) = done.number + 1;
    if (++count == enough) ASSERT_EQ(::kill(child, SIGKILL), 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
}

/// Every acknowledged span is there, each span once, each trace in one place and the requests
/// whole. `next`: where the writers go on.
void check_store(const storage::Path& directory, Progress& next) {
  storage::PosixFileSystem files;
  core::MetricRegistry registry;
  auto store = StoreImpl::open(directory, {}, real_environment(files, registry), Background::Off);
  ASSERT_TRUE(store) << store.error().message;
  std::size_t expected = 0;
  for (std::uint32_t writer = 0; writer < kCrashWriters; ++writer) {
    // What was written but not acknowledged may be there too: one request.
    for (std::uint32_t number = 0; number <= next.at(writer); ++number) {
      SpanBatch batch;
      ASSERT_TRUE((*store)->source().find_trace(test_trace_id(trace_of(writer, number)), 0,
                                                std::numeric_limits<std::int64_t>::max(),
                                                CancelToken(), batch));
      const auto count = std::ranges::count_if(batch.spans, [&](const telemetry::BatchSpan& span) {
        return (span.span_id - 1) / 2 == number;
      });
      if (number == next.at(writer) && count == 0) break;
      ASSERT_EQ(count, 2) << "writer " << writer << ", request " << number;
      expected += 2;
      if (number == next.at(writer)) {
        ++next.at(writer);
        break;
      }
    }
  }
  ASSERT_EQ(describe_source((*store)->source()).size(), expected);
}

TEST(StoreCrashTest, NothingAcknowledgedIsLostAndNothingThereTwiceAfterKill9) {
  const storage::TemporaryDirectory temporary;
  const storage::Path directory = temporary.path() / "traces";
  std::mt19937 random(20261121);
  Progress next{};
  for (int round = 0; round < kCrashRounds; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(directory, ends[1], next);
    }
    ::close(ends[1]);
    kill_after(child, ends[0], 1 + random() % 30, next);
    ::close(ends[0]);
    check_store(directory, next);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(next[0], 0U);
}

}  // namespace
}  // namespace gantry::traces
