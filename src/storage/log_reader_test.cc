#include "storage/log_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "storage/faulty_file_system.h"
#include "storage/log_segment.h"
#include "storage/testing/log_support.h"

namespace gantry::storage {
namespace {

constexpr LogPosition kNoEnd{.segment = 1000, .offset_bytes = 0};

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The payloads from `position` on in its segment, by looking and reading.
std::vector<std::string> walk(LogReader& reader, LogPosition position, LogPosition end = kNoEnd) {
  std::vector<std::string> payloads;
  while (true) {
    const auto at = reader.look(position, end, 16);
    EXPECT_TRUE(at) << at.error().message;
    if (!at || *at != LogReader::At::Record) return payloads;
    const LogPosition next = reader.head().next;
    const std::string prefix = text_of(reader.head().prefix);
    const auto payload = reader.read(position, end);
    EXPECT_TRUE(payload) << payload.error().message;
    if (!payload) return payloads;
    payloads.push_back(text_of(*payload));
    EXPECT_EQ(payloads.back().substr(0, prefix.size()), prefix);
    EXPECT_GE(prefix.size(), std::min<std::size_t>(16, payload->size()));
    position = next;
  }
}

TEST(LogReaderTest, FollowsALogThatIsBeingWritten) {
  FaultyFileSystem files;
  const auto log = open_log(files, {.segment_bytes_max = 1 << 20});
  LogReader reader(files, kDirectory);
  LogPosition at{.segment = 1, .offset_bytes = 0};
  for (int i = 0; i < 50; ++i) {
    const auto position = append(*log, payload_of(i, 1 + static_cast<std::size_t>(i) * 700));
    ASSERT_TRUE(position);
    const auto looked = reader.look(at, kNoEnd, 4);
    ASSERT_TRUE(looked && *looked == LogReader::At::Record);
    const LogPosition next = reader.head().next;
    EXPECT_EQ(text_of(*reader.read(at, kNoEnd)),
              payload_of(i, 1 + static_cast<std::size_t>(i) * 700));
    at = next;
    EXPECT_EQ(*reader.look(at, kNoEnd, 4), LogReader::At::End);
  }
}

TEST(LogReaderTest, StopsAtTheGivenEnd) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 3);
  const LogPosition fourth = *append(*log, payload_of(3));
  append_numbered(*log, 4, 2);
  LogReader reader(files, kDirectory);
  const LogPosition start{.segment = 1, .offset_bytes = 0};
  EXPECT_EQ(walk(reader, start, fourth).size(), 3U);
  EXPECT_EQ(*reader.look(fourth, fourth, 0), LogReader::At::End);
  EXPECT_EQ(reader.read(fourth, fourth).error().code, Code::DataLoss);
  // What the first walk has cached must not hide what came behind its end.
  EXPECT_EQ(walk(reader, start).size(), 6U);
}

TEST(LogReaderTest, ChangesSegmentsAndKnowsThatOneIsGone) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 40);
  const LogPosition second = log->rotate();
  append_numbered(*log, 40, 1);
  LogReader reader(files, kDirectory);
  EXPECT_EQ(walk(reader, {.segment = 1, .offset_bytes = 0}).at(0), payload_of(0));
  EXPECT_EQ(walk(reader, second).at(0), payload_of(40));
  EXPECT_EQ(*reader.look({.segment = 77, .offset_bytes = 0}, kNoEnd, 0), LogReader::At::End);
  ASSERT_TRUE(log->truncate_before(second));
  EXPECT_EQ(*reader.look({.segment = 1, .offset_bytes = 0}, kNoEnd, 0), LogReader::At::End);
  EXPECT_EQ(reader.read({.segment = 1, .offset_bytes = 0}, kNoEnd).error().code, Code::DataLoss);
}

TEST(LogReaderTest, DamageIsSaidAndNotHandedOut) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 1);
  const LogPosition second = *append(*log, payload_of(1));
  const LogPosition third = *append(*log, payload_of(2));
  const Path segment = kDirectory / segment_name(1);
  ASSERT_TRUE(files.corrupt(segment, second.offset_bytes + kRecordHeaderBytes + 5, 1));
  LogReader reader(files, kDirectory);
  EXPECT_EQ(*reader.look(second, kNoEnd, 0), LogReader::At::Record) << "only its length is checked";
  EXPECT_EQ(reader.read(second, kNoEnd).error().code, Code::DataLoss);
  EXPECT_EQ(text_of(*reader.read(third, kNoEnd)), payload_of(2));
  ASSERT_TRUE(files.corrupt(segment, third.offset_bytes + 3, 7));
  EXPECT_EQ(*LogReader(files, kDirectory).look(third, kNoEnd, 0), LogReader::At::Bad);
}

TEST(LogReaderTest, BadSegmentHeaderIsBadAndANewerFormatIsRefused) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 1);
  const LogPosition start{.segment = 1, .offset_bytes = 0};
  ASSERT_TRUE(files.corrupt(kDirectory / segment_name(1), 13, 0));
  EXPECT_EQ(*LogReader(files, kDirectory).look(start, kNoEnd, 0), LogReader::At::Bad);
}

TEST(LogReaderTest, DeviceErrorIsAnErrorAndPasses) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  append_numbered(*log, 0, 1);
  LogReader reader(files, kDirectory);
  const LogPosition start{.segment = 1, .offset_bytes = 0};
  files.inject({.operation = FaultyFileSystem::Operation::Read, .skip_count = 1});
  EXPECT_EQ(reader.look(start, kNoEnd, 8).error().code, Code::Internal);
  EXPECT_EQ(walk(reader, start).size(), 1U);
}

RC_GTEST_PROP(LogReaderProperty, WalkGivesWhatWasAppended, ()) {
  FaultyFileSystem files;
  const auto log = open_log(files);
  const auto sizes =
      *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 20'000));
  std::vector<LogPosition> positions;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    positions.push_back(*append(*log, payload_of(static_cast<int>(i), sizes[i])));
  }
  LogReader reader(files, kDirectory);
  for (std::size_t i = sizes.size(); i-- > 0;) {
    RC_ASSERT(text_of(*reader.read(positions[i], kNoEnd)) ==
              payload_of(static_cast<int>(i), sizes[i]));
  }
  std::size_t count = 0;
  for (std::uint32_t segment = 1; segment < log->next_segment() + 1; ++segment) {
    count += walk(reader, {.segment = segment, .offset_bytes = 0}).size();
  }
  RC_ASSERT(count == sizes.size());
}

}  // namespace
}  // namespace gantry::storage
