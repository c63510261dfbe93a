// What the log makes of disks that fail and of files that are not as it left them.

#include <algorithm>
#include <cstring>
#include <string>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "core/hash.h"
#include "storage/directory.h"
#include "storage/faulty_file_system.h"
#include "storage/testing/log_support.h"
#include "storage/write_ahead_log.h"

namespace gantry::storage {
namespace {

using Operation = FaultyFileSystem::Operation;
using Fault = FaultyFileSystem::Fault;

TEST(WriteAheadLogDamageTest, DiskFullFailsTheRecordAndTheLogStaysUsable) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 5);
  files.inject({.operation = Operation::Write, .fault = Fault::ShortWrite});
  const auto refused = append(*log, payload_of(99));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::ResourceExhausted);
  append_numbered(*log, 5, 5);
  const auto entries = replay_all(*log);
  expect_numbered(entries, 10);
}

TEST(WriteAheadLogDamageTest, DiskFullForLongLeavesNoEmptySegmentsBehind) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 5);
  files.set_capacity(700);
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(append(*log, payload_of(99)));
  EXPECT_LE(segment_files(files).size(), 2U);
  files.set_capacity(1 << 20);
  append_numbered(*log, 5, 5);
  files.cut_power();
  const auto reopened = open_log(files);
  ReplayReport report;
  expect_numbered(replay_all(*reopened, &report), 10);
  EXPECT_TRUE(report.damages.empty());
}

TEST(WriteAheadLogDamageTest, AFailedSyncIsNotRepeatedOnTheSameFile) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 3);
  EXPECT_EQ(log->next_segment(), 1U);
  files.inject({.operation = Operation::Sync, .fault = Fault::IoError});
  const auto before = files.operation_count(Operation::Sync);
  const auto failed = append(*log, payload_of(99));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::Internal);
  EXPECT_EQ(files.operation_count(Operation::Sync), before + 1);
  EXPECT_EQ(log->next_segment(), 2U) << "the next record goes to a fresh segment";
  append_numbered(*log, 3, 3);
  files.cut_power();
  const auto reopened = open_log(files);
  expect_numbered(replay_all(*reopened), 6);
}

TEST(WriteAheadLogDamageTest, RefusesAtOnceWhileTheDeviceIsBroken) {
  FaultyFileSystem files;
  auto options = quick_options();
  options.retry_interval = {1'000'000};
  const auto log = open_log(files, options);
  append_numbered(*log, 0, 3);
  files.inject({.operation = Operation::Sync, .fault = Fault::IoError, .hit_count = 2});
  EXPECT_FALSE(append(*log, payload_of(3)));
  EXPECT_FALSE(append(*log, payload_of(3))) << "the fresh segment's sync fails too";
  const auto refused = log->enqueue(1, core::as_bytes("x"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unavailable);
  EXPECT_NE(refused.error().message.find("Input/output error"), std::string::npos);
}

TEST(WriteAheadLogDamageTest, SyncReportsWhatWrittenDurabilityLost) {
  FaultyFileSystem files;
  auto options = quick_options();
  options.durability = LogDurability::Written;
  options.sync_interval = {1'000'000};
  const auto log = open_log(files, options);
  append_numbered(*log, 0, 3);
  files.inject({.operation = Operation::Sync, .fault = Fault::IoError});
  const auto synced = log->sync();
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().code, Code::Internal);
  append_numbered(*log, 3, 1);
  EXPECT_TRUE(log->sync());
}

