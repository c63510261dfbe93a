#include <algorithm>
#include <limits>
#include <string>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "metrics/encoding/testing/sample_data.h"
#include "metrics/encoding/testing/sample_histograms.h"
#include "metrics/encoding/value_block.h"
#include "metrics/part/block_window.h"
#include "metrics/part/part_reader.h"
#include "metrics/part/part_writer.h"
#include "metrics/part/testing/part_support.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

using storage::FaultyFileSystem;

constexpr std::int64_t kStart = 1'700'000'000'000;
constexpr std::int64_t kStep = 15'000;
constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

ModelSeries make_series(std::span<const double> values, std::int64_t first_ms = kStart,
                        std::int64_t step_ms = kStep) {
  ModelSeries series;
  for (std::size_t i = 0; i < values.size(); ++i) {
    series[first_ms + static_cast<std::int64_t>(i) * step_ms] = float_sample(values[i]);
  }
  return series;
}

/// As node_exporter's: a tenth CPU seconds, a third integer counters, gauges, much that is
/// constant.
Model make_node_exporter(std::size_t hosts, std::size_t series_per_host, std::size_t samples) {
  Random random(7);
  Model model;
  for (std::size_t host = 0; host < hosts; ++host) {
    const std::int64_t first = kStart + static_cast<std::int64_t>(random() % kStep);
    for (std::size_t i = 0; i < series_per_host; ++i) {
      std::vector<double> values;
      switch (i % 20) {
        case 0:
        case 1:
          values = make_decimal_counter(random, samples);
          break;
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
        case 9:
          values = make_counter(random, samples, 300);
          break;
        case 10:
        case 11:
          values = make_decimal_gauge(random, samples);
          break;
        case 12:
          values = make_byte_gauge(random, samples);
          break;
        case 13:
        case 14:
          values = make_steps(random, samples);
          break;
        default:
          values = make_constant(samples, static_cast<double>(random() % 100));
      }
      model[telemetry::make_labels({{"__name__", "node_metric_" + std::to_string(i / 4)},
                                    {"cpu", std::to_string(i % 4)},
                                    {"instance", "host-" + std::to_string(host) + ":9100"},
                                    {"job", "node"},
                                    {"mode", i % 2 == 0 ? "user" : "system"}})] =
          make_series(values, first);
    }
  }
  return model;
}

class PartTest : public testing::Test {
 protected:
  std::unique_ptr<PartReader> write(const Model& model, const PartWriterOptions& options = {}) {
    return write_part(files_, cache_, "/part" + std::to_string(count_++), model, options);
  }

  FaultyFileSystem files_;
  FrameCache cache_{16 << 20};
  int count_ = 0;
};

TEST_F(PartTest, AnEmptyPartHasNothing) {
  const auto part = write({});
  ASSERT_TRUE(part);
  EXPECT_EQ(part->summary().series_count, 0U);
  EXPECT_LT(part->summary().time_ms_max, part->summary().time_ms_min);
  EXPECT_TRUE(read_model(*part)->empty());
  PartReader::Scratch scratch;
  promql::SampleColumns out;
  EXPECT_EQ(part->read(0, 0, kAll, scratch, out).error().code, Code::OutOfRange);
}

TEST_F(PartTest, EverythingComesBack) {
  Random random(1);
  Model model;
  for (std::size_t i = 0; i < 200; ++i) {
    model[make_series_labels(i)] = make_series(make_bit_patterns(random, 1 + random() % 100));
  }
  model[{}] = make_series(std::vector<double>{1, 2, 3});
  for (const int level : {0, 1, 3}) {
    const auto part = write(model, {.level = 4, .compression_level = level});
    ASSERT_TRUE(part);
    const auto read = read_model(*part);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, model);
    EXPECT_EQ(part->summary().level, 4U);
    EXPECT_EQ(part->summary().series_count, model.size());
    EXPECT_TRUE(part->verify());
    EXPECT_FALSE(part->is_damaged());
  }
}

