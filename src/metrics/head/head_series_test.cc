#include "metrics/head/head_series.h"

#include <limits>
#include <map>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "metrics/head/open_buffer.h"
#include "metrics/head/sealed_block.h"

namespace gantry::metrics {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

/// A record with what it needs to be freed.
struct Series {
  Series() = default;
  Series(const Series&) = delete;
  Series& operator=(const Series&) = delete;

  ~Series() { drop_all(record, context); }

  void store(std::int64_t time, double value, StoreMode mode = StoreMode::Insert) {
    store_float(record, context, generation, {.timestamp_ms = time, .value = value}, mode);
  }

  [[nodiscard]] promql::SampleColumns read(std::int64_t start_ms, std::int64_t end_ms) const {
    promql::SampleColumns out;
    ColumnMerge<promql::SampleColumns> merge(out);
    EXPECT_TRUE(read_head(record, start_ms, end_ms, merge, out));
    merge.finish();
    return out;
  }

  SeriesRecord record;
  HeadContext context;
  std::uint32_t generation = 1;
};

TEST(OpenBuffer, HoldsNoTimesWhileTheIntervalIsEven) {
  OpenBuffer* buffer = nullptr;
  std::size_t bytes = 0;
  for (int i = 0; i < 14; ++i) ASSERT_TRUE(append(buffer, bytes, 1000 + i * 15, i));
  EXPECT_TRUE(buffer->is_even());
  EXPECT_EQ(bytes, 16 + 14 * sizeof(double));
  ASSERT_TRUE(append(buffer, bytes, 1000 + 14 * 15 + 1, 14));
  EXPECT_FALSE(buffer->is_even());
  EXPECT_EQ(buffer->time(13), 1000 + 13 * 15);
  EXPECT_EQ(buffer->time(14), 1000 + 14 * 15 + 1);
  EXPECT_EQ(buffer->lower_bound(1000 + 13 * 15 + 1), 14U);
  EXPECT_EQ(buffer->lower_bound(999), 0U);
  EXPECT_EQ(buffer->lower_bound(9999), 15U);
  free_buffer(buffer, bytes);
  EXPECT_EQ(bytes, 0U);
}

TEST(OpenBuffer, RefusesWhenFullOrTooFarApart) {
  OpenBuffer* buffer = nullptr;
  std::size_t bytes = 0;
  ASSERT_TRUE(append(buffer, bytes, 0, 0));
  EXPECT_FALSE(append(buffer, bytes, std::int64_t{1} << 32, 0));
  EXPECT_TRUE(append(buffer, bytes, (std::int64_t{1} << 32) - 2, 0));
  free_buffer(buffer, bytes);
  for (std::size_t i = 0; i < kOpenSamplesMax; ++i) {
    ASSERT_TRUE(append(buffer, bytes, static_cast<std::int64_t>(i), 0));
  }
  EXPECT_FALSE(append(buffer, bytes, 1000, 0));
  free_buffer(buffer, bytes);
}

TEST(HeadSeries, OfTwoInsertsThatRacedTheSameOneStaysInEitherOrder) {
  for (const auto& [first, second] : {std::pair(1.0, 2.0), std::pair(2.0, 1.0)}) {
    Series series;
    series.store(10, first);
    series.store(20, 0);
    series.store(10, second);
    EXPECT_EQ(series.read(0, 100).values, (std::vector<double>{2, 0}));
  }
}

TEST(HeadSeries, MergesBlocksBehindTheNewestOnes) {
  Series series;
  const auto samples = static_cast<std::int64_t>(kOpenSamplesMax * 100);
  for (std::int64_t i = 0; i < samples; ++i) {
    store_float(series.record, series.context, series.generation,
                {.timestamp_ms = 15 * i,
                 .value = static_cast<double>(i % 7),
                 .start_timestamp_ms = i < samples / 2 ? 0 : 5},
                StoreMode::Insert);
  }
  const promql::SampleColumns all = series.read(0, kMost);
  ASSERT_EQ(all.timestamps_ms.size(), static_cast<std::size_t>(samples));
  for (std::int64_t i = 0; i < samples; ++i) {
    const auto at = static_cast<std::size_t>(i);
    ASSERT_EQ(all.timestamps_ms[at], 15 * i);
    ASSERT_EQ(all.values[at], static_cast<double>(i % 7));
    ASSERT_EQ(all.start_timestamps_ms[at], i < samples / 2 ? 0 : 5);
  }
  // 99 open buffers were sealed.
  EXPECT_LE(series.context.sealed_count, 99 / kMergedBlocks + kFreshBlocks + kMergedBlocks);
  EXPECT_EQ(series.record.sealed->sample_count, kOpenSamplesMax);
}

/// A flush reads them meanwhile.
TEST(HeadSeries, LeavesBlocksOfOlderGenerationsAlone) {
  Series series;
  std::int64_t time = 0;
  const auto store = [&](std::size_t buffers) {
    for (std::size_t i = 0; i < buffers * kOpenSamplesMax; ++i) series.store(time += 15, 1);
  };
  store(6);
  roll(series.record, series.context, ++series.generation);
  const SealedBlock* const old = sealed_before(series.record, series.generation);
  std::vector<const SealedBlock*> before;
  for (const SealedBlock* block = old; block != nullptr; block = block->next) {
    before.push_back(block);
  }
  store(60);
  EXPECT_EQ(sealed_before(series.record, series.generation), old);
  std::vector<const SealedBlock*> after;
  for (const SealedBlock* block = old; block != nullptr; block = block->next) {
    after.push_back(block);
  }
  EXPECT_EQ(before, after);
}

RC_GTEST_PROP(HeadSeries, AgreesWithAMap, ()) {
  Series series;
  std::map<std::int64_t, double> model;
  const int count = *rc::gen::inRange(0, 1500);
  std::int64_t next = 0;
  for (int i = 0; i < count; ++i) {
    const int what = *rc::gen::inRange(0, 400);
    if (what == 0) {
      ++series.generation;
      roll(series.record, series.context, series.generation);
    } else if (what == 1) {
      const std::int64_t start = *rc::gen::inRange<std::int64_t>(0, 20'000);
      const std::int64_t end = start + *rc::gen::inRange<std::int64_t>(0, 200);
      RC_ASSERT(
          erase_samples(series.record, series.context, series.generation, start, end).has_value());
      model.erase(model.lower_bound(start), model.upper_bound(end));
    } else {
      // Mostly in order at an even interval; sometimes a gap, sometimes late.
      const bool is_late = what < 12;
      if (!is_late) next += what == 13 ? 37 : 15;
      const std::int64_t time = is_late ? *rc::gen::inRange<std::int64_t>(0, next + 1) : next;
      const double value = *rc::gen::inRange(0, 5);
      series.store(time, value, StoreMode::Overwrite);
      model[time] = value;
    }
  }
  const std::int64_t start = *rc::gen::inRange<std::int64_t>(0, 25'000);
  const std::int64_t end = start + *rc::gen::inRange<std::int64_t>(0, 1000);
  for (const auto& [from, to] : {std::pair<std::int64_t, std::int64_t>(0, kMost), {start, end}}) {
    std::vector<std::int64_t> times;
    std::vector<double> values;
    for (auto at = model.lower_bound(from); at != model.end() && at->first <= to; ++at) {
      times.push_back(at->first);
      values.push_back(at->second);
    }
    const promql::SampleColumns found = series.read(from, to);
    RC_ASSERT(found.timestamps_ms == times);
    RC_ASSERT(found.values == values);
    RC_ASSERT(has_sample(series.record, from, to) == !times.empty());
  }
  // What a flush reads is the same.
  roll(series.record, series.context, series.generation + 1);
  SeriesColumns flushed;
  RC_ASSERT(read_sealed(sealed_before(series.record, series.generation + 1), flushed).has_value());
  RC_ASSERT(flushed.floats.timestamps_ms.size() == model.size());
  drop_sealed(series.record, series.context, series.generation + 1);
  RC_ASSERT(!has_data(series.record));
  RC_ASSERT(series.context.open_bytes == 0U);
  RC_ASSERT(series.context.sealed_bytes == 0U);
  RC_ASSERT(series.context.extra_bytes == 0U);
}

}  // namespace
}  // namespace gantry::metrics