TEST(WriteAheadLogDamageTest, AFaultAtAnyOperationLosesNothingAcknowledged) {
  for (const Fault fault : {Fault::IoError, Fault::DiskFull, Fault::ShortWrite}) {
    for (std::uint64_t skip = 0; skip < 60; ++skip) {
      FaultyFileSystem files;
      std::vector<std::string> acknowledged;
      {
        auto log = open_log(files);
        files.inject({.operation = Operation::Any, .fault = fault, .skip_count = skip});
        for (int i = 0; i < 60; ++i) {
          if (append(*log, payload_of(i))) acknowledged.push_back(payload_of(i));
        }
        ASSERT_GE(acknowledged.size(), 58U) << "one fault costs at most its own commit";
        files.clear_injections();
      }
      files.cut_power(FaultyFileSystem::Unsynced::RandomPages, skip);
      const auto log = open_log(files);
      std::vector<std::string> found;
      for (const Entry& entry : replay_all(*log)) found.push_back(entry.payload);
      ASSERT_TRUE(std::ranges::includes(
          found, acknowledged, {},
          [](const std::string& text) { return std::stoi(text.substr(7)); },
          [](const std::string& text) { return std::stoi(text.substr(7)); }))
          << "fault " << static_cast<int>(fault) << " after " << skip;
    }
  }
}

// Damage on disk.

TEST(WriteAheadLogDamageTest, EachTornTailIsCutKeptAndReported) {
  FaultyFileSystem whole;
  {
    append_numbered(*open_log(whole), 0, 5);
  }
  const auto bytes = read_file(whole, kDirectory / "0000000001.wal", 1 << 20);
  ASSERT_TRUE(bytes);
  const std::size_t record_bytes = 17 + 100;
  for (std::size_t length = 1; length < bytes->size(); length += 3) {
    FaultyFileSystem files;
    ASSERT_TRUE(make_directories(files, kDirectory));
    ASSERT_TRUE(write_file_atomically(files, kDirectory / "0000000001.wal",
                                      std::span(*bytes).first(length)));
    const auto log = open_log(files);
    const std::size_t records = length < 32 ? 0 : (length - 32) / record_bytes;
    const std::size_t good = length < 32 ? 0 : 32 + records * record_bytes;
    expect_numbered(replay_all(*log), static_cast<int>(records));
    if (good == length) {
      EXPECT_FALSE(log->tail_damage());
      continue;
    }
    ASSERT_TRUE(log->tail_damage());
    EXPECT_TRUE(log->tail_damage()->is_torn_tail);
    EXPECT_FALSE(log->tail_damage()->holds_later_record);
    EXPECT_EQ(log->tail_damage()->offset_bytes, good);
    const auto kept = read_file(files, log->tail_damage()->quarantined_as, 1 << 20);
    ASSERT_TRUE(kept);
    EXPECT_TRUE(std::ranges::equal(*kept, std::span(*bytes).subspan(good, length - good)));
    EXPECT_TRUE(append(*log, "goes on"));
  }
}

TEST(WriteAheadLogDamageTest, AnEmptyFileOfACrashIsNoDamage) {
  FaultyFileSystem files;
  {
    append_numbered(*open_log(files), 0, 2);
  }
  ASSERT_TRUE(write_file_atomically(files, kDirectory / "0000000002.wal", {}));
  const auto log = open_log(files);
  EXPECT_FALSE(log->tail_damage());
  expect_numbered(replay_all(*log), 2);
  append_numbered(*log, 2, 1);
  expect_numbered(replay_all(*log), 3);
}

TEST(WriteAheadLogDamageTest, DamageInsideTheLastSegmentIsToldFromATornAppend) {
  FaultyFileSystem files;
  {
    append_numbered(*open_log(files), 0, 5);
  }
  ASSERT_TRUE(files.corrupt(kDirectory / "0000000001.wal", 32 + 117 * 2 + 50, 3));
  const auto log = open_log(files);
  ASSERT_TRUE(log->tail_damage());
  EXPECT_TRUE(log->tail_damage()->holds_later_record);
  expect_numbered(replay_all(*log), 2);
}

