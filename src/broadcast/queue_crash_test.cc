#include <array>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broadcast/testing/queue_support.h"
#include "storage/testing/temporary_directory.h"

namespace gantry::broadcast {
namespace {

constexpr int kRounds = 12;
constexpr int kWriters = 2;
const std::array<DestinationId, 2> kDestinations{kFirst, kSecond};

/// What a child says through the pipe; smaller than PIPE_BUF, so that the reports of several
/// threads do not mix.
struct Report {
  enum class Kind : std::uint32_t {
    Appended,       ///< append has returned.
    Finishing,      ///< finish is about to be called.
    Finished,       ///< It has returned.
    CursorsBegin,   ///< maintain is about to be called.
    CursorsWritten  ///< It has returned.
  };

  Kind kind = Kind::Appended;
  std::uint32_t destination = 0;
  std::int32_t number = 0;
};

/// What the reports of one child say about a destination.
struct Told {
  std::set<int> finishing;
  std::set<int> finished;
  std::set<int> finished_before_begin;
  std::set<int> finished_on_disk;
};

/// Item `number` is of writer `number % kWriters`, whose items have one order key.
class Child {
 public:
  Child(const storage::Path& directory, int pipe_end) : pipe_end_(pipe_end) {
    auto opened = Queue::open(files_, directory, clock_,
                              {.segment_bytes_max = 32 << 10, .cursor_interval = {3'600'000}});
    if (!opened) ::_exit(1);
    queue_ = *std::move(opened);
    for (const DestinationId& id : kDestinations) {
      if (!queue_->add_destination(id)) ::_exit(1);
    }
  }

  [[noreturn]] void run_until_killed(const std::array<int, kWriters>& first) {
    std::vector<std::thread> threads;
    for (const int number : first) threads.emplace_back([this, number] { write(number); });
    for (std::uint32_t i = 0; i < kDestinations.size(); ++i) {
      threads.emplace_back([this, i] { send(i); });
    }
    threads.emplace_back([this] { maintain(); });
    for (std::thread& thread : threads) thread.join();
    ::_exit(0);
  }

 private:
  void report(Report::Kind kind, std::uint32_t destination, int number) const {
    const Report report{.kind = kind, .destination = destination, .number = number};
    if (::write(pipe_end_, &report, sizeof(report)) != sizeof(report)) ::_exit(3);
  }

  void write(int number) {
    for (;; number += kWriters) {
      const Numbered item{.number = number,
                          .destinations = {kFirst, kSecond},
                          .order_key = static_cast<std::uint64_t>(number % kWriters) + 1,
                          .bytes = 20 + static_cast<std::size_t>(number) * 37 % 3000};
      if (!append_item(*queue_, item)) ::_exit(2);
      report(Report::Kind::Appended, 0, number);
    }
  }

  void send(std::uint32_t destination) {
    const DestinationId& id = kDestinations.at(destination);
    for (int turn = 0;; ++turn) {
      const auto items = queue_->read(id, {.items_max = 5, .wait = {0}}, {});
      if (!items) ::_exit(4);
      if (turn % 4 == 0) {
        queue_->give_back(id, positions_of(*items));
        continue;
      }
      for (const int number : numbers_of(*items)) {
        report(Report::Kind::Finishing, destination, number);
      }
      if (!queue_->finish(id, positions_of(*items), Outcome::Sent)) ::_exit(5);
      for (const int number : numbers_of(*items)) {
        report(Report::Kind::Finished, destination, number);
      }
    }
  }

