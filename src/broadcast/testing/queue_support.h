#pragma once

// What the tests of the queue share: a queue with small segments, numbered items, and reads that do
// not wait.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broadcast/queue.h"
#include "core/hash.h"
#include "storage/faulty_file_system.h"

namespace gantry::broadcast {

inline const storage::Path kQueueDirectory = "/data/broadcast";
inline constexpr std::int64_t kNowMs = 1'790'000'000'000;
inline const DestinationId kFirst = "11111111-0000-4000-8000-000000000001";
inline const DestinationId kSecond = "22222222-0000-4000-8000-000000000002";

inline Queue::Options quick_queue_options() {
  return {.segment_bytes_max = 4096, .cursor_interval = {3'600'000}};
}

inline std::string item_text(int number, std::size_t bytes = 100) {
  std::string text = "item " + std::to_string(number) + " ";
  text.resize(std::max(bytes, text.size()), static_cast<char>('a' + number % 26));
  return text;
}

inline int number_of(const QueuedItem& item) {
  return std::stoi(item.payload.substr(5));
}

struct Numbered {
  int number = 0;
  std::vector<DestinationId> destinations{kFirst};
  std::uint64_t order_key = 0;
  std::size_t bytes = 100;
  std::int64_t created_ms = kNowMs;
};

inline Result<void> append_item(Queue& queue, const Numbered& numbered) {
  const std::string text = item_text(numbered.number, numbered.bytes);
  return queue.append({.stack = 7,
                       .signal = Signal::Metrics,
                       .created_ms = numbered.created_ms,
                       .item_count = static_cast<std::uint32_t>(numbered.number) + 1,
                       .order_key = numbered.order_key,
                       .destinations = numbered.destinations,
                       .payload = core::as_bytes(text)});
}

/// What there is now; nothing if that is nothing.
inline std::vector<QueuedItem> read_now(Queue& queue, const DestinationId& id,
                                        std::size_t items_max = 512,
                                        std::size_t bytes_max = 1 << 20) {
  auto items = queue.read(id, {.items_max = items_max, .bytes_max = bytes_max, .wait = {0}},
                          CancelToken::with_deadline(monotonic_ns() + 20'000'000));
  if (items) return *std::move(items);
  EXPECT_EQ(items.error().code, Code::DeadlineExceeded) << items.error().message;
  return {};
}

inline std::vector<storage::LogPosition> positions_of(const std::vector<QueuedItem>& items) {
  std::vector<storage::LogPosition> positions;
  for (const QueuedItem& item : items) positions.push_back(item.position);
  return positions;
}

inline std::vector<int> numbers_of(const std::vector<QueuedItem>& items) {
  std::vector<int> numbers;
  for (const QueuedItem& item : items) numbers.push_back(number_of(item));
  return numbers;
}

inline std::vector<int> count_up(int first, int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(first + i);
  return numbers;
}

/// Reads and finishes until there is nothing.
inline std::vector<int> drain(Queue& queue, const DestinationId& id) {
  std::vector<int> numbers;
  while (true) {
    const std::vector<QueuedItem> items = read_now(queue, id);
    if (items.empty()) return numbers;
    for (const QueuedItem& item : items) {
      EXPECT_EQ(item.payload.substr(0, 5), "item ");
      EXPECT_EQ(item.item_count, static_cast<std::uint32_t>(number_of(item)) + 1);
      numbers.push_back(number_of(item));
    }
    EXPECT_TRUE(queue.finish(id, positions_of(items), Outcome::Sent));
  }
}

inline std::vector<std::string> queue_segments(storage::FileSystem& files) {
  std::vector<std::string> names;
  const auto entries = files.list(kQueueDirectory / "log");
  EXPECT_TRUE(entries);
  for (const storage::DirectoryEntry& entry : *entries) {
    if (entry.name.ends_with(".wal")) names.push_back(entry.name);
  }
  return names;
}

/// A queue that can be closed, or lose its power, and be opened again.
class QueueHouse {
 public:
  explicit QueueHouse(Queue::Options options = quick_queue_options()) : options_(options) {
    reopen();
  }

  void reopen() {
    queue_.reset();
    auto opened = Queue::open(files, kQueueDirectory, clock, options_);
    ASSERT_TRUE(opened) << opened.error().message;
    queue_ = *std::move(opened);
  }

  void close() { queue_.reset(); }

  /// As after `kill -9`: the closing writes nothing.
  void crash() {
    files.cut_power();
    files.set_capacity(0);
    files.inject(
        {.operation = storage::FaultyFileSystem::Operation::Rename, .hit_count = 1'000'000});
    queue_.reset();
    files.clear_injections();
    files.set_capacity(~std::uint64_t{0});
    files.cut_power();
    reopen();
  }

  Queue& queue() { return *queue_; }

  void add(std::initializer_list<DestinationId> ids) {
    for (const DestinationId& id : ids) ASSERT_TRUE(queue_->add_destination(id));
  }

  void append(int first, int count, Numbered like = {}) {
    for (int i = 0; i < count; ++i) {
      like.number = first + i;
      const auto appended = append_item(*queue_, like);
      ASSERT_TRUE(appended) << appended.error().message;
    }
  }

  storage::FaultyFileSystem files;
  ManualClock clock{TimestampMs{kNowMs}};

 private:
  Queue::Options options_;
  std::unique_ptr<Queue> queue_;
};

}  // namespace gantry::broadcast
