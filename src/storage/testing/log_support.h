#pragma once

// What the tests of the write-ahead log share: a log with small segments, numbered records, and
// what replay makes of them.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/hash.h"
#include "storage/file.h"
#include "storage/write_ahead_log.h"

namespace gantry::storage {

inline const Path kDirectory = "/data/wal";

inline WriteAheadLog::Options quick_options() {
  return {.segment_bytes_max = 4096, .retry_interval = {0}};
}

struct Entry {
  std::uint8_t type = 0;
  std::string payload;

  friend bool operator==(const Entry&, const Entry&) = default;
};

inline std::string payload_of(int number, std::size_t bytes = 100) {
  std::string text = "record " + std::to_string(number) + " ";
  text.resize(bytes, static_cast<char>('a' + number % 26));
  return text;
}

inline std::unique_ptr<WriteAheadLog> open_log(
    FileSystem& files, const WriteAheadLog::Options& options = quick_options()) {
  auto log = WriteAheadLog::open(files, kDirectory, options);
  EXPECT_TRUE(log) << log.error().message;
  return log ? *std::move(log) : nullptr;
}

inline std::vector<Entry> replay_all(WriteAheadLog& log, ReplayReport* report_out = nullptr) {
  std::vector<Entry> entries;
  std::uint64_t sequence = 0;
  LogPosition position;
  auto report = log.replay([&](const LogRecord& record) -> Result<void> {
    EXPECT_GT(record.sequence, sequence);
    EXPECT_GT(record.position, position);
    sequence = record.sequence;
    position = record.position;
    entries.push_back({.type = record.type,
                       .payload = std::string(reinterpret_cast<const char*>(record.payload.data()),
                                              record.payload.size())});
    return {};
  });
  EXPECT_TRUE(report) << report.error().message;
  if (report && report_out != nullptr) *report_out = *report;
  return entries;
}

inline Result<LogPosition> append(WriteAheadLog& log, const std::string& payload,
                                  std::uint8_t type = 1) {
  return log.append(type, core::as_bytes(payload));
}

/// Appends records first..first+count-1 and expects each to succeed.
inline void append_numbered(WriteAheadLog& log, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    const auto position = append(log, payload_of(i));
    ASSERT_TRUE(position) << position.error().message;
  }
}

inline void expect_numbered(const std::vector<Entry>& entries, int count) {
  ASSERT_EQ(entries.size(), static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(entries[static_cast<std::size_t>(i)].payload, payload_of(i));
  }
}

inline std::vector<std::string> segment_files(FileSystem& files) {
  std::vector<std::string> names;
  const auto entries = files.list(kDirectory);
  EXPECT_TRUE(entries);
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.ends_with(".wal")) names.push_back(entry.name);
  }
  return names;
}

}  // namespace gantry::storage