  void maintain() {
    while (true) {
      report(Report::Kind::CursorsBegin, 0, 0);
      if (!queue_->maintain()) ::_exit(6);
      report(Report::Kind::CursorsWritten, 0, 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  }

  storage::PosixFileSystem files_;
  ManualClock clock_{TimestampMs{kNowMs}};
  std::unique_ptr<Queue> queue_;
  int pipe_end_;
};

class QueueCrashTest : public testing::Test {
 protected:
  /// Reads reports until `enough` of them have come, kills the child, reads the rest.
  void kill_after(pid_t child, int pipe_end, int enough) {
    Report report;
    while (::read(pipe_end, &report, sizeof(report)) == sizeof(report)) {
      take(report);
      if (--enough == 0) ASSERT_EQ(::kill(child, SIGKILL), 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
  }

  void take(const Report& report) {
    Told& told = told_.at(report.destination);
    switch (report.kind) {
      case Report::Kind::Appended:
        appended_.insert(report.number);
        break;
      case Report::Kind::Finishing: {
        // Its writer's earlier items are finished already.
        const auto before = last_finishing_.at(report.destination).at(report.number % kWriters);
        EXPECT_LT(before, report.number) << "out of order";
        last_finishing_.at(report.destination).at(report.number % kWriters) = report.number;
        told.finishing.insert(report.number);
        break;
      }
      case Report::Kind::Finished:
        told.finished.insert(report.number);
        break;
      case Report::Kind::CursorsBegin:
        for (Told& each : told_) each.finished_before_begin = each.finished;
        break;
      case Report::Kind::CursorsWritten:
        for (Told& each : told_) each.finished_on_disk = each.finished_before_begin;
        break;
    }
  }

  /// All that is in the queue for it, without finishing any.
  static std::vector<int> look(Queue& queue, const DestinationId& id) {
    std::vector<int> numbers;
    while (true) {
      const auto items = read_now(queue, id, 100'000, 1 << 30);
      if (items.empty()) return numbers;
      for (const QueuedItem& item : items) {
        const int number = number_of(item);
        EXPECT_EQ(item.payload,
                  item_text(number, 20 + static_cast<std::size_t>(number) * 37 % 3000));
        numbers.push_back(number);
      }
    }
  }

  void check(const storage::Path& directory) {
    storage::PosixFileSystem files;
    ManualClock clock{TimestampMs{kNowMs}};
    auto queue = Queue::open(files, directory, clock, {.read_ahead_items_max = 1'000'000});
    ASSERT_TRUE(queue) << queue.error().message;
    for (std::size_t i = 0; i < kDestinations.size(); ++i) {
      check_destination(i, look(**queue, kDestinations.at(i)));
      EXPECT_EQ((*queue)->dropped(kDestinations.at(i), DropReason::Corrupt), 0U);
    }
  }

  void check_destination(std::size_t index, const std::vector<int>& numbers) {
    const std::set<int> found(numbers.begin(), numbers.end());
    EXPECT_EQ(found.size(), numbers.size()) << "something comes twice";
    const Told& told = told_.at(index);
    std::set<int> expected = waiting_.at(index);
    expected.insert(appended_.begin(), appended_.end());
    for (const int number : expected) {
      if (!told.finishing.contains(number))
        EXPECT_TRUE(found.contains(number)) << "lost " << number;
    }
    for (const int number : told.finished_on_disk) {
      EXPECT_FALSE(found.contains(number)) << "finished before and here again: " << number;
    }
    std::array<int, kWriters> last{-1, -1};
    for (const int number : numbers) {
      EXPECT_LT(last.at(number % kWriters), number) << "out of order";
      last.at(number % kWriters) = number;
      next_.at(number % kWriters) = std::max(next_.at(number % kWriters), number + kWriters);
    }
    for (int writer = 0; writer < kWriters; ++writer) {
      int& before = last_finishing_.at(index).at(writer);
      // What was in flight at the end may come again, and no earlier than that.
      const auto first =
          std::ranges::find_if(numbers, [&](int number) { return number % kWriters == writer; });
      if (first != numbers.end()) before = std::min(before, *first - 1);
    }
    waiting_.at(index) = found;
  }

  std::set<int> appended_;
  std::array<Told, 2> told_;
  std::array<std::set<int>, 2> waiting_;
  std::array<std::array<int, kWriters>, 2> last_finishing_{{{-1, -1}, {-1, -1}}};
  std::array<int, kWriters> next_{0, 1};
};

TEST_F(QueueCrashTest, Kill9LosesNothingAndBringsBackNothingThatTheCursorsKnow) {
  const storage::TemporaryDirectory temporary;
  const storage::Path directory = temporary.path() / "queue";
  std::minstd_rand random(20261121);
  std::size_t on_disk_count = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      Child(directory, ends[1]).run_until_killed(next_);
    }
    ::close(ends[1]);
    kill_after(child, ends[0], 50 + static_cast<int>(random() % 1500));
    ::close(ends[0]);
    for (const int number : appended_) {
      next_.at(number % kWriters) = std::max(next_.at(number % kWriters), number + kWriters);
    }
    check(directory);
    if (HasFatalFailure()) return;
    on_disk_count += told_[0].finished_on_disk.size() + told_[1].finished_on_disk.size();
    appended_.clear();
    told_ = {};
  }
  EXPECT_GT(on_disk_count, 100U) << "the test has tested nothing";
}

}  // namespace
}  // namespace gantry::broadcast
