#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hash.h"
#include "storage/testing/temporary_directory.h"
#include "storage/write_ahead_log.h"

namespace gantry::storage {
namespace {

constexpr int kRounds = 20;
constexpr int kWriters = 3;

/// What a child reports through the pipe after each acknowledged append; smaller than PIPE_BUF, so
/// that writes of several threads do not mix.
struct Acknowledged {
  std::uint32_t writer = 0;
  std::uint32_t number = 0;
};

std::string payload_of(std::uint32_t writer, std::uint32_t number) {
  std::string payload(20 + number * 37 % 5000, static_cast<char>('a' + writer));
  std::memcpy(payload.data(), &writer, sizeof(writer));
  std::memcpy(payload.data() + sizeof(writer), &number, sizeof(number));
  return payload;
}

[[noreturn]] void write_until_killed(const Path& directory, int pipe_end,
                                     const std::array<std::uint32_t, kWriters>& first) {
  PosixFileSystem files;
  auto log = WriteAheadLog::open(files, directory, {.segment_bytes_max = 64 << 10});
  if (!log) ::_exit(1);
  std::vector<std::thread> threads;
  for (std::uint32_t writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (std::uint32_t number = first[writer];; ++number) {
        if (!(*log)->append(1, core::as_bytes(payload_of(writer, number)))) ::_exit(2);
        const Acknowledged done{.writer = writer, .number = number};
        if (::write(pipe_end, &done, sizeof(done)) != sizeof(done)) ::_exit(3);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ::_exit(0);
}

/// Reads reports until `enough` of them have come, kills the child, drains what it had reported.
void kill_after(pid_t child, int pipe_end, std::uint64_t enough,
                std::array<std::uint32_t, kWriters>& acknowledged) {
  Acknowledged done;
  std::uint64_t count = 0;
  while (::read(pipe_end, &done, sizeof(done)) == sizeof(done)) {
    acknowledged.at(done.writer) = done.number + 1;
    if (++count == enough) ASSERT_EQ(::kill(child, SIGKILL), 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
}

/// Each writer's records must be there from 0 without a gap, at least up to what was acknowledged.
void check_log(const Path& directory, std::array<std::uint32_t, kWriters>& next) {
  PosixFileSystem files;
  auto log = WriteAheadLog::open(files, directory, {.segment_bytes_max = 64 << 10});
  ASSERT_TRUE(log) << log.error().message;
  std::array<std::uint32_t, kWriters> found{};
  const auto report = (*log)->replay([&](const LogRecord& record) -> Result<void> {
    std::uint32_t writer = 0;
    std::uint32_t number = 0;
    std::memcpy(&writer, record.payload.data(), sizeof(writer));
    std::memcpy(&number, record.payload.data() + sizeof(writer), sizeof(number));
    EXPECT_EQ(number, found.at(writer)++);
    const std::string expected = payload_of(writer, number);
    EXPECT_EQ(record.payload.size(), expected.size());
    EXPECT_EQ(std::memcmp(record.payload.data(), expected.data(), expected.size()), 0);
    return {};
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->damages.empty());
  for (std::size_t writer = 0; writer < kWriters; ++writer) {
    EXPECT_GE(found.at(writer), next.at(writer)) << "writer " << writer;
  }
  next = found;
}

TEST(WriteAheadLogCrashTest, NothingAcknowledgedIsLostByKill9) {
  const TemporaryDirectory temporary;
  const Path directory = temporary.path() / "wal";
  std::mt19937 random(20240611);
  std::array<std::uint32_t, kWriters> next{};
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(directory, ends[1], next);
    }
    ::close(ends[1]);
    kill_after(child, ends[0], 1 + random() % 120, next);
    ::close(ends[0]);
    check_log(directory, next);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(next[0], 0U);
}

}  // namespace
}  // namespace gantry::storage
