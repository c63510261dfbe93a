#include "metrics/head/late_log.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

namespace gantry::metrics {
namespace {

LateChange change(std::uint64_t sequence, std::int64_t timestamp_ms) {
  return {.sequence = sequence, .timestamp_ms = timestamp_ms};
}

std::vector<std::uint64_t> found(const LateLog& log, std::uint32_t series, std::uint64_t mark,
                                 std::int64_t start_ms = 0, std::int64_t end_ms = 1000) {
  std::vector<LateChange> changes;
  log.find(series, mark, start_ms, end_ms, changes);
  std::vector<std::uint64_t> sequences;
  for (const LateChange& one : changes) sequences.push_back(one.sequence);
  return sequences;
}

TEST(LateLog, FindsWhatCameAfterAMark) {
  LateLog log;
  log.add(1, change(3, 10));
  log.add(2, change(4, 10));
  log.add(1, change(7, 20));
  EXPECT_EQ(found(log, 1, 0), (std::vector<std::uint64_t>{3, 7}));
  EXPECT_EQ(found(log, 1, 3), (std::vector<std::uint64_t>{7}));
  EXPECT_EQ(found(log, 1, 7), (std::vector<std::uint64_t>{}));
  EXPECT_EQ(found(log, 2, 3), (std::vector<std::uint64_t>{4}));
  EXPECT_EQ(found(log, 3, 0), (std::vector<std::uint64_t>{}));
  EXPECT_EQ(found(log, 1, 0, 11, 20), (std::vector<std::uint64_t>{7}));
  EXPECT_EQ(found(log, 1, 0, 0, 19), (std::vector<std::uint64_t>{3}));
}

TEST(LateLog, ForgetsUpToAMark) {
  LateLog log;
  log.add(1, change(3, 10));
  log.add(2, change(4, 10));
  log.add(1, change(7, 20));
  EXPECT_EQ(log.forget(4), 2U);
  EXPECT_EQ(found(log, 1, 0), (std::vector<std::uint64_t>{7}));
  EXPECT_EQ(found(log, 2, 0), (std::vector<std::uint64_t>{}));
  EXPECT_EQ(log.forget(7), 1U);
}

TEST(LateReaders, TellWhatTheOldestReaderNeeds) {
  LateReaders readers;
  EXPECT_FALSE(readers.has_any());
  const std::uint64_t first = readers.begin();
  EXPECT_TRUE(readers.has_any());
  EXPECT_EQ(readers.next_sequence(), first + 1);
  const std::uint64_t second = readers.begin();
  EXPECT_EQ(second, first + 1);
  // The second one needs nothing of what is kept, but looking for it does not pay.
  EXPECT_EQ(readers.end(first), std::nullopt);
  EXPECT_TRUE(readers.has_any());
  EXPECT_EQ(readers.next_sequence(), second + 1);
  EXPECT_EQ(readers.end(second), second + 1);
  readers.note_forgotten(2);
  EXPECT_EQ(readers.kept(), 0U);
  EXPECT_FALSE(readers.has_any());
}

TEST(LateReaders, ReadersWithoutEndDoNotKeepEverything) {
  LateReaders readers;
  std::uint64_t mark = readers.begin();
  std::size_t kept_max = 0;
  for (int round = 0; round < 1000; ++round) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(readers.next_sequence());
    kept_max = std::max(kept_max, readers.kept());
    const std::uint64_t next = readers.begin();
    if (const auto until = readers.end(mark)) {
      EXPECT_EQ(*until, next);
      readers.note_forgotten(readers.kept());
    }
    mark = next;
  }
  EXPECT_LE(kept_max, 1200U);
}

TEST(LateReaders, ThereIsABound) {
  LateReaders readers;
  const std::uint64_t mark = readers.begin();
  for (std::size_t i = 0; i < LateReaders::kChangesMax; ++i) ASSERT_TRUE(readers.next_sequence());
  EXPECT_FALSE(readers.next_sequence());
  EXPECT_EQ(readers.kept(), LateReaders::kChangesMax);
  ASSERT_TRUE(readers.end(mark));
  readers.note_forgotten(LateReaders::kChangesMax);
  const std::uint64_t again = readers.begin();
  EXPECT_TRUE(readers.next_sequence());
  EXPECT_TRUE(readers.end(again));
}

void set_float(promql::SampleColumns& columns, std::int64_t time, double value,
               std::int64_t start) {
  const auto at = std::ranges::lower_bound(columns.timestamps_ms, time);
  const auto position = at - columns.timestamps_ms.begin();
  std::erase_if(columns.histograms, [&](const auto& point) { return point.timestamp_ms == time; });
  if (at != columns.timestamps_ms.end() && *at == time) {
    columns.values[static_cast<std::size_t>(position)] = value;
    columns.start_timestamps_ms[static_cast<std::size_t>(position)] = start;
    return;
  }
  columns.timestamps_ms.insert(at, time);
  columns.values.insert(columns.values.begin() + position, value);
  columns.start_timestamps_ms.insert(columns.start_timestamps_ms.begin() + position, start);
}

void set_histogram(promql::SampleColumns& columns, std::int64_t time, double count) {
  const auto at = std::ranges::lower_bound(columns.timestamps_ms, time);
  if (at != columns.timestamps_ms.end() && *at == time) {
    const auto position = at - columns.timestamps_ms.begin();
    columns.timestamps_ms.erase(at);
    columns.values.erase(columns.values.begin() + position);
    columns.start_timestamps_ms.erase(columns.start_timestamps_ms.begin() + position);
  }
  std::erase_if(columns.histograms, [&](const auto& point) { return point.timestamp_ms == time; });
  auto histogram = std::make_shared<telemetry::FloatHistogram>();
  histogram->count = count;
  columns.histograms.push_back(
      {.timestamp_ms = time, .start_timestamp_ms = 0, .histogram = std::move(histogram)});
  std::ranges::sort(columns.histograms, {}, &promql::SampleColumns::HistogramPoint::timestamp_ms);
}

/// No start timestamps are as good as zeros.
std::string text_of(promql::SampleColumns columns) {
  columns.start_timestamps_ms.resize(columns.timestamps_ms.size());
  std::string text;
  for (std::size_t i = 0; i < columns.timestamps_ms.size(); ++i) {
    text += std::to_string(columns.timestamps_ms[i]) + "=" + std::to_string(columns.values[i]) +
            "/" + std::to_string(columns.start_timestamps_ms[i]) + " ";
  }
  for (const auto& point : columns.histograms) {
    text +=
        std::to_string(point.timestamp_ms) + "=h" + std::to_string(point.histogram->count) + " ";
  }
  return text;
}

RC_GTEST_PROP(LateLog, UndoingEveryChangeGivesWhatWasThere, ()) {
  promql::SampleColumns columns;
  const auto change_something = [&] {
    const std::int64_t time = *rc::gen::inRange(0, 10);
    const int value = *rc::gen::inRange(0, 100);
    if (*rc::gen::inRange(0, 2) == 0) {
      set_float(columns, time, value, *rc::gen::inRange(0, 3));
    } else {
      set_histogram(columns, time, value);
    }
    return time;
  };
  for (int i = *rc::gen::inRange(0, 10); i > 0; --i) change_something();
  const std::string before = text_of(columns);
  std::vector<LateChange> changes;
  for (int i = *rc::gen::inRange(0, 20); i > 0; --i) {
    const promql::SampleColumns copy = columns;
    const std::int64_t time = change_something();
    changes.push_back(make_change(copy, time));
  }
  undo_changes(changes, columns);
  RC_ASSERT(text_of(columns) == before);
}

}  // namespace
}  // namespace gantry::metrics
