// Deletion, retention, merging, quarantine, and what survives a restart beside samples.

#include <thread>

#include <gtest/gtest.h>

#include "metrics/testing/store_fixture.h"

namespace gantry::metrics {
namespace {

using promql::MatchOp;

constexpr std::int64_t kAll = std::int64_t{1} << 60;
constexpr std::int64_t kHour = 3'600'000;

const telemetry::Labels kA = make_test_labels({{"__name__", "m"}, {"series", "a"}});
const telemetry::Labels kB = make_test_labels({{"__name__", "m"}, {"series", "b"}});

class StoreMaintenanceTest : public StoreFixture {
 protected:
  Points points(const std::string& series) {
    return read_metric(store_->source(), "m", -kAll, kAll)["m{series=\"" + series + "\"}"];
  }

  void erase(std::int64_t start_ms, std::int64_t end_ms, const std::string& series = "a") {
    const promql::Matcher matchers[] = {matcher(MatchOp::Equal, "series", series)};
    const auto done = store_->delete_series(matchers, start_ms, end_ms);
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  }

  /// Samples 1, 2, … of both series, a second apart, ending at `end_ms`.
  void fill(std::int64_t end_ms, int count) {
    TestBatch batch;
    for (int i = 0; i < count; ++i) {
      const std::int64_t time = end_ms - (count - 1 - i) * 1000LL;
      batch.add(kA, time, i + 1).add(kB, time, i + 1);
    }
    append(batch);
  }
};

TEST_F(StoreMaintenanceTest, DeletedSamplesAreHiddenAtOnceAndStayAway) {
  open();
  fill(kTestNowMs, 4);
  ASSERT_TRUE(store_->flush());
  fill(kTestNowMs + 4000, 4);
  // One sample in the part, one in the head.
  erase(kTestNowMs, kTestNowMs + 1000);
  const Points expected{{kTestNowMs - 3000, 1}, {kTestNowMs - 2000, 2}, {kTestNowMs - 1000, 3},
                        {kTestNowMs + 2000, 2}, {kTestNowMs + 3000, 3}, {kTestNowMs + 4000, 4}};
  EXPECT_EQ(points("a"), expected);
  EXPECT_EQ(points("b").size(), 8U);
  open();
  EXPECT_EQ(points("a"), expected);
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(points("a"), expected);
  ASSERT_TRUE(store_->clean_tombstones());
  EXPECT_EQ(points("a"), expected);
  EXPECT_EQ(store_->parts()[0].sample_count, 7U);
  open();
  EXPECT_EQ(points("a"), expected);
  ASSERT_TRUE(store_->merge_all());
  EXPECT_EQ(points("a"), expected);
  EXPECT_EQ(points("b").size(), 8U);
}

TEST_F(StoreMaintenanceTest, WhatIsWrittenAgainAfterADeletionStays) {
  open();
  fill(kTestNowMs, 2);
  ASSERT_TRUE(store_->flush());
  erase(-kAll, kAll);
  EXPECT_TRUE(points("a").empty());
  append(TestBatch().add(kA, kTestNowMs, 7));
  EXPECT_EQ(points("a"), (Points{{kTestNowMs, 7}}));
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(points("a"), (Points{{kTestNowMs, 7}}));
  ASSERT_TRUE(store_->merge_all());
  EXPECT_EQ(points("a"), (Points{{kTestNowMs, 7}}));
  EXPECT_EQ(store_->parts().size(), 1U);
}

TEST_F(StoreMaintenanceTest, TheNewestSampleCanBeWrittenAgainAfterItsDeletion) {
  open();
  fill(kTestNowMs, 2);
  erase(kTestNowMs, kTestNowMs);
  EXPECT_EQ(points("a"), (Points{{kTestNowMs - 1000, 1}}));
  // The same value as before: it must not pass for a retry.
  append(TestBatch().add(kA, kTestNowMs, 2));
  EXPECT_EQ(points("a"), (Points{{kTestNowMs - 1000, 1}, {kTestNowMs, 2}}));
  open();
  EXPECT_EQ(points("a"), (Points{{kTestNowMs - 1000, 1}, {kTestNowMs, 2}}));
}

TEST_F(StoreMaintenanceTest, DeletedSeriesAreForgottenByNamesAndValues) {
  open();
  fill(kTestNowMs, 2);
  ASSERT_TRUE(store_->flush());
  erase(-kAll, kAll);
  ASSERT_TRUE(store_->clean_tombstones());
  const auto values = store_->source().label_values("series", {}, -kAll, kAll, 0, CancelToken());
  ASSERT_TRUE(values.has_value());
  EXPECT_EQ(values->values, (std::vector<std::string>{"b"}));
  // A collected series comes back under a new id.
  append(TestBatch().add(kA, kTestNowMs, 5));
  EXPECT_EQ(points("a"), (Points{{kTestNowMs, 5}}));
}

TEST_F(StoreMaintenanceTest, RetentionByAgeDropsWholeDays) {
  StoreOptions options;
  options.retention = {kDayMs};
  open(options);
  fill(kTestDayMs - 1, 2);
  fill(kTestNowMs, 2);
  ASSERT_TRUE(store_->flush());
  store_->maintain();
  EXPECT_EQ(store_->parts().size(), 2U);
  clock_.advance({12 * kHour});
  store_->maintain();
  ASSERT_EQ(store_->parts().size(), 1U);
  EXPECT_EQ(store_->parts()[0].time_ms_max, kTestNowMs);
  EXPECT_EQ(points("a").size(), 2U);
  EXPECT_FALSE(*files_.exists("/data/metrics/partitions/2026-11-20/000000000001"));
}

TEST_F(StoreMaintenanceTest, RetentionBySizeDropsTheOldestButNeverTheLastDay) {
  StoreOptions options;
  options.retention_bytes = 1;
  open(options);
  fill(kTestDayMs - 1, 2);
  fill(kTestNowMs, 2);
  ASSERT_TRUE(store_->flush());
  store_->maintain();
  ASSERT_EQ(store_->parts().size(), 1U);
  EXPECT_EQ(store_->parts()[0].time_ms_max, kTestNowMs);
}

TEST_F(StoreMaintenanceTest, SeriesOfDroppedDaysAreCollected) {
  StoreOptions options;
  options.retention = {kDayMs};
  open(options);
  append(TestBatch().add(numbered_series(1), kTestDayMs - 1, 1));
  append(TestBatch().add(numbered_series(2), kTestNowMs, 1));
  ASSERT_TRUE(store_->flush());
  clock_.advance({12 * kHour});
  store_->maintain();
  const auto values = store_->source().label_values("series", {}, -kAll, kAll, 0, CancelToken());
  ASSERT_TRUE(values.has_value());
  EXPECT_EQ(values->values, (std::vector<std::string>{"2"}));
}

TEST_F(StoreMaintenanceTest, MergesKeepEverySampleAndFewParts) {
  StoreOptions options;
  options.out_of_order_window = {24 * kHour};
  open(options);
  Points expected;
  for (int i = 0; i < 40; ++i) {
    const std::int64_t time = kTestNowMs - (40 - i) * 600'000LL;
    append(TestBatch().add(kA, time, i));
    expected.emplace_back(time, i);
    ASSERT_TRUE(store_->flush());
    store_->maintain();
    EXPECT_LT(store_->parts().size(), 12U);
  }
  EXPECT_EQ(points("a"), expected);
  clock_.advance({16 * kHour});
  store_->maintain();
  EXPECT_EQ(store_->parts().size(), 1U);  // the day is over
  EXPECT_EQ(points("a"), expected);
  open(options);
  EXPECT_EQ(points("a"), expected);
}

TEST_F(StoreMaintenanceTest, MergesFinishWhileAQueryRuns) {
  open();
  for (int i = 0; i < 6; ++i) {
    fill(kTestNowMs + i * 60'000LL, 30);
    ASSERT_TRUE(store_->flush());
  }
  ASSERT_EQ(store_->parts().size(), 6U);
  const promql::Matcher matchers[] = {matcher(MatchOp::Equal, "series", "a")};
  const auto running = store_->source().select(
      {.matchers = matchers, .start_ms = -kAll, .end_ms = kAll}, CancelToken());
  ASSERT_TRUE(running);
  store_->maintain();
  EXPECT_LT(store_->parts().size(), 6U);
  EXPECT_EQ(points("a").size(), 180U);
}

TEST_F(StoreMaintenanceTest, AMergeThatWaitsForItsBudgetEndsWithTheStore) {
  StoreOptions options;
  options.merge_bytes_per_second_max = 1;
  open(options);
  for (int i = 0; i < 6; ++i) {
    fill(kTestNowMs + i * 60'000LL, 30);
    ASSERT_TRUE(store_->flush());
  }
  std::jthread merging([this] { store_->maintain(); });
  ASSERT_TRUE(store_->close());
  merging.join();
  EXPECT_EQ(store_->parts().size(), 6U);
  // Who asks for a merge by hand does not wait.
  open(options);
  ASSERT_TRUE(store_->merge_all());
  EXPECT_EQ(store_->parts().size(), 1U);
  EXPECT_EQ(points("a").size(), 180U);
}

TEST_F(StoreMaintenanceTest, MergedAwayDirectoriesAreRemovedOnceNobodyReadsThem) {
  open();
  fill(kTestNowMs, 2);
  ASSERT_TRUE(store_->flush());
  const promql::Matcher matchers[] = {matcher(MatchOp::Equal, "__name__", "m")};
  auto set =
      store_->source().select({.matchers = matchers, .start_ms = 0, .end_ms = kAll}, CancelToken());
  ASSERT_TRUE(set.has_value());
  fill(kTestNowMs + 2000, 2);
  ASSERT_TRUE(store_->flush());
  ASSERT_TRUE(store_->merge_all());
  const storage::Path first = "/data/metrics/partitions/2026-11-21/000000000001";
  EXPECT_TRUE(*files_.exists(first));
  set->reset();
  store_->maintain();
  EXPECT_FALSE(*files_.exists(first));
}

TEST_F(StoreMaintenanceTest, ADamagedPartIsSetAsideAndTheRestIsServedWithAWarning) {
  open();
  fill(kTestDayMs - 1000, 200);
  fill(kTestNowMs, 2);
  ASSERT_TRUE(store_->flush());
  ASSERT_EQ(store_->parts().size(), 2U);
  store_.reset();
  const storage::Path damaged = "/data/metrics/partitions/2026-11-20/000000000001";
  const auto entries = files_.list(damaged);
  ASSERT_TRUE(entries.has_value());
  for (const auto& entry : *entries) {
    ASSERT_TRUE(files_.corrupt(damaged / entry.name, entry.size_bytes / 3, 3));
  }
  const auto expect_rest = [&] {
    const promql::Matcher matchers[] = {matcher(MatchOp::Equal, "__name__", "m")};
    const auto set = store_->source().select(
        {.matchers = matchers, .start_ms = -kAll, .end_ms = kAll}, CancelToken());
    ASSERT_TRUE(set.has_value()) << set.error().message;
    promql::SampleColumns columns;
    std::size_t count = 0;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      ASSERT_TRUE((*set)->read(i, -kAll, kAll, columns));
      count += columns.values.size();
    }
    EXPECT_EQ(count, 4U);
    ASSERT_EQ((*set)->warnings().size(), 1U);
    EXPECT_NE((*set)->warnings()[0].find("partitions/2026-11-20/000000000001"), std::string::npos);
  };
  open();
  expect_rest();
  store_->maintain();
  expect_rest();
  EXPECT_EQ(store_->parts().size(), 1U);
  EXPECT_TRUE(*files_.exists("/data/metrics/quarantine/000000000001"));
  open();
  expect_rest();
}

TEST_F(StoreMaintenanceTest, ExemplarsAndMetadataSurviveRestartsWithAndWithoutFlush) {
  open();
  TestBatch batch;
  batch.add(kA, kTestNowMs, 1)
      .add_exemplar(kA, kTestNowMs, 0.5, "abc")
      .add_metadata("m", telemetry::MetricType::Counter, "Help of m.");
  const auto result = append(batch);
  EXPECT_EQ(result.exemplars_written, 1U);
  EXPECT_EQ(result.metadata_written, 1U);
  const auto check = [&](std::size_t exemplar_count) {
    const std::vector<promql::Matcher> selectors[] = {{matcher(MatchOp::Equal, "__name__", "m")}};
    const auto found = store_->source().exemplars(selectors, 0, kAll, CancelToken());
    ASSERT_TRUE(found.has_value());
    ASSERT_EQ(found->size(), 1U);
    ASSERT_EQ((*found)[0].points.size(), exemplar_count);
    EXPECT_EQ((*found)[0].points[0].labels[0].second, "abc");
    const auto metadata = store_->metadata("");
    ASSERT_EQ(metadata.size(), 1U);
    EXPECT_EQ(metadata[0].first, "m");
    EXPECT_EQ(metadata[0].second[0].type, "counter");
    EXPECT_EQ(metadata[0].second[0].help, "Help of m.");
  };
  check(1);
  open();
  check(1);
  ASSERT_TRUE(store_->flush());
  open();
  check(1);
  append(TestBatch().add(kA, kTestNowMs + 1, 1).add_exemplar(kA, kTestNowMs + 1, 0.6, "def"));
  open();
  check(2);
}

TEST_F(StoreMaintenanceTest, ExemplarsOutOfOrderNeverFailARequest) {
  open();
  append(TestBatch().add(kA, kTestNowMs, 1).add_exemplar(kA, kTestNowMs, 0.5, "abc"));
  const auto result =
      append(TestBatch().add(kA, kTestNowMs + 1, 1).add_exemplar(kA, kTestNowMs - 1, 0.5, "old"));
  EXPECT_EQ(result.samples_written, 1U);
  EXPECT_EQ(result.samples_rejected, 0U);
  EXPECT_EQ(result.rejected(telemetry::RejectReason::InvalidExemplar), 1U);
  // The same one again is no error.
  EXPECT_EQ(append(TestBatch().add(kA, kTestNowMs, 1).add_exemplar(kA, kTestNowMs, 0.5, "abc"))
                .rejected(telemetry::RejectReason::InvalidExemplar),
            0U);
}

TEST_F(StoreMaintenanceTest, BackfillOfManyDaysIsCutByDay) {
  StoreOptions options;
  options.retention = {400 * kDayMs};
  open(options);
  TestBatch batch;
  Points expected;
  for (int day = 40; day > 0; --day) {
    batch.add(kA, kTestDayMs - day * kDayMs, day);
    expected.emplace_back(kTestDayMs - day * kDayMs, day);
  }
  append(batch);
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(store_->parts().size(), 40U);
  EXPECT_EQ(points("a"), expected);
  EXPECT_EQ(read_metric(store_->source(), "m", kTestDayMs - 3 * kDayMs, kTestDayMs - 2 * kDayMs)
                .at("m{series=\"a\"}")
                .size(),
            2U);
}

TEST_F(StoreMaintenanceTest, LabelNamesAndValuesFollowMatchersAndTime) {
  open();
  append(TestBatch()
             .add(make_test_labels({{"__name__", "old"}, {"x", "1"}}), kTestDayMs - kHour, 1)
             .add(make_test_labels({{"__name__", "new"}, {"y", "2"}}), kTestNowMs, 1));
  const auto names = [&](std::int64_t start, std::int64_t end,
                         std::vector<promql::Matcher> matchers = {}) {
    const auto found = store_->source().label_names(matchers, start, end, 0, CancelToken());
    return found ? found->values : std::vector<std::string>{"error"};
  };
  const auto values = [&](std::string_view name, std::int64_t start, std::int64_t end,
                          std::size_t limit = 0) {
    const auto found = store_->source().label_values(name, {}, start, end, limit, CancelToken());
    return found ? found->values : std::vector<std::string>{"error"};
  };
  using Strings = std::vector<std::string>;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(names(-kAll, kAll), (Strings{"__name__", "x", "y"}));
    EXPECT_EQ(names(kTestDayMs, kAll), (Strings{"__name__", "y"}));
    EXPECT_EQ(names(-kAll, kAll, {matcher(MatchOp::Equal, "x", "1")}), (Strings{"__name__", "x"}));
    EXPECT_EQ(values("__name__", -kAll, kAll), (Strings{"new", "old"}));
    EXPECT_EQ(values("__name__", -kAll, kTestDayMs), (Strings{"old"}));
    EXPECT_EQ(values("__name__", -kAll, kAll, 1), (Strings{"new"}));
    EXPECT_EQ(values("absent", -kAll, kAll), Strings{});
    EXPECT_EQ(values("absent", -kAll, kTestDayMs), Strings{});
    ASSERT_TRUE(store_->flush());
  }
}

TEST_F(StoreMaintenanceTest, CardinalityCountsSeriesByMetricLabelAndPair) {
  open();
  TestBatch batch;
  for (std::uint64_t i = 0; i < 10; ++i) batch.add(numbered_series(i), kTestNowMs, 1);
  batch.add(make_test_labels({{"__name__", "other"}}), kTestNowMs, 1);
  append(batch);
  const CardinalityStatistics statistics = store_->cardinality(1);
  EXPECT_EQ(statistics.series_count, 11U);
  EXPECT_EQ(statistics.label_pair_count, 12U);
  EXPECT_EQ(statistics.time_ms_min, kTestNowMs);
  ASSERT_EQ(statistics.series_by_metric.size(), 1U);
  EXPECT_EQ(statistics.series_by_metric[0].name, "m");
  EXPECT_EQ(statistics.series_by_metric[0].value, 10U);
  EXPECT_EQ(statistics.values_by_label.at(0).name, "series");
  EXPECT_EQ(statistics.values_by_label[0].value, 10U);
  EXPECT_EQ(statistics.bytes_by_label.at(0).name, "__name__");
  EXPECT_EQ(statistics.bytes_by_label[0].value, 15U);
  EXPECT_EQ(statistics.series_by_label_pair.at(0).name, "__name__=m");
}

TEST_F(StoreMaintenanceTest, ASeriesLimitStopsOrTruncatesASelect) {
  open();
  fill(kTestNowMs, 1);
  const promql::Matcher matchers[] = {matcher(MatchOp::Equal, "__name__", "m")};
  promql::SelectRequest request{
      .matchers = matchers, .start_ms = 0, .end_ms = kAll, .series_limit = 1};
  const auto refused = store_->source().select(request, CancelToken());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::ResourceExhausted);
  request.truncate = true;
  const auto cut = store_->source().select(request, CancelToken());
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ((*cut)->size(), 1U);
  EXPECT_TRUE((*cut)->is_truncated());
  CancelToken cancelled;
  cancelled.cancel();
  EXPECT_EQ(store_->source().select(request, cancelled).error().code, Code::Cancelled);
}

TEST_F(StoreMaintenanceTest, ASeriesWithoutASampleInTheRangeIsNotInTheAnswer) {
  open();
  TestBatch batch;
  for (int i = 0; i < 100; ++i) batch.add(kA, kTestNowMs - kHour + i * 30'000LL, i);
  append(batch);
  for (int round = 0; round < 3; ++round) {
    // Between two samples, inside every block.
    EXPECT_TRUE(
        read_metric(store_->source(), "m", kTestNowMs - kHour + 1, kTestNowMs - kHour + 29'999)
            .empty());
    EXPECT_EQ(
        read_metric(store_->source(), "m", kTestNowMs - kHour + 1, kTestNowMs - kHour + 30'000)
            .size(),
        1U);
    ASSERT_TRUE(store_->flush());
  }
}

}  // namespace
}  // namespace gantry::metrics
