// Appends, queries, flushes, merges and deletions at once; and a process that is killed while it
// writes.

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics/testing/store_fixture.h"

namespace gantry::metrics {
namespace {

constexpr std::int64_t kAll = std::int64_t{1} << 60;

class StoreConcurrencyTest : public StoreFixture {};

TEST_F(StoreConcurrencyTest, EveryAcknowledgedSampleIsSeenWhileEverythingMoves) {
  constexpr int kWriters = 3;
  constexpr int kRounds = 60;
  constexpr int kSeriesEach = 20;
  open();
  std::atomic<int> writers_left = kWriters;
  const auto series_of = [](int writer, int i) {
    return static_cast<std::uint64_t>(writer * kSeriesEach + i);
  };
  std::vector<std::jthread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (int round = 0; round < kRounds; ++round) {
        TestBatch batch;
        for (int i = 0; i < kSeriesEach; ++i) {
          batch.add(numbered_series(series_of(writer, i)), kTestNowMs + round * 1000LL, round);
        }
        const auto result = store_->append(batch.batch(), {});
        ASSERT_TRUE(result.has_value());
        ASSERT_EQ(result->samples_written, static_cast<std::uint64_t>(kSeriesEach));
        const promql::Matcher matchers[] = {
            matcher(promql::MatchOp::Equal, "series", std::to_string(series_of(writer, 0)))};
        const auto found = read_all(store_->source(), matchers, -kAll, kAll);
        ASSERT_EQ(found.size(), 1U);
        ASSERT_EQ(found.begin()->second.size(), static_cast<std::size_t>(round + 1));
      }
      --writers_left;
    });
  }
  threads.emplace_back([&] {
    while (writers_left > 0) {
      ASSERT_TRUE(store_->flush());
      store_->maintain();
      store_->update_gauges();
    }
  });
  threads.emplace_back([&] {
    const promql::Matcher matchers[] = {matcher(promql::MatchOp::Equal, "series", "nobody")};
    while (writers_left > 0) {
      ASSERT_TRUE(store_->delete_series(matchers, 0, kAll));
      ASSERT_TRUE(store_->clean_tombstones());
      static_cast<void>(store_->cardinality(5));
      static_cast<void>(
          store_->source().label_values("series", {}, 0, kTestNowMs, 0, CancelToken()));
    }
  });
  threads.clear();
  const auto all = read_metric(store_->source(), "m", -kAll, kAll);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kWriters * kSeriesEach));
  for (const auto& [series, points] : all) EXPECT_EQ(points.size(), kRounds) << series;
}

TEST_F(StoreConcurrencyTest, AReplayByManyThreadsGivesTheSame) {
  open();
  constexpr std::uint64_t kSeries = 500;
  constexpr std::int64_t kSteps = 400;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    TestBatch batch;
    for (std::uint64_t i = 0; i < kSeries; ++i) {
      batch.add(numbered_series(i), kTestNowMs + step * 1000, static_cast<double>(step));
    }
    append(batch);
  }
  const promql::Matcher matchers[] = {matcher(promql::MatchOp::Equal, "series", "7")};
  ASSERT_TRUE(store_->delete_series(matchers, kTestNowMs + 100'000, kAll));
  const auto expected = read_metric(store_->source(), "m", -kAll, kAll);
  core::WorkerPool workers({.thread_count = 3});
  store_.reset();
  StoreEnvironment with_workers = environment();
  with_workers.workers = &workers;
  auto opened = StoreImpl::open("/data/metrics", {}, with_workers, Background::Off);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_EQ(read_metric((*opened)->source(), "m", -kAll, kAll), expected);
  EXPECT_EQ(expected.at("m{series=\"7\"}").size(), 100U);
}

/// What a writer tells the parent once the store has acknowledged a batch.
struct Acknowledged {
  std::uint32_t writer = 0;
  std::uint32_t batch = 0;
};

constexpr int kCrashWriters = 3;
constexpr int kCrashSeries = 7;

TestBatch& fill_crash_batch(TestBatch& batch, std::uint32_t writer, std::uint32_t number) {
  for (std::uint32_t i = 0; i < kCrashSeries; ++i) {
    // Two series that come and go with the batch, so that definitions are part of the test.
    const std::uint64_t series = writer * 100'000 + (i < 5 ? i : 10 + number * 2 + i);
    batch.add(numbered_series(series), kTestNowMs + number, number + i * 0.5);
  }
  return batch;
}

/// Runs in the child until it is killed.
[[noreturn]] void write_until_killed(const std::filesystem::path& directory, int pipe,
                                     std::uint32_t first_batch) {
  storage::PosixFileSystem files;
  ManualClock clock{TimestampMs{kTestNowMs}};
  core::MetricRegistry registry;
  auto store = StoreImpl::open(
      directory, {}, {.files = files, .clock = clock, .registry = registry}, Background::Off);
  if (!store) ::_exit(1);
  std::vector<std::thread> threads;
  for (std::uint32_t writer = 0; writer < kCrashWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (std::uint32_t number = first_batch;; ++number) {
        TestBatch batch;
        if (!(*store)->append(fill_crash_batch(batch, writer, number).batch(), {})) ::_exit(2);
        const Acknowledged message{.writer = writer, .batch = number};
        if (::write(pipe, &message, sizeof message) != sizeof message) ::_exit(3);
      }
    });
  }
  while (true) {
    if (!(*store)->flush()) ::_exit(4);
    (*store)->maintain();
  }
}