TEST_F(PartTest, HistogramsStartTimestampsAndMixedKindsComeBack) {
  Random random(2);
  Model model;
  ModelSeries& mixed = model[make_series_labels(1)];
  std::int64_t time = kStart;
  for (const auto& histogram : make_latency_histograms(random, 300)) {
    mixed[time += kStep] = {.start_ms = kStart - 5,
                            .histogram = std::make_shared<telemetry::NativeHistogram>(histogram)};
    if (random() % 50 == 0) mixed[time += kStep] = float_sample(telemetry::stale_nan());
  }
  for (const double value : make_counter(random, 3000, 10)) {
    mixed[time += kStep] = float_sample(value, time < kStart + 1'500 * kStep ? 0 : kStart);
  }
  const auto part = write(model);
  ASSERT_TRUE(part);
  const auto read = read_model(*part);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, model);
  EXPECT_EQ(part->summary().histogram_count, 300U);
  EXPECT_EQ(part->summary().sample_count, mixed.size());

  promql::SampleColumns out;
  PartReader::Scratch scratch;
  ASSERT_TRUE(part->read(0, 0, kAll, scratch, out));
  EXPECT_EQ(out.histograms.size(), 300U);
  EXPECT_EQ(out.histograms[7].start_timestamp_ms, kStart - 5);
  ASSERT_EQ(out.start_timestamps_ms.size(), out.values.size());
  EXPECT_EQ(out.start_timestamps_ms.front(), 0);
  EXPECT_EQ(out.start_timestamps_ms.back(), kStart);
}

TEST_F(PartTest, AnyTimeRangeGivesItsSamplesOnly) {
  Random random(3);
  const auto values = make_decimal_gauge(random, 5000);
  Model model;
  model[make_series_labels(1)] = make_series(values);
  const auto part = write(model);
  ASSERT_TRUE(part);
  EXPECT_GT(part->summary().block_count, 4U);
  PartReader::Scratch scratch;
  promql::SampleColumns out;
  for (int i = 0; i < 300; ++i) {
    const std::int64_t start = kStart + static_cast<std::int64_t>(random() % 5100) * kStep -
                               50 * kStep + static_cast<std::int64_t>(random() % 3) - 1;
    const std::int64_t end = start + static_cast<std::int64_t>(random() % 2000) * kStep;
    out = {};
    ASSERT_TRUE(part->read(0, start, end, scratch, out));
    const auto& series = model.begin()->second;
    const auto first = series.lower_bound(start);
    const auto last = series.upper_bound(end);
    ASSERT_EQ(out.values.size(), static_cast<std::size_t>(std::distance(first, last)));
    std::size_t at = 0;
    for (auto sample = first; sample != last; ++sample, ++at) {
      ASSERT_EQ(out.timestamps_ms[at], sample->first);
      ASSERT_EQ(std::bit_cast<std::uint64_t>(out.values[at]), sample->second.value_bits);
    }
    EXPECT_TRUE(out.start_timestamps_ms.empty());
  }
}

TEST_F(PartTest, ReadAppendsToWhatIsThere) {
  Model model;
  model[make_series_labels(1)] = make_series(std::vector<double>{1, 2, 3});
  const auto part = write(model);
  promql::SampleColumns out;
  PartReader::Scratch scratch;
  ASSERT_TRUE(part->read(0, 0, kStart, scratch, out));
  ASSERT_TRUE(part->read(0, kStart + kStep, kAll, scratch, out));
  EXPECT_EQ(out.values, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(out.timestamps_ms,
            (std::vector<std::int64_t>{kStart, kStart + kStep, kStart + 2 * kStep}));
}

TEST_F(PartTest, SeriesOfOneScrapeShareTheirTimeColumns) {
  const auto part = write(make_node_exporter(3, 100, 960));
  ASSERT_TRUE(part);
  // Three hosts, each with its own times, and at most two windows each.
  EXPECT_LE(part->summary().time_column_count, 6U);
  EXPECT_GE(part->summary().block_count, 300U);
}

TEST_F(PartTest, ALateSeriesSharesTheLaterColumns) {
  Model model;
  model[make_series_labels(1)] = make_series(std::vector<double>(4000, 1));
  model[make_series_labels(2)] = make_series(std::vector<double>(3700, 1), kStart + 300 * kStep);
  const auto part = write(model);
  const std::uint64_t blocks = part->summary().block_count;
  EXPECT_EQ(part->summary().time_column_count, blocks / 2 + 1) << "all but the first";
}

TEST_F(PartTest, TakesAboutAByteForASample) {
  const auto part = write(make_node_exporter(4, 100, 1920));
  ASSERT_TRUE(part);
  const PartSummary& summary = part->summary();
  const double bytes = static_cast<double>(summary.data_bytes + summary.index_bytes);
  EXPECT_LT(bytes / static_cast<double>(summary.sample_count), 1.1);
  EXPECT_LT(static_cast<double>(summary.index_bytes) / static_cast<double>(summary.series_count),
            60);
  RecordProperty("bytes_per_sample",
                 std::to_string(bytes / static_cast<double>(summary.sample_count)));
}

TEST_F(PartTest, EncodedBlocksAreKeptAsTheyAre) {
  FloatColumns columns{.timestamps_ms = {1000, 2000, 3000}, .values = {1, 2, 4}};
  std::vector<std::byte> times;
  std::vector<std::byte> values;
  storage::encode_timestamps(columns.timestamps_ms, times);
  encode_values(columns.values, values);
  ASSERT_TRUE(files_.create_directories("/own"));
  auto writer = PartWriter::create(files_, "/own", {});
  ASSERT_TRUE(writer);
  const auto labels = make_series_labels(1);
  ASSERT_TRUE((*writer)->begin_series(views_of(labels)));
  ASSERT_TRUE(
      (*writer)->add_floats(std::vector<std::int64_t>{10, 20}, std::vector<double>{0, 0}, {}));
  ASSERT_TRUE((*writer)->add_block({.sample_count = 3,
                                    .time_ms_min = 1000,
                                    .time_ms_max = 3000,
                                    .times = times,
                                    .values = values}));
  ASSERT_TRUE((*writer)->finish());
  const auto part = PartReader::open(files_, "/own", cache_);
  ASSERT_TRUE(part);
  PartReader::Scratch scratch;
  std::vector<BlockInfo> blocks;
  ASSERT_TRUE((*part)->blocks(0, scratch, blocks));
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[1].time_ms_min, 1000);
  const auto block = (*part)->block(blocks[1], scratch);
  ASSERT_TRUE(block);
  EXPECT_TRUE(std::ranges::equal(block->times, times));
  EXPECT_TRUE(std::ranges::equal(block->values, values));
}

