#include "metrics/part/part_merge.h"

#include <algorithm>
#include <limits>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "metrics/encoding/testing/sample_data.h"
#include "metrics/encoding/testing/sample_histograms.h"
#include "metrics/part/testing/part_support.h"

namespace gantry::metrics {
namespace {

using storage::FaultyFileSystem;

class PartMergeTest : public testing::Test {
 protected:
  std::unique_ptr<PartReader> write(const Model& model) {
    return write_part(files_, cache_, "/part" + std::to_string(count_++), model);
  }

  /// Merges the models as parts, oldest first.
  std::unique_ptr<PartReader> merge(std::span<const Model> models,
                                    const MergeOptions& options = {}) {
    std::vector<std::unique_ptr<PartReader>> parts;
    std::vector<const PartReader*> inputs;
    for (const Model& model : models) {
      parts.push_back(write(model));
      inputs.push_back(parts.back().get());
    }
    const storage::Path directory = "/merged" + std::to_string(count_++);
    EXPECT_TRUE(files_.create_directories(directory));
    auto writer = PartWriter::create(files_, directory, {.level = 1});
    EXPECT_TRUE(writer);
    const auto merged = merge_parts(inputs, options, **writer);
    EXPECT_TRUE(merged) << merged.error().message;
    EXPECT_TRUE((*writer)->finish());
    auto reader = PartReader::open(files_, directory, cache_);
    EXPECT_TRUE(reader);
    return *std::move(reader);
  }

