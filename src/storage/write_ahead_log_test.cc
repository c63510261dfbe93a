#include "storage/write_ahead_log.h"

#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "core/hash.h"
#include "storage/faulty_file_system.h"
#include "storage/testing/log_support.h"

namespace gantry::storage {
namespace {

using Operation = FaultyFileSystem::Operation;
using Fault = FaultyFileSystem::Fault;

TEST(WriteAheadLogTest, AnswersFromAnEmptyDirectory) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  EXPECT_TRUE(replay_all(*log).empty());
  EXPECT_FALSE(log->tail_damage());
  EXPECT_EQ(log->size_bytes(), 0U);
  EXPECT_EQ(log->next_segment(), 1U);
}

TEST(WriteAheadLogTest, ReplaysWhatWasAppendedInOrderOverSegments) {
  FaultyFileSystem files;
  {
    const auto log = open_log(files);
    append_numbered(*log, 0, 100);
    EXPECT_TRUE(append(*log, "", 255));
  }
  EXPECT_GT(segment_files(files).size(), 2U);
  const auto log = open_log(files);
  auto entries = replay_all(*log);
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries.back(), (Entry{255, ""}));
  entries.pop_back();
  expect_numbered(entries, 100);
}

TEST(WriteAheadLogTest, GoesOnAfterReopening) {
  FaultyFileSystem files;
  for (int round = 0; round < 5; ++round) {
    const auto log = open_log(files);
    expect_numbered(replay_all(*log), round * 10);
    append_numbered(*log, round * 10, 10);
  }
  EXPECT_EQ(segment_files(files).size(), 5U);
}

TEST(WriteAheadLogTest, AcknowledgedSurvivesAPowerCut) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 60);
  files.cut_power();
  const auto reopened = open_log(files);
  expect_numbered(replay_all(*reopened), 60);
  EXPECT_FALSE(reopened->tail_damage());
}

TEST(WriteAheadLogTest, LostSyncLosesDataSoTheTestsPowerCutIsReal) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 3);
  files.inject({.operation = Operation::Sync, .fault = Fault::LostSync, .hit_count = 1000});
  append_numbered(*log, 3, 3);
  files.cut_power();
  const auto reopened = open_log(files);
  expect_numbered(replay_all(*reopened), 3);
}

TEST(WriteAheadLogTest, WrittenDurabilitySyncsOnRequest) {
  FaultyFileSystem files;
  auto options = quick_options();
  options.durability = LogDurability::Written;
  options.sync_interval = {1'000'000};
  options.segment_bytes_max = 1 << 20;
  const auto log = open_log(files, options);
  append_numbered(*log, 0, 5);
  ASSERT_TRUE(log->sync());
  append_numbered(*log, 5, 5);
  files.cut_power();
  const auto reopened = open_log(files);
  expect_numbered(replay_all(*reopened), 5);
}

TEST(WriteAheadLogTest, WrittenDurabilitySyncsByItselfAndOnClose) {
  FaultyFileSystem files;
  auto options = quick_options();
  options.durability = LogDurability::Written;
  options.sync_interval = {1};
  {
    const auto log = open_log(files, options);
    append_numbered(*log, 0, 1);
    const std::int64_t deadline = monotonic_ns() + 10'000'000'000;
    while (log->statistics().syncs == 0 && monotonic_ns() < deadline) std::this_thread::yield();
    EXPECT_GT(log->statistics().syncs, 0U);
    append_numbered(*log, 1, 4);
  }
  files.cut_power();
  const auto reopened = open_log(files);
  expect_numbered(replay_all(*reopened), 5);
}

TEST(WriteAheadLogTest, RefusesARecordOverTheLimit) {
  FaultyFileSystem files;
  auto options = quick_options();
  options.record_bytes_max = 10;
  const auto log = open_log(files, options);
  EXPECT_TRUE(append(*log, "0123456789"));
  const auto refused = append(*log, "0123456789a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::TooLarge);
  EXPECT_NE(refused.error().message.find("record_bytes_max"), std::string::npos);
}

TEST(WriteAheadLogTest, RefusesWhatWouldNotFitInMemory) {
  FaultyFileSystem files;
  auto options = quick_options();
  options.pending_bytes_max = 150;
  const auto log = open_log(files, options);
  // Whether the flusher has taken the first one yet is a race; a record alone is never refused.
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto ticket = log->enqueue(1, core::as_bytes(payload_of(i)));
    if (ticket) continue;
    EXPECT_EQ(ticket.error().code, Code::ResourceExhausted);
    ++refused;
  }
  EXPECT_GT(refused, 0);
}

TEST(WriteAheadLogTest, IsLockedWhileOpen) {
  FaultyFileSystem files;
  auto log = open_log(files);
  const auto second = WriteAheadLog::open(files, kDirectory, quick_options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::FailedPrecondition);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos);
  log.reset();
  EXPECT_TRUE(WriteAheadLog::open(files, kDirectory, quick_options()));
}