TEST_F(PartTest, SeriesWithoutSamplesAreNotWritten) {
  Model model;
  model[make_series_labels(1)] = {};
  model[make_series_labels(2)] = make_series(std::vector<double>{1});
  const auto part = write(model);
  EXPECT_EQ(part->summary().series_count, 1U);
  model.erase(make_series_labels(1));
  EXPECT_EQ(*read_model(*part), model);
}

TEST_F(PartTest, ManySeriesSpanManyFrames) {
  Random random(5);
  Model model;
  for (std::size_t i = 0; i < 20'000; ++i) {
    model[make_series_labels(i)] =
        make_series(std::vector<double>{static_cast<double>(random() % 100), 2});
  }
  const auto part = write(model);
  EXPECT_EQ(*read_model(*part), model);
  EXPECT_LT(part->summary().index_bytes / part->summary().series_count, 30U);
}

TEST_F(PartTest, ScratchNoticesAChangeOfPart) {
  Model first;
  Model second;
  first[make_series_labels(1)] = make_series(std::vector<double>{1, 2, 3});
  second[make_series_labels(1)] = make_series(std::vector<double>{7, 8, 9}, kStart + 1);
  const auto a = write(first);
  const auto b = write(second);
  PartReader::Scratch scratch;
  for (int i = 0; i < 3; ++i) {
    promql::SampleColumns out;
    ASSERT_TRUE(a->read(0, 0, kAll, scratch, out));
    ASSERT_TRUE(b->read(0, 0, kAll, scratch, out));
    EXPECT_EQ(out.values, (std::vector<double>{1, 2, 3, 7, 8, 9}));
    EXPECT_EQ(out.timestamps_ms[3], kStart + 1);
  }
}

// Damage.

TEST_F(PartTest, EveryFlippedBitIsNoticedOrHarmless) {
  Model model;
  Random random(6);
  for (std::size_t i = 0; i < 20; ++i) {
    model[make_series_labels(i)] = make_series(make_decimal_gauge(random, 20));
  }
  const auto part = write(model);
  const storage::Path directory = part->directory();
  for (const char* name : {"index", "data"}) {
    const auto size = storage::read_file(files_, directory / name, 1 << 20)->size();
    for (std::size_t offset = 0; offset < size; offset += 3) {
      const auto bit = static_cast<std::uint8_t>(offset);
      ASSERT_TRUE(files_.corrupt(directory / name, offset, bit));
      FrameCache cache(1 << 20);
      const auto damaged = PartReader::open(files_, directory, cache);
      if (damaged) {
        const auto read = read_model(**damaged);
        ASSERT_FALSE(read) << name << " " << offset;
        EXPECT_EQ(read.error().code, Code::DataLoss);
        EXPECT_TRUE((*damaged)->is_damaged());
        EXPECT_FALSE((*damaged)->verify());
      } else {
        EXPECT_TRUE(damaged.error().code == Code::DataLoss ||
                    damaged.error().code == Code::FailedPrecondition);
      }
      ASSERT_TRUE(files_.corrupt(directory / name, offset, bit));
    }
  }
}

