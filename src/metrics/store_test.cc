#include "metrics/store.h"

#include <gtest/gtest.h>

#include "metrics/testing/store_fixture.h"
#include "telemetry/sample.h"

namespace gantry::metrics {
namespace {

using telemetry::DuplicatePolicy;
using telemetry::RejectReason;

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kAll = std::int64_t{1} << 60;

const telemetry::Labels kUp = make_test_labels({{"__name__", "up"}, {"job", "a"}});
const telemetry::Labels kUpB = make_test_labels({{"__name__", "up"}, {"job", "b"}});

class StoreTest : public StoreFixture {
 protected:
  Points up() { return read_metric(store_->source(), "up", -kAll, kAll)["up{job=\"a\"}"]; }
};

TEST_F(StoreTest, AppendedSamplesAreSeenAtOnce) {
  open();
  const auto result = append(TestBatch().add(kUp, kTestNowMs, 1).add(kUpB, kTestNowMs, 2));
  EXPECT_EQ(result.samples_written, 2U);
  const auto found = read_metric(store_->source(), "up", kTestNowMs, kTestNowMs);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found.at("up{job=\"a\"}"), (Points{{kTestNowMs, 1}}));
  EXPECT_EQ(found.at("up{job=\"b\"}"), (Points{{kTestNowMs, 2}}));
}

TEST_F(StoreTest, LabelsAreResolvedOnceForAKey) {
  open();
  TestBatch batch;
  batch.add(kUp, kTestNowMs, 1);
  append(batch);
  EXPECT_EQ(batch.resolve_count(), 1U);
  TestBatch again;
  again.add(kUp, kTestNowMs + 1, 1);
  append(again);
  EXPECT_EQ(again.resolve_count(), 0U);
}

TEST_F(StoreTest, SurvivesReopeningWithoutClose) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  append(TestBatch().add(kUp, kTestNowMs + 15'000, 2));
  open();
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}, {kTestNowMs + 15'000, 2}}));
  // And the second process' ids do not collide with those of the first one in the log.
  append(TestBatch().add(kUpB, kTestNowMs, 7).add(kUp, kTestNowMs + 30'000, 3));
  open();
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}, {kTestNowMs + 15'000, 2}, {kTestNowMs + 30'000, 3}}));
  EXPECT_EQ(read_metric(store_->source(), "up", -kAll, kAll).at("up{job=\"b\"}"),
            (Points{{kTestNowMs, 7}}));
}

TEST_F(StoreTest, AcknowledgedSurvivesAPowerCut) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  store_.reset();
  files_.cut_power();
  open();
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
}

TEST_F(StoreTest, ManySamplesOfUnevenIntervalsComeBack) {
  open();
  Points expected;
  std::int64_t time = kTestNowMs - 10 * 3'600'000;
  for (int i = 0; i < 500; ++i) {
    time += i % 7 == 0 ? 15'001 : 15'000;
    append(TestBatch().add(kUp, time, i * 0.25));
    expected.emplace_back(time, i * 0.25);
  }
  EXPECT_EQ(up(), expected);
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(up(), expected);
  open();
  EXPECT_EQ(up(), expected);
}

TEST_F(StoreTest, FlushMovesSamplesIntoPartsByDayAndEmptiesTheLog) {
  open();
  append(TestBatch().add(kUp, kTestDayMs - 1, 1).add(kUp, kTestDayMs, 2));
  ASSERT_TRUE(store_->flush());
  ASSERT_EQ(store_->parts().size(), 2U);
  EXPECT_EQ(store_->parts()[0].name, "partitions/2026-11-20/000000000001");
  EXPECT_EQ(store_->parts()[1].name, "partitions/2026-11-21/000000000002");
  EXPECT_EQ(up(), (Points{{kTestDayMs - 1, 1}, {kTestDayMs, 2}}));
  EXPECT_EQ(store_->cardinality(10).series_count, 0U);  // nothing of it is in the head any more
  open();
  EXPECT_EQ(up(), (Points{{kTestDayMs - 1, 1}, {kTestDayMs, 2}}));
}

