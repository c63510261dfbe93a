#include "metrics/sample_slice.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/arena.h"
#include "metrics/testing/store_fixture.h"
#include "telemetry/sample.h"

namespace gantry::metrics {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

/// What pages brought, by the series' text.
struct Got {
  std::map<std::string, Points> floats;
  std::map<std::string, std::vector<std::pair<std::int64_t, double>>> histogram_counts;
  std::vector<std::vector<std::string>> pages;  ///< The series of each.
  std::vector<std::int64_t> positions_ms;
};

class SampleSliceTest : public StoreFixture {
 protected:
  static std::string text_of(const telemetry::MetricBatch& batch, std::uint32_t series) {
    core::Arena arena;
    std::vector<telemetry::LabelView> views;
    EXPECT_TRUE(batch.resolver->resolve(series, arena, views));
    std::vector<telemetry::Label> labels;
    for (const auto& [name, value] : views)
      labels.push_back({.name = std::string(name), .value = std::string(value)});
    return telemetry::format_series(telemetry::make_labels(std::move(labels)));
  }

  static void keep(const telemetry::MetricBatch& batch, Got& got) {
    std::vector<std::string> page;
    for (std::uint32_t i = 0; i < batch.series.size(); ++i) page.push_back(text_of(batch, i));
    for (const auto& sample : batch.samples)
      got.floats[page.at(sample.series)].emplace_back(sample.timestamp_ms, sample.value);
    for (const auto& sample : batch.histograms)
      got.histogram_counts[page.at(sample.series)].emplace_back(
          sample.timestamp_ms, telemetry::to_float(sample.histogram).count);
    if (!page.empty()) got.pages.push_back(std::move(page));
  }

  /// From page to page as after a crash: with nothing but the position.
  Got read_range(std::int64_t start_ms, std::int64_t end_ms, std::size_t bytes_max) {
    Got got;
    SamplePosition position{.slice_ms = start_ms};
    telemetry::MetricBatch batch;
    while (position.slice_ms < end_ms) {
      auto slice = open_sample_slice(store_->source(), {}, {.after = position, .end_ms = end_ms},
                                     CancelToken());
      EXPECT_TRUE(slice) << slice.error().message;
      const auto page = (*slice)->read(position, bytes_max, CancelToken(), batch);
      EXPECT_TRUE(page) << page.error().message;
      if (!page || page->last <= position) {
        ADD_FAILURE() << "it does not come further";
        break;
      }
      EXPECT_EQ(page->is_last, page->last.group == 0);
      keep(batch, got);
      position = page->last;
      got.positions_ms.push_back(position.slice_ms);
    }
    EXPECT_EQ(position, (SamplePosition{.slice_ms = end_ms}));
    return got;
  }
};

TEST_F(SampleSliceTest, BringsEachSampleOfTheRangeOnceInOrder) {
  open();
  TestBatch batch;
  for (int series = 0; series < 30; ++series)
    for (std::int64_t time = kTestNowMs - 3 * kHourMs + series; time < kTestNowMs;
         time += 7 * kMinuteMs)
      batch.add(numbered_series(static_cast<std::uint64_t>(series)), time,
                static_cast<double>(time % 1000));
  append(batch);
  ASSERT_TRUE(store_->flush());
  TestBatch late;
  late.add(numbered_series(3), kTestNowMs - 5 * kMinuteMs - 1, -1);
  append(late);
  const std::int64_t start = kTestNowMs - 2 * kHourMs;
  const std::int64_t end = kTestNowMs - 7 * kMinuteMs;
  const auto expected = read_metric(store_->source(), "m", start, end - 1);
  ASSERT_EQ(expected.size(), 30U);
  const Got small = read_range(start, end, 100);
  EXPECT_EQ(small.floats, expected);
  EXPECT_GT(small.pages.size(), 60U);
  EXPECT_EQ(read_range(start, end, kUnbounded).floats, expected);
  EXPECT_TRUE(std::ranges::is_sorted(small.positions_ms));
}

TEST_F(SampleSliceTest, HasHistogramsAndStaleMarkers) {
  open();
  const auto gone = make_test_labels({{"__name__", "gone"}});
  const auto took = make_test_labels({{"__name__", "took"}});
  TestBatch batch;
  batch.add(gone, kTestNowMs - 2000, 5).add(gone, kTestNowMs - 1000, telemetry::stale_nan());
  batch.add(took, kTestNowMs - 2000, test_histogram(4)).add(took, kTestNowMs - 1000, 7);
  append(batch);
  const Got got = read_range(kTestNowMs - kHourMs, kTestNowMs, kUnbounded);
  const Points& points = got.floats.at(telemetry::format_series(gone));
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].second, 5);
  EXPECT_TRUE(telemetry::is_stale_nan(points[1].second));
  EXPECT_EQ(got.histogram_counts.at(telemetry::format_series(took)),
            (Points{{kTestNowMs - 2000, 9}}));
  EXPECT_EQ(got.floats.at(telemetry::format_series(took)), (Points{{kTestNowMs - 1000, 7}}));
}