TEST_F(PartTest, AMissingFileIsDataLoss) {
  Model model;
  model[make_series_labels(1)] = make_series(std::vector<double>{1});
  for (const char* name : {"index", "data"}) {
    const storage::Path directory = write(model)->directory();
    ASSERT_TRUE(files_.remove(directory / name));
    const auto part = PartReader::open(files_, directory, cache_);
    ASSERT_FALSE(part);
    EXPECT_EQ(part.error().code, Code::DataLoss);
  }
}

TEST_F(PartTest, AFailingDiskIsNotTakenForDamage) {
  Model model;
  model[make_series_labels(1)] = make_series(std::vector<double>{1});
  const auto part = write(model);
  files_.inject({.operation = FaultyFileSystem::Operation::Read});
  PartReader::Scratch scratch;
  promql::SampleColumns out;
  const auto read = part->read(0, 0, kAll, scratch, out);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::Internal);
  EXPECT_FALSE(part->is_damaged());
  EXPECT_TRUE(part->read(0, 0, kAll, scratch, out)) << "and it is asked again";
}

TEST_F(PartTest, AFullDiskFailsTheWriter) {
  ASSERT_TRUE(files_.create_directories("/full"));
  files_.set_capacity(200);
  auto writer = PartWriter::create(files_, "/full", {});
  ASSERT_TRUE(writer);
  const auto labels = make_series_labels(1);
  ASSERT_TRUE((*writer)->begin_series(views_of(labels)));
  Random random(1);
  const auto values = make_noise(random, 100);
  std::vector<std::int64_t> times(100);
  for (std::size_t i = 0; i < 100; ++i) times[i] = static_cast<std::int64_t>(i);
  ASSERT_TRUE((*writer)->add_floats(times, values, {}));
  const auto finished = (*writer)->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::ResourceExhausted);
}

TEST(BlockWindowTest, IsTheLongestThatHoldsABlock) {
  struct Case {
    std::int64_t interval_ms;
    std::int64_t window_ms;
  };

  for (const Case& c : {Case{1'000, 900'000}, Case{10'000, 7'200'000}, Case{15'000, 14'400'000},
                        Case{30'000, 28'800'000}, Case{60'000, 28'800'000}, Case{1, 1'000}}) {
    std::vector<std::int64_t> times;
    for (std::int64_t i = 0; i < 20; ++i) times.push_back(kStart + i * c.interval_ms);
    EXPECT_EQ(choose_block_window(times), c.window_ms) << c.interval_ms;
    // A missed scrape changes nothing.
    for (std::size_t i = 10; i < times.size(); ++i) times[i] += c.interval_ms;
    EXPECT_EQ(choose_block_window(times), c.window_ms) << c.interval_ms;
  }
}

TEST(BlockWindowTest, EndsAfterTheTimeItHolds) {
  EXPECT_EQ(block_window_end(0, 1000), 1000);
  EXPECT_EQ(block_window_end(999, 1000), 1000);
  EXPECT_EQ(block_window_end(1000, 1000), 2000);
  EXPECT_EQ(block_window_end(-1, 1000), 0);
  EXPECT_EQ(block_window_end(-1000, 1000), 0);
  EXPECT_EQ(block_window_end(kAll - 1, 1000), kAll);
}

RC_GTEST_PROP(PartProperty, AnyModelComesBack, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  FaultyFileSystem files;
  FrameCache cache(1 << 16);
  Model model;
  for (std::size_t i = random() % 30; i > 0; --i) {
    ModelSeries& series = model[make_series_labels(random() % 1000)];
    std::int64_t time = static_cast<std::int64_t>(random() >> 1) >> random() % 60;
    for (std::size_t n = random() % 200; n > 0; --n) {
      time += 1 + static_cast<std::int64_t>(random() % 100'000);
      if (random() % 30 == 0) {
        series[time].histogram =
            std::make_shared<telemetry::NativeHistogram>(make_any_histograms(random, 1)[0]);
      } else {
        series[time] =
            float_sample(std::bit_cast<double>(random()), random() % 10 == 0 ? time - 1 : 0);
      }
    }
  }
  std::erase_if(model, [](const auto& series) { return series.second.empty(); });
  const auto part = write_part(files, cache, "/part", model);
  const auto read = read_model(*part);
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == model);
}

}  // namespace
}  // namespace gantry::metrics