TEST_F(StoreTest, RetriedSamplesAreAcceptedSilently) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  const auto result = append(TestBatch().add(kUp, kTestNowMs, 1));
  EXPECT_EQ(result.samples_written, 1U);
  EXPECT_EQ(result.samples_rejected, 0U);
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(append(TestBatch().add(kUp, kTestNowMs, 1)).samples_rejected, 0U);
  open();
  // The head knows nothing of the series now: the part has to be asked.
  EXPECT_EQ(append(TestBatch().add(kUp, kTestNowMs, 1)).samples_rejected, 0U);
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
}

TEST_F(StoreTest, AnotherValueAtATimeIsRefusedWhereverTheFirstOneIs) {
  open();
  append(TestBatch().add(kUp, kTestNowMs - 1000, 0).add(kUp, kTestNowMs, 1));
  const auto expect_refused = [&](std::int64_t time) {
    const auto result = append(TestBatch().add(kUp, time, 5));
    EXPECT_EQ(result.samples_written, 0U);
    EXPECT_EQ(result.rejected(RejectReason::Duplicate), 1U);
    ASSERT_EQ(result.rejections.size(), 1U);
    EXPECT_TRUE(result.rejections[0].message.starts_with("duplicate sample for timestamp"));
    EXPECT_NE(result.rejections[0].message.find("up{job=\"a\"}"), std::string::npos);
  };
  expect_refused(kTestNowMs);
  expect_refused(kTestNowMs - 1000);
  ASSERT_TRUE(store_->flush());
  expect_refused(kTestNowMs);
  expect_refused(kTestNowMs - 1000);
  open();
  expect_refused(kTestNowMs);
  expect_refused(kTestNowMs - 1000);
  EXPECT_EQ(up(), (Points{{kTestNowMs - 1000, 0}, {kTestNowMs, 1}}));
}

TEST_F(StoreTest, LastWinsReplacesInHeadAndParts) {
  open();
  const auto write = [&](std::int64_t time, double value) {
    const auto result =
        append(TestBatch().add(kUp, time, value).set_policy(DuplicatePolicy::LastWins));
    EXPECT_EQ(result.samples_written, 1U);
  };
  write(kTestNowMs, 1);
  write(kTestNowMs + 1, 1);
  write(kTestNowMs, 2);
  EXPECT_EQ(up(), (Points{{kTestNowMs, 2}, {kTestNowMs + 1, 1}}));
  open();
  EXPECT_EQ(up(), (Points{{kTestNowMs, 2}, {kTestNowMs + 1, 1}}));
  ASSERT_TRUE(store_->flush());
  write(kTestNowMs, -3);
  EXPECT_EQ(up(), (Points{{kTestNowMs, -3}, {kTestNowMs + 1, 1}}));
  open();
  EXPECT_EQ(up(), (Points{{kTestNowMs, -3}, {kTestNowMs + 1, 1}}));
  ASSERT_TRUE(store_->flush());
  ASSERT_TRUE(store_->merge_all());
  EXPECT_EQ(store_->parts().size(), 1U);
  EXPECT_EQ(up(), (Points{{kTestNowMs, -3}, {kTestNowMs + 1, 1}}));
}

TEST_F(StoreTest, LastWinsInsideOneRequest) {
  open();
  const auto result = append(TestBatch()
                                 .add(kUp, kTestNowMs, 1)
                                 .add(kUp, kTestNowMs, 2)
                                 .add(kUp, kTestNowMs, 3)
                                 .set_policy(DuplicatePolicy::LastWins));
  EXPECT_EQ(result.samples_written, 3U);
  EXPECT_EQ(up(), (Points{{kTestNowMs, 3}}));
}

TEST_F(StoreTest, IgnoreKeepsTheStoredValue) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  const auto result =
      append(TestBatch().add(kUp, kTestNowMs, 2).set_policy(DuplicatePolicy::Ignore));
  EXPECT_EQ(result.samples_rejected, 0U);
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
}

TEST_F(StoreTest, BestEffortRejectionsAreCountedButNotReported) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  const auto result = append(TestBatch().add(kUp, kTestNowMs, 2).set_best_effort());
  EXPECT_EQ(result.rejected(RejectReason::Duplicate), 1U);
  EXPECT_EQ(result.samples_rejected, 0U);
  EXPECT_TRUE(result.rejections.empty());
}