TEST_F(SampleSliceTest, HasStartTimestamps) {
  open();
  TestBatch batch;
  batch.add(numbered_series(1), kTestNowMs - 2000, 1).add(numbered_series(1), kTestNowMs - 1000, 2);
  batch.add(numbered_series(2), kTestNowMs - 2000, 5, kTestNowMs - 9000)
      .add(numbered_series(2), kTestNowMs - 1000, 6);
  const auto took = make_test_labels({{"__name__", "took"}});
  batch.add(took, kTestNowMs - 1000, test_histogram(4), kTestNowMs - 8000);
  append(batch);
  const SamplePosition start{.slice_ms = kTestNowMs - kMinuteMs};
  const auto slice = open_sample_slice(store_->source(), {}, {.after = start, .end_ms = kTestNowMs},
                                       CancelToken());
  ASSERT_TRUE(slice);
  telemetry::MetricBatch page;
  ASSERT_TRUE((*slice)->read(start, kUnbounded, CancelToken(), page));
  ASSERT_EQ(page.samples.size(), 4U);
  ASSERT_EQ(page.start_timestamps_ms.size(), 4U);
  for (std::size_t i = 0; i < page.samples.size(); ++i)
    EXPECT_EQ(page.start_timestamps_ms[i], page.samples[i].value == 5 ? kTestNowMs - 9000 : 0)
        << page.samples[i].value;
  ASSERT_EQ(page.histograms.size(), 1U);
  EXPECT_EQ(page.histograms[0].start_timestamp_ms, kTestNowMs - 8000);
}

TEST_F(SampleSliceTest, HasTheExemplarsOfItsTime) {
  open();
  TestBatch batch;
  for (const int series : {1, 2})
    for (const std::int64_t age_ms : {kHourMs, std::int64_t{2000}, std::int64_t{1000}})
      batch.add(numbered_series(static_cast<std::uint64_t>(series)), kTestNowMs - age_ms, series);
  for (const std::int64_t age_ms : {kHourMs, std::int64_t{1500}, std::int64_t{500}})
    batch.add_exemplar(numbered_series(2), kTestNowMs - age_ms, static_cast<double>(age_ms), "abc");
  append(batch);
  const SamplePosition start{.slice_ms = kTestNowMs - kMinuteMs};
  const auto slice = open_sample_slice(store_->source(), {},
                                       {.after = start, .end_ms = kTestNowMs - 600}, CancelToken());
  ASSERT_TRUE(slice);
  telemetry::MetricBatch page;
  ASSERT_TRUE((*slice)->read(start, kUnbounded, CancelToken(), page));
  ASSERT_EQ(page.exemplars.size(), 1U);
  const telemetry::Exemplar& exemplar = page.exemplars[0];
  EXPECT_EQ(text_of(page, exemplar.series), telemetry::format_series(numbered_series(2)));
  EXPECT_EQ(exemplar.timestamp_ms, kTestNowMs - 1500);
  EXPECT_EQ(exemplar.value, 1500);
  ASSERT_EQ(exemplar.labels.size(), 1U);
  EXPECT_EQ(exemplar.labels[0].value, "abc");
}