TEST(WriteAheadLogDamageTest, DamageInAnEarlierSegmentCostsOnlyThatSegmentsRest) {
  FaultyFileSystem files;
  {
    const auto log = open_log(files);
    append_numbered(*log, 0, 5);
    static_cast<void>(log->rotate());
    append_numbered(*log, 5, 5);
  }
  ASSERT_TRUE(files.corrupt(kDirectory / "0000000001.wal", 32 + 117 * 2 + 50, 3));
  ReplayReport report;
  {
    const auto log = open_log(files);
    const auto entries = replay_all(*log, &report);
    ASSERT_EQ(entries.size(), 7U);
    EXPECT_EQ(entries[1].payload, payload_of(1));
    EXPECT_EQ(entries[2].payload, payload_of(5));
    ASSERT_EQ(report.damages.size(), 1U);
    EXPECT_EQ(report.damages[0].offset_bytes, 32U + 117 * 2);
    EXPECT_EQ(report.damages[0].length_bytes, 117U * 3);
    EXPECT_TRUE(report.damages[0].holds_later_record);
    EXPECT_TRUE(*files.exists(report.damages[0].quarantined_as));
  }
  const auto log = open_log(files);
  EXPECT_EQ(replay_all(*log, &report).size(), 7U);
  EXPECT_TRUE(report.damages.empty()) << "damage is reported once";
}

TEST(WriteAheadLogDamageTest, ABadHeaderSetsTheWholeSegmentAside) {
  FaultyFileSystem files;
  {
    const auto log = open_log(files);
    append_numbered(*log, 0, 5);
    static_cast<void>(log->rotate());
    append_numbered(*log, 5, 5);
  }
  ASSERT_TRUE(files.corrupt(kDirectory / "0000000001.wal", 17, 0));
  const auto log = open_log(files);
  ReplayReport report;
  EXPECT_EQ(replay_all(*log, &report).size(), 5U);
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_EQ(report.damages[0].offset_bytes, 0U);
  EXPECT_EQ(segment_files(files), std::vector<std::string>{"0000000002.wal"});
}

TEST(WriteAheadLogDamageTest, ANewerFormatIsRefusedByName) {
  FaultyFileSystem files;
  {
    append_numbered(*open_log(files), 0, 1);
  }
  auto bytes = *read_file(files, kDirectory / "0000000001.wal", 1 << 20);
  bytes[8] = std::byte{2};
  const std::uint32_t crc = core::crc32c(std::span(bytes).first(28));
  std::memcpy(bytes.data() + 28, &crc, 4);
  ASSERT_TRUE(write_file_atomically(files, kDirectory / "0000000001.wal", bytes));
  const auto log = WriteAheadLog::open(files, kDirectory, quick_options());
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Code::FailedPrecondition);
  EXPECT_NE(log.error().message.find("newer version"), std::string::npos);
}

TEST(WriteAheadLogDamageTest, ReplayStopsAtTheVisitorsError) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 5);
  int seen = 0;
  const auto report = log->replay([&](const LogRecord&) -> Result<void> {
    if (++seen == 3) return fail(Code::DataLoss, "enough");
    return {};
  });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message, "enough");
  EXPECT_EQ(seen, 3);
}

RC_GTEST_PROP(WriteAheadLogDamageProperty, AnyFlippedBitCostsNothingBeforeIt, ()) {
  FaultyFileSystem files;
  {
    append_numbered(*open_log(files, {.segment_bytes_max = 1000}), 0, 20);
  }
  const auto names = segment_files(files);
  const auto& name = names[*rc::gen::inRange<std::size_t>(0, names.size())];
  const auto size = read_file(files, kDirectory / name, 1 << 20)->size();
  const auto offset = *rc::gen::inRange<std::size_t>(0, size);
  const auto bit = *rc::gen::inRange<std::uint8_t>(0, 8);
  RC_ASSERT(files.corrupt(kDirectory / name, offset, bit).has_value());
  auto log = WriteAheadLog::open(files, kDirectory, quick_options());
  if (!log) {
    RC_ASSERT(offset >= 8 && offset < 12);
    return;
  }
  int expected = 0;
  for (const Entry& entry : replay_all(**log)) {
    const int number = std::stoi(entry.payload.substr(7));
    RC_ASSERT(entry.payload == payload_of(number));
    RC_ASSERT(number >= expected);
    expected = number + 1;
  }
}

}  // namespace
}  // namespace gantry::storage