TEST_F(StoreTest, LateSamplesInsideTheWindowAreMerged) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 3));
  append(TestBatch().add(kUp, kTestNowMs - 20 * kMinute, 1));
  append(TestBatch().add(kUp, kTestNowMs - 10 * kMinute, 2));
  const Points expected{
      {kTestNowMs - 20 * kMinute, 1}, {kTestNowMs - 10 * kMinute, 2}, {kTestNowMs, 3}};
  EXPECT_EQ(up(), expected);
  open();
  EXPECT_EQ(up(), expected);
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(up(), expected);
  append(TestBatch().add(kUp, kTestNowMs - 15 * kMinute, 9));
  EXPECT_EQ(up().size(), 4U);
  ASSERT_TRUE(store_->flush());
  ASSERT_TRUE(store_->merge_all());
  EXPECT_EQ(up().size(), 4U);
  EXPECT_EQ(up()[1], (std::pair<std::int64_t, double>{kTestNowMs - 15 * kMinute, 9}));
}

TEST_F(StoreTest, SamplesBeyondTheWindowAreRefusedUnlessImported) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 3));
  TestBatch late;
  late.add(kUp, kTestNowMs - 61 * kMinute, 1);
  const auto result = append(late);
  EXPECT_EQ(result.rejected(RejectReason::TooOld), 1U);
  EXPECT_TRUE(result.rejections.at(0).message.starts_with("too old sample"));
  EXPECT_NE(result.rejections[0].message.find("1h (storage.out_of_order_window)"),
            std::string::npos);
  EXPECT_EQ(append(late, {.is_import = true}).samples_written, 1U);
  EXPECT_EQ(up().size(), 2U);
}

TEST_F(StoreTest, WithoutAWindowOrderIsKept) {
  StoreOptions options;
  options.out_of_order_window = {0};
  open(options);
  append(TestBatch().add(kUp, kTestNowMs, 3));
  const auto result = append(TestBatch().add(kUp, kTestNowMs - 1, 1));
  EXPECT_EQ(result.rejected(RejectReason::OutOfOrder), 1U);
  EXPECT_TRUE(result.rejections.at(0).message.starts_with("out of order sample"));
}

TEST_F(StoreTest, TimesOutOfBoundsAreRefused) {
  open();
  const auto result = append(TestBatch()
                                 .add(kUp, kTestNowMs + 10 * kMinute + 1, 1)
                                 .add(kUpB, kTestNowMs - 16 * kDayMs, 1)
                                 .add(kUpB, kTestNowMs + 10 * kMinute, 1));
  EXPECT_EQ(result.samples_written, 1U);
  EXPECT_EQ(result.rejected(RejectReason::TooFarInFuture), 1U);
  EXPECT_EQ(result.rejected(RejectReason::TooOld), 1U);
  ASSERT_EQ(result.rejections.size(), 2U);
  for (const auto& rejection : result.rejections) {
    EXPECT_TRUE(rejection.message.starts_with("out of bounds")) << rejection.message;
  }
  // A series without a good sample is not made.
  EXPECT_EQ(read_metric(store_->source(), "up", -kAll, kAll).size(), 1U);
}