TEST(WriteAheadLogTest, TicketsTellThePositionBeforehand) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t segment = log->next_segment();
    const auto ticket = log->enqueue(1, core::as_bytes(payload_of(i)), segment);
    ASSERT_TRUE(ticket);
    EXPECT_EQ(ticket->position.segment, segment);
    const auto position = log->wait(*ticket);
    ASSERT_TRUE(position);
    EXPECT_EQ(*position, ticket->position);
  }
  const auto refused = log->enqueue(1, {}, log->next_segment() - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  // Replay sees the same positions.
  std::vector<LogPosition> positions;
  ASSERT_TRUE(log->replay([&](const LogRecord& record) -> Result<void> {
    positions.push_back(record.position);
    return {};
  }));
  EXPECT_EQ(positions.size(), 100U);
  EXPECT_EQ(positions.front(), (LogPosition{1, 32}));
}

TEST(WriteAheadLogTest, RotateSeparatesAndTruncateRemoves) {
  FaultyFileSystem files;
  {
    const auto log = open_log(files);
    append_numbered(*log, 0, 10);
    const LogPosition border = log->rotate();
    EXPECT_EQ(log->rotate(), border) << "an empty segment is not left behind";
    append_numbered(*log, 10, 5);
    ASSERT_TRUE(log->truncate_before(border));
    EXPECT_EQ(segment_files(files).size(), 1U);
    EXPECT_EQ(log->statistics().segments_removed, 1U);
  }
  files.cut_power();
  const auto log = open_log(files);
  const auto entries = replay_all(*log);
  ASSERT_EQ(entries.size(), 5U);
  EXPECT_EQ(entries.front().payload, payload_of(10));
}

TEST(WriteAheadLogTest, NumbersNeverStartAgainAfterTruncatingEverything) {
  FaultyFileSystem files;
  LogPosition border;
  {
    const auto log = open_log(files);
    append_numbered(*log, 0, 10);
    border = log->rotate();
    ASSERT_TRUE(log->truncate_before(border));
    EXPECT_EQ(segment_files(files).size(), 1U);
  }
  files.cut_power();
  const auto log = open_log(files);
  EXPECT_TRUE(replay_all(*log).empty());
  const auto position = append(*log, "x");
  ASSERT_TRUE(position);
  EXPECT_GT(*position, border);
}

TEST(WriteAheadLogTest, ThreadsShareCommitsAndKeepTheirOrder) {
  FaultyFileSystem files;
  constexpr int kThreads = 8;
  constexpr int kRecords = 200;
  {
    auto options = quick_options();
    options.segment_bytes_max = 1 << 16;
    const auto log = open_log(files, options);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        LogPosition last;
        for (int i = 0; i < kRecords; ++i) {
          const std::string payload = std::to_string(i);
          const auto position = log->append(static_cast<std::uint8_t>(t), core::as_bytes(payload));
          ASSERT_TRUE(position);
          ASSERT_GT(*position, last);
          last = *position;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(log->statistics().records, static_cast<std::uint64_t>(kThreads * kRecords));
  }
  const auto log = open_log(files);
  std::map<int, int> next;
  for (const Entry& entry : replay_all(*log)) {
    EXPECT_EQ(std::stoi(entry.payload), next[entry.type]++);
  }
  for (int t = 0; t < kThreads; ++t) EXPECT_EQ(next[t], kRecords);
}

TEST(WriteAheadLogTest, ThreadsSurviveFailuresUnderWay) {
  FaultyFileSystem files;
  auto options = quick_options();
  options.segment_bytes_max = 1 << 14;
  std::map<std::string, bool> acknowledged;
  {
    const auto log = open_log(files, options);
    for (std::uint64_t skip : {20U, 50U, 90U, 160U}) {
      files.inject({.operation = Operation::Sync, .fault = Fault::IoError, .skip_count = skip});
      files.inject({.operation = Operation::Write, .fault = Fault::ShortWrite, .skip_count = skip});
    }
    std::vector<std::thread> threads;
    std::vector<std::vector<std::string>> done(4);
    for (std::size_t t = 0; t < done.size(); ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 300; ++i) {
          const std::string payload = std::to_string(t) + ":" + std::to_string(i);
          if (log->append(1, core::as_bytes(payload))) done[t].push_back(payload);
          if (i % 50 == 0) static_cast<void>(log->truncate_before({}));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& list : done) {
      EXPECT_LT(list.size(), 300U * 4);
      for (const std::string& payload : list) acknowledged[payload] = false;
    }
    EXPECT_GT(log->statistics().failures, 0U);
  }
  files.clear_injections();
  files.cut_power();
  const auto log = open_log(files);
  for (const Entry& entry : replay_all(*log)) {
    if (acknowledged.contains(entry.payload)) acknowledged[entry.payload] = true;
  }
  for (const auto& [payload, is_found] : acknowledged) EXPECT_TRUE(is_found) << payload;
}

RC_GTEST_PROP(WriteAheadLogProperty, ReplayGivesWhatWasAppended, (std::vector<std::string> texts)) {
  FaultyFileSystem files;
  {
    const auto log = open_log(files, {.segment_bytes_max = 200});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      RC_ASSERT(append(*log, texts[i], static_cast<std::uint8_t>(i)).has_value());
      if (*rc::gen::inRange(0, 8) == 0) static_cast<void>(log->rotate());
    }
  }
  files.cut_power(FaultyFileSystem::Unsynced::RandomPages, texts.size());
  const auto log = open_log(files);
  const auto entries = replay_all(*log);
  RC_ASSERT(entries.size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    RC_ASSERT(entries[i] == (Entry{static_cast<std::uint8_t>(i), texts[i]}));
  }
}

}  // namespace
}  // namespace gantry::storage