TEST_F(SampleSliceTest, KeepsTheSeriesOfAHistogramTogether) {
  open();
  TestBatch batch;
  for (const std::string_view zone : {"a", "b", "c"}) {
    for (const std::string_view bound : {"0.5", "1", "+Inf"})
      batch.add(make_test_labels({{"__name__", "h_bucket"}, {"le", bound}, {"zone", zone}}),
                kTestNowMs - 1000, 1);
    batch.add(make_test_labels({{"__name__", "h_sum"}, {"zone", zone}}), kTestNowMs - 1000, 1);
    batch.add(make_test_labels({{"__name__", "h_count"}, {"zone", zone}}), kTestNowMs - 1000, 1);
  }
  append(batch);
  const Got got = read_range(kTestNowMs - kMinuteMs, kTestNowMs, 1);
  ASSERT_EQ(got.pages.size(), 3U);
  for (const auto& page : got.pages) EXPECT_EQ(page.size(), 5U);
}

TEST_F(SampleSliceTest, FindsTheFirstSampleYearsBehindTheStart) {
  open();
  TestBatch batch;
  batch.add(numbered_series(1), kTestNowMs - 5 * kHourMs, 1);
  batch.add(numbered_series(1), kTestNowMs - kHourMs, 2);
  append(batch);
  const Got got = read_range(0, kTestNowMs, kUnbounded);
  EXPECT_EQ(got.floats.begin()->second,
            (Points{{kTestNowMs - 5 * kHourMs, 1}, {kTestNowMs - kHourMs, 2}}));
  EXPECT_LE(got.positions_ms.size(), 3U) << "of the empty slices none is looked at";
}

TEST_F(SampleSliceTest, WithoutSamplesThereIsOneEmptyPage) {
  open();
  const Got got = read_range(kTestNowMs - kHourMs, kTestNowMs, kUnbounded);
  EXPECT_TRUE(got.pages.empty());
  EXPECT_EQ(got.positions_ms, std::vector{kTestNowMs});
}

TEST_F(SampleSliceTest, SaysWhatIsKnownOfFamilies) {
  open();
  TestBatch batch;
  batch.add(make_test_labels({{"__name__", "h_bucket"}, {"le", "1"}}), kTestNowMs - 1000, 1);
  batch.add(make_test_labels({{"__name__", "work_total"}}), kTestNowMs - 1000, 1);
  append(batch);
  const DescribeFamily describe = [](std::string_view family) -> std::vector<MetadataEntry> {
    if (family == "h") return {{.type = "histogram", .help = "How long.", .unit = "s"}};
    if (family == "work_total") return {{.type = "counter", .help = "", .unit = ""}};
    return {};
  };
  const auto slice = open_sample_slice(
      store_->source(), describe,
      {.after = {.slice_ms = kTestNowMs - kMinuteMs}, .end_ms = kTestNowMs}, CancelToken());
  ASSERT_TRUE(slice);
  telemetry::MetricBatch page;
  ASSERT_TRUE(
      (*slice)->read({.slice_ms = kTestNowMs - kMinuteMs}, kUnbounded, CancelToken(), page));
  std::map<std::string_view, std::tuple<telemetry::MetricType, std::string_view, std::string_view>>
      known;
  for (const auto& entry : page.metadata)
    known[entry.family] = {entry.type, entry.help, entry.unit};
  EXPECT_EQ(known.size(), 2U);
  EXPECT_EQ(known.at("h"), (std::tuple{telemetry::MetricType::Histogram, "How long.", "s"}));
  EXPECT_EQ(known.at("work_total"), (std::tuple{telemetry::MetricType::Counter, "", ""}));
}

TEST_F(SampleSliceTest, EndsWhenItIsCancelled) {
  open();
  TestBatch batch;
  batch.add(numbered_series(1), kTestNowMs - 1000, 1);
  append(batch);
  const SamplePosition start{.slice_ms = kTestNowMs - kMinuteMs};
  const auto slice = open_sample_slice(store_->source(), {}, {.after = start, .end_ms = kTestNowMs},
                                       CancelToken());
  ASSERT_TRUE(slice);
  CancelToken cancel;
  cancel.cancel();
  telemetry::MetricBatch page;
  EXPECT_EQ((*slice)->read(start, kUnbounded, cancel, page).error().code, Code::Cancelled);
}

}  // namespace
}  // namespace gantry::metrics