TEST_F(StoreTest, LimitsNameTheSeriesTheValueAndTheSetting) {
  StoreOptions options;
  options.limits.label_value_bytes_max = 8;
  options.limits.label_name_bytes_max = 10;
  options.limits.labels_per_series_max = 3;
  open(options);
  const auto message = [&](const telemetry::Labels& labels, RejectReason reason) {
    const auto result = append(TestBatch().add(labels, kTestNowMs, 1));
    EXPECT_EQ(result.rejected(reason), 1U);
    return result.rejections.empty() ? std::string() : result.rejections[0].message;
  };
  EXPECT_EQ(message(make_test_labels({{"__name__", "up"}, {"path", "123456789"}}),
                    RejectReason::LabelLimit),
            "label value of \"path\" is 9 bytes, the limit is 8 (limits.label_value_bytes_max) of "
            "series up{path=\"123456789\"}");
  EXPECT_EQ(message(make_test_labels({{"__name__", "up"}, {"abcdefghijk", "1"}}),
                    RejectReason::LabelLimit),
            "label name \"abcdefghijk\" is 11 bytes, the limit is 10 "
            "(limits.label_name_bytes_max) of series up{abcdefghijk=\"1\"}");
  EXPECT_EQ(message(make_test_labels({{"__name__", "up"}, {"a", "1"}, {"b", "1"}, {"c", "1"}}),
                    RejectReason::LabelLimit),
            "4 labels, the limit is 3 (limits.labels_per_series_max), of series "
            "up{a=\"1\", b=\"1\", c=\"1\"}");
  EXPECT_EQ(message(make_test_labels({{"job", "a"}}), RejectReason::InvalidLabels),
            "no metric name (label __name__) in series {job=\"a\"}");
  EXPECT_EQ(message(make_test_labels({{"__name__", "up"}, {"a", "1"}, {"a", "2"}}),
                    RejectReason::InvalidLabels),
            "duplicate label name \"a\" of series up{a=\"1\", a=\"2\"}");
  EXPECT_EQ(
      message(make_test_labels({{"__name__", "up"}, {"a", "\xff"}}), RejectReason::InvalidLabels)
          .substr(0, 28),
      "invalid UTF-8 in label \"a\" o");
}

TEST_F(StoreTest, OneBadSeriesDoesNotCostTheGoodOnes) {
  open();
  const auto result = append(TestBatch()
                                 .add(make_test_labels({{"job", "a"}}), kTestNowMs, 1)
                                 .add(make_test_labels({{"job", "a"}}), kTestNowMs + 1, 1)
                                 .add(kUp, kTestNowMs, 1));
  EXPECT_EQ(result.samples_written, 1U);
  EXPECT_EQ(result.samples_rejected, 2U);
  ASSERT_EQ(result.rejections.size(), 1U);
  EXPECT_EQ(result.rejections[0].count, 2U);
}

TEST_F(StoreTest, EmptyValuesAndOrderOfLabelsDoNotMatter) {
  open();
  append(TestBatch().add(make_test_labels({{"job", "a"}, {"x", ""}, {"__name__", "up"}}),
                         kTestNowMs, 1));
  append(TestBatch().add(kUp, kTestNowMs + 1, 2));
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}, {kTestNowMs + 1, 2}}));
}

TEST_F(StoreTest, TwoSpellingsOfASeriesInOneRequestAreOneSeries) {
  open();
  const auto result =
      append(TestBatch()
                 .add(make_test_labels({{"job", "a"}, {"__name__", "up"}}), kTestNowMs, 1)
                 .add(kUp, kTestNowMs, 2)
                 .add(kUp, kTestNowMs + 1, 3));
  EXPECT_EQ(result.samples_written, 2U);
  EXPECT_EQ(result.rejected(RejectReason::Duplicate), 1U);
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}, {kTestNowMs + 1, 3}}));
}

TEST_F(StoreTest, ActiveSeriesLimitRefusesNewSeriesOnly) {
  StoreOptions options;
  options.limits.active_series_max = 2;
  open(options);
  append(TestBatch().add(numbered_series(1), kTestNowMs, 1).add(numbered_series(2), kTestNowMs, 1));
  const auto result = append(TestBatch()
                                 .add(numbered_series(1), kTestNowMs + 1, 1)
                                 .add(numbered_series(3), kTestNowMs, 1));
  EXPECT_EQ(result.samples_written, 1U);
  EXPECT_EQ(result.rejected(RejectReason::SeriesLimit), 1U);
  EXPECT_NE(result.rejections.at(0).message.find("the limit is 2 (limits.active_series_max)"),
            std::string::npos);
  // What is flushed is no longer active.
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(append(TestBatch().add(numbered_series(3), kTestNowMs, 1)).samples_written, 1U);
}