TEST(StoreCrashTest, NothingAcknowledgedIsLostWhenTheProcessIsKilled) {
  constexpr int kRounds = 50;
  const char* const base = std::getenv("TMPDIR");
  std::string name = std::string(base != nullptr ? base : "/tmp") + "/gantry-store-crash-XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const std::filesystem::path directory(name);
  std::mt19937 random(42);
  std::uint32_t next_batch = 0;
  std::vector<Acknowledged> acknowledged;
  for (int round = 0; round < kRounds; ++round) {
    int pipes[2];
    ASSERT_EQ(::pipe(pipes), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipes[0]);
      write_until_killed(directory, pipes[1], next_batch);
    }
    ::close(pipes[1]);
    // Killed after so many acknowledgements and then a moment more, so that every part of a write
    // is hit.
    const auto wanted = std::uniform_int_distribution<std::size_t>(1, 60)(random);
    const auto extra_us = std::uniform_int_distribution<int>(0, 3000)(random);
    Acknowledged message;
    std::size_t count = 0;
    bool is_killed = false;
    while (::read(pipes[0], &message, sizeof message) == sizeof message) {
      acknowledged.push_back(message);
      next_batch = std::max(next_batch, message.batch + 1);
      if (++count >= wanted && !is_killed) {
        ::usleep(static_cast<useconds_t>(extra_us));
        ::kill(child, SIGKILL);
        is_killed = true;
      }
    }
    ::close(pipes[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself with " << WEXITSTATUS(status);
    // Batches of the dead child that were never acknowledged may be there: number on beyond them.
    next_batch += kCrashWriters;
  }

  storage::PosixFileSystem files;
  ManualClock clock{TimestampMs{kTestNowMs}};
  core::MetricRegistry registry;
  const auto store = StoreImpl::open(
      directory, {}, {.files = files, .clock = clock, .registry = registry}, Background::Off);
  ASSERT_TRUE(store.has_value()) << store.error().message;
  auto found = read_metric((*store)->source(), "m", -kAll, kAll);
  std::size_t missing = 0;
  for (const Acknowledged& message : acknowledged) {
    TestBatch batch;
    fill_crash_batch(batch, message.writer, message.batch);
    for (const telemetry::FloatSample& sample : batch.batch().samples) {
      core::Arena arena;
      std::vector<telemetry::LabelView> labels;
      ASSERT_TRUE(batch.resolve(sample.series, arena, labels));
      const Points& points = found["m{series=\"" + std::string(labels[1].value) + "\"}"];
      const std::pair<std::int64_t, double> expected{sample.timestamp_ms, sample.value};
      missing += std::ranges::binary_search(points, expected) ? 0 : 1;
    }
  }
  EXPECT_EQ(missing, 0U);
  EXPECT_GT(acknowledged.size(), static_cast<std::size_t>(kRounds));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace gantry::metrics