  FaultyFileSystem files_;
  FrameCache cache_{16 << 20};
  int count_ = 0;
};

/// What a merge must come to: the later model wins.
Model overlay(std::span<const Model> models) {
  Model result;
  for (const Model& model : models) {
    for (const auto& [labels, series] : model) {
      for (const auto& [time, sample] : series) result[labels][time] = sample;
    }
  }
  return result;
}

Model make_flush(std::size_t series_count, std::int64_t first_ms, std::size_t samples,
                 double value) {
  Model model;
  for (std::size_t i = 0; i < series_count; ++i) {
    for (std::size_t n = 0; n < samples; ++n) {
      model[make_series_labels(i)][first_ms + static_cast<std::int64_t>(n) * 15'000] =
          float_sample(value + static_cast<double>(n));
    }
  }
  return model;
}

TEST_F(PartMergeTest, FlushesOfADayBecomeFewLargeBlocks) {
  std::vector<Model> flushes;
  for (int i = 0; i < 48; ++i) flushes.push_back(make_flush(10, i * 600'000, 40, i));
  const auto merged = merge(flushes);
  EXPECT_EQ(*read_model(*merged), overlay(flushes));
  EXPECT_EQ(merged->summary().sample_count, 48U * 40 * 10);
  EXPECT_EQ(merged->summary().block_count, 20U) << "two windows of four hours each";
  EXPECT_EQ(merged->summary().time_column_count, 2U);
  EXPECT_EQ(merged->summary().level, 1U);
}

TEST_F(PartMergeTest, TheLaterPartWinsAtEqualTimes) {
  const std::vector<Model> models = {make_flush(3, 0, 100, 1),
                                     make_flush(3, 15'000 * 50, 100, 1000),
                                     make_flush(2, 15'000 * 70, 10, -5)};
  const auto merged = merge(models);
  EXPECT_EQ(*read_model(*merged), overlay(models));
}

TEST_F(PartMergeTest, AHistogramMayReplaceAFloatAndTheOtherWay) {
  Random random(1);
  const auto histograms = make_latency_histograms(random, 20);
  std::vector<Model> models = {make_flush(2, 0, 60, 1), {}, make_flush(1, 15'000 * 12, 3, 500)};
  std::int64_t time = 15'000 * 5;
  for (const auto& histogram : histograms) {
    models[1][make_series_labels(0)][time += 15'000] = {
        .start_ms = 17, .histogram = std::make_shared<telemetry::NativeHistogram>(histogram)};
  }
  const auto merged = merge(models);
  EXPECT_EQ(*read_model(*merged), overlay(models));
}

TEST_F(PartMergeTest, LargeBlocksAreCopiedAsTheyAre) {
  const std::vector<Model> models = {make_flush(2, 0, 960, 1), make_flush(2, 14'400'000, 960, 7)};
  const auto first = write(models[0]);
  PartReader::Scratch scratch;
  std::vector<BlockInfo> before;
  ASSERT_TRUE(first->blocks(0, scratch, before));
  const auto merged = merge(models);
  std::vector<BlockInfo> after;
  ASSERT_TRUE(merged->blocks(0, scratch, after));
  ASSERT_EQ(after.size(), 2U);
  EXPECT_EQ(after[0].value_bytes, before[0].value_bytes);
  EXPECT_EQ(*read_model(*merged), overlay(models));
}

TEST_F(PartMergeTest, TombstonesLeaveOutWhatTheySay) {
  const std::vector<Model> models = {make_flush(8, 0, 960, 1), make_flush(8, 14'400'000, 100, 7)};
  MergeOptions options;
  options.tombstones = [](std::span<const telemetry::LabelView> labels,
                          std::vector<TimeRange>& deleted) {
    if (labels[0].value == "metric_0") deleted.push_back({0, 1LL << 50});
    if (labels[0].value != "metric_1") return;
    deleted.push_back({15'000 * 100, 15'000 * 200 - 1});
    deleted.push_back({15'000 * 150, 15'000 * 250});
    deleted.push_back({14'400'000 + 5, 14'400'000 - 5});
  };
  Model expected = overlay(models);
  for (auto& [labels, series] : expected) {
    const std::string name(telemetry::find_label(labels, "__name__"));
    std::erase_if(series, [&](const auto& sample) {
      return name == "metric_0" ||
             (name == "metric_1" && sample.first >= 15'000 * 100 && sample.first <= 15'000 * 250);
    });
  }
  std::erase_if(expected, [](const auto& series) { return series.second.empty(); });
  const auto merged = merge(models, options);
  EXPECT_EQ(*read_model(*merged), expected);
}

TEST_F(PartMergeTest, CancelStopsBetweenSeries) {
  const auto part = write(make_flush(5, 0, 10, 1));
  ASSERT_TRUE(files_.create_directories("/cancelled"));
  auto writer = PartWriter::create(files_, "/cancelled", {});
  MergeOptions options;
  int series = 0;
  options.progress = [&](std::uint64_t) {
    if (++series == 2) options.cancel.cancel();
  };
  const PartReader* input = part.get();
  const auto merged = merge_parts({&input, 1}, options, **writer);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::Cancelled);
  EXPECT_EQ(series, 2);
}

TEST_F(PartMergeTest, DamageInAnInputIsReportedAsThatInputs) {
  const auto good = write(make_flush(5, 0, 100, 1));
  Random random(3);
  Model noisy;
  for (const double value : make_noise(random, 100)) {
    noisy[make_series_labels(1)][static_cast<std::int64_t>(noisy[make_series_labels(1)].size())] =
        float_sample(value);
  }
  const auto bad = write(noisy);
  ASSERT_TRUE(files_.corrupt(bad->directory() / "data", 100, 1));
  ASSERT_TRUE(files_.create_directories("/out"));
  auto writer = PartWriter::create(files_, "/out", {});
  const std::vector<const PartReader*> inputs = {good.get(), bad.get()};
  const auto merged = merge_parts(inputs, {}, **writer);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::DataLoss);
  EXPECT_FALSE(good->is_damaged());
  EXPECT_TRUE(bad->is_damaged());
}

RC_GTEST_PROP(PartMergeProperty, AnyPartsMergeToTheirOverlayInAnyGrouping, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  FaultyFileSystem files;
  FrameCache cache(1 << 20);
  std::vector<Model> models(1 + random() % 4);
  for (Model& model : models) {
    for (std::size_t i = random() % 6; i > 0; --i) {
      ModelSeries& series = model[make_series_labels(random() % 8)];
      std::int64_t time = static_cast<std::int64_t>(random() % 1'000'000);
      for (std::size_t n = 1 + random() % 700; n > 0; --n) {
        series[time += 15'000] =
            float_sample(static_cast<double>(random() % 1000), random() % 3 == 0 ? time : 0);
      }
    }
  }
  std::vector<std::unique_ptr<PartReader>> parts;
  int count = 0;
  for (const Model& model : models) {
    parts.push_back(write_part(files, cache, "/p" + std::to_string(count++), model));
  }
  // Neighbours merged in a random order come to the same as all at once.
  while (parts.size() > 1 || count < 100) {
    const std::size_t first = parts.size() > 1 ? random() % (parts.size() - 1) : 0;
    const std::size_t width = std::min<std::size_t>(parts.size() - first, 1 + random() % 3);
    std::vector<const PartReader*> inputs;
    for (std::size_t i = first; i < first + width; ++i) inputs.push_back(parts[i].get());
    const storage::Path directory = "/m" + std::to_string(count);
    RC_ASSERT(files.create_directories(directory).has_value());
    auto writer = PartWriter::create(files, directory, {});
    RC_ASSERT(merge_parts(inputs, {}, **writer).has_value());
    RC_ASSERT((*writer)->finish().has_value());
    parts[first] = *PartReader::open(files, directory, cache);
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                parts.begin() + static_cast<std::ptrdiff_t>(first + width));
    count += parts.size() == 1 ? 100 : 1;
  }
  RC_ASSERT(*read_model(*parts[0]) == overlay(models));
}

}  // namespace
}  // namespace gantry::metrics