TEST_F(StoreTest, NewSeriesPerMinuteLimit) {
  StoreOptions options;
  options.limits.new_series_per_minute_max = 1;
  open(options);
  const auto result = append(
      TestBatch().add(numbered_series(1), kTestNowMs, 1).add(numbered_series(2), kTestNowMs, 1));
  EXPECT_EQ(result.samples_written, 1U);
  EXPECT_EQ(result.rejected(RejectReason::SeriesLimit), 1U);
  EXPECT_NE(result.rejections.at(0).message.find("limits.new_series_per_minute_max"),
            std::string::npos);
  clock_.advance({kMinute});
  EXPECT_EQ(append(TestBatch().add(numbered_series(2), kTestNowMs, 1)).samples_written, 1U);
}

TEST_F(StoreTest, TooManySamplesInARequestStoreNothing) {
  StoreOptions options;
  options.limits.samples_per_request_max = 1;
  open(options);
  TestBatch batch;
  batch.add(kUp, kTestNowMs, 1).add(kUp, kTestNowMs + 1, 1);
  const auto result = store_->append(batch.batch(), {});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::ResourceExhausted);
  EXPECT_EQ(result.error().message,
            "the request has 2 samples, the limit is 1 (limits.samples_per_request_max)");
  EXPECT_TRUE(up().empty());
}

TEST_F(StoreTest, StaleMarkersAndSpecialValuesKeepTheirBits) {
  open();
  const double values[] = {telemetry::stale_nan(), -0.0, std::bit_cast<double>(0x7ff8000000000001),
                           std::numeric_limits<double>::infinity(), 5e-324};
  std::int64_t time = kTestNowMs;
  for (const double value : values) append(TestBatch().add(kUp, time++, value));
  const auto check = [&] {
    const Points points = up();
    ASSERT_EQ(points.size(), std::size(values));
    for (std::size_t i = 0; i < points.size(); ++i) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(points[i].second),
                std::bit_cast<std::uint64_t>(values[i]));
    }
  };
  check();
  open();
  check();
  ASSERT_TRUE(store_->flush());
  check();
}

TEST_F(StoreTest, StartTimestampsAreKept) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1).add(kUp, kTestNowMs + 1000, 2, kTestNowMs - 5));
  const promql::Matcher matchers[] = {matcher(promql::MatchOp::Equal, "__name__", "up")};
  const auto check = [&] {
    const auto set = store_->source().select({.matchers = matchers, .start_ms = 0, .end_ms = kAll},
                                             CancelToken());
    ASSERT_TRUE(set.has_value());
    promql::SampleColumns columns;
    ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
    EXPECT_EQ(columns.start_timestamps_ms, (std::vector<std::int64_t>{0, kTestNowMs - 5}));
  };
  check();
  open();
  check();
  ASSERT_TRUE(store_->flush());
  check();
  ASSERT_TRUE(store_->merge_all());
  check();
}

TEST_F(StoreTest, HistogramsComeBackFromHeadLogAndPart) {
  open();
  Points expected;
  for (std::uint64_t i = 0; i < 70; ++i) {
    const auto time = kTestNowMs + static_cast<std::int64_t>(i) * 1000;
    append(TestBatch().add(kUp, time, test_histogram(i + 1)));
    expected.emplace_back(time, static_cast<double>(2 * (i + 1) + 1));
  }
  EXPECT_EQ(up(), expected);
  EXPECT_EQ(append(TestBatch().add(kUp, kTestNowMs, test_histogram(1))).samples_rejected, 0U);
  EXPECT_EQ(
      append(TestBatch().add(kUp, kTestNowMs, test_histogram(9))).rejected(RejectReason::Duplicate),
      1U);
  EXPECT_EQ(append(TestBatch().add(kUp, kTestNowMs, 1.0)).rejected(RejectReason::Duplicate), 1U);
  open();
  EXPECT_EQ(up(), expected);
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(up(), expected);
  EXPECT_EQ(append(TestBatch().add(kUp, kTestNowMs, test_histogram(1))).samples_rejected, 0U);
  EXPECT_EQ(
      append(TestBatch().add(kUp, kTestNowMs, test_histogram(9))).rejected(RejectReason::Duplicate),
      1U);
}

TEST_F(StoreTest, FloatsAndHistogramsOfOneSeriesKeepTheirOrder) {
  open();
  for (std::int64_t i = 0; i < 20; ++i) {
    TestBatch batch;
    if (i % 3 == 0) {
      batch.add(kUp, kTestNowMs + i, test_histogram(static_cast<std::uint64_t>(i) + 1));
    } else {
      batch.add(kUp, kTestNowMs + i, static_cast<double>(i));
    }
    append(batch);
  }
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(up().size(), 20U);
}

TEST_F(StoreTest, InvalidHistogramsAreRefused) {
  open();
  telemetry::IntegerHistogram bad;
  bad.schema = 42;
  const auto result = append(TestBatch().add(kUp, kTestNowMs, bad));
  EXPECT_EQ(result.rejected(RejectReason::InvalidHistogram), 1U);
  EXPECT_TRUE(result.rejections.at(0).message.starts_with("invalid histogram of series up{"));
}

TEST_F(StoreTest, ADiskThatIsFullRefusesTheRequestAndKeepsNothingOfIt) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  files_.inject({.operation = storage::FaultyFileSystem::Operation::Write,
                 .fault = storage::FaultyFileSystem::Fault::DiskFull,
                 .hit_count = 100});
  TestBatch batch;
  batch.add(kUp, kTestNowMs + 1, 2);
  const auto result = store_->append(batch.batch(), {});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::Unavailable);
  EXPECT_NE(result.error().message.find("disk full"), std::string::npos) << result.error().message;
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
  files_.clear_injections();
  // A new attempt at a fresh segment comes a second later; appends work again then.
  open();
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
  append(batch);
  EXPECT_EQ(up().size(), 2U);
}

TEST_F(StoreTest, ASyncThatFailsRefusesTheRequest) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  files_.inject({.operation = storage::FaultyFileSystem::Operation::Sync});
  TestBatch batch;
  batch.add(kUp, kTestNowMs + 1, 2);
  const auto result = store_->append(batch.batch(), {});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::Unavailable);
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
}

TEST_F(StoreTest, AFlushThatFailsLosesNothing) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  using Operation = storage::FaultyFileSystem::Operation;
  for (const Operation operation : {Operation::Rename, Operation::Sync, Operation::SyncDirectory,
                                    Operation::CreateDirectory, Operation::Open}) {
    for (std::uint64_t skip = 0; skip < 4; ++skip) {
      files_.inject({.operation = operation, .skip_count = skip});
      static_cast<void>(store_->flush());
      files_.clear_injections();
      EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
      store_.reset();
      files_.cut_power();
      open();
      EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
    }
  }
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
}

TEST_F(StoreTest, ClosedStoresRefuseAppendsAndHaveAnEmptyLog) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  ASSERT_TRUE(store_->close());
  ASSERT_TRUE(store_->close());
  TestBatch batch;
  batch.add(kUp, kTestNowMs + 1, 2);
  const auto result = store_->append(batch.batch(), {});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::Unavailable);
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
  open();
  EXPECT_EQ(up(), (Points{{kTestNowMs, 1}}));
}

TEST_F(StoreTest, ASecondProcessIsToldWhoHoldsTheStore) {
  open();
  const auto second = StoreImpl::open("/data/metrics", {}, environment(), Background::Off);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::FailedPrecondition);
}

TEST_F(StoreTest, ASetDoesNotSeeLaterAppendsAndOutlivesAFlush) {
  open();
  append(TestBatch().add(kUp, kTestNowMs, 1));
  const promql::Matcher matchers[] = {matcher(promql::MatchOp::Equal, "__name__", "up")};
  const auto set =
      store_->source().select({.matchers = matchers, .start_ms = 0, .end_ms = kAll}, CancelToken());
  ASSERT_TRUE(set.has_value());
  promql::SampleColumns columns;
  append(TestBatch().add(kUp, kTestNowMs + 1, 2));
  ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
  EXPECT_EQ(columns.values, (std::vector<double>{1}));
  ASSERT_TRUE(store_->flush());
  ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
  EXPECT_EQ(columns.values, (std::vector<double>{1}));
  append(TestBatch().add(kUp, kTestNowMs + 2, 3));
  ASSERT_TRUE(store_->flush());
  ASSERT_TRUE(store_->merge_all());
  ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
  EXPECT_EQ(columns.values, (std::vector<double>{1}));
}

}  // namespace
}  // namespace gantry::metrics
