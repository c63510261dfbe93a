// A series set shows one moment of the store, whatever is appended, flushed or merged after it.

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "metrics/store.h"
#include "metrics/testing/store_fixture.h"

namespace gantry::metrics {
namespace {

using telemetry::DuplicatePolicy;

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kAll = std::int64_t{1} << 60;

const telemetry::Labels kUp = make_test_labels({{"__name__", "up"}, {"job", "a"}});

Points read_set(const promql::SeriesSet& set, std::size_t series, std::int64_t start_ms = -kAll,
                std::int64_t end_ms = kAll) {
  promql::SampleColumns columns;
  const auto read = set.read(series, start_ms, end_ms, columns);
  EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().message);
  Points points;
  for (std::size_t i = 0; i < columns.timestamps_ms.size(); ++i) {
    points.emplace_back(columns.timestamps_ms[i], columns.values[i]);
  }
  for (const auto& point : columns.histograms) {
    points.emplace_back(point.timestamp_ms, point.histogram->count);
  }
  std::ranges::sort(points);
  return points;
}

class Moment : public StoreFixture {
 protected:
  std::unique_ptr<promql::SeriesSet> select() {
    const promql::Matcher matchers[] = {matcher(promql::MatchOp::Equal, "__name__", "up")};
    auto set = store_->source().select({.matchers = matchers, .start_ms = -kAll, .end_ms = kAll},
                                       CancelToken());
    EXPECT_TRUE(set.has_value());
    return set ? *std::move(set) : nullptr;
  }

  Points now() { return read_set(*select(), 0); }

  void add(int minutes_ago, double value, DuplicatePolicy policy = DuplicatePolicy::Refuse) {
    TestBatch batch;
    batch.add(kUp, kTestNowMs - minutes_ago * kMinute, value).set_policy(policy);
    EXPECT_EQ(append(batch).samples_rejected, 0U);
  }

  void overwrite(int minutes_ago, double value) {
    add(minutes_ago, value, DuplicatePolicy::LastWins);
  }

  void add(int minutes_ago, const telemetry::NativeHistogram& histogram,
           DuplicatePolicy policy = DuplicatePolicy::Refuse) {
    TestBatch batch;
    batch.add(kUp, kTestNowMs - minutes_ago * kMinute, histogram).set_policy(policy);
    EXPECT_EQ(append(batch).samples_rejected, 0U);
  }

  /// Expects `set` to show `expected` now, after a flush, and after a flush and a merge.
  void expect_stays(const promql::SeriesSet& set, const Points& expected) {
    EXPECT_EQ(read_set(set, 0), expected);
    ASSERT_TRUE(store_->flush());
    EXPECT_EQ(read_set(set, 0), expected) << "after a flush";
    ASSERT_TRUE(store_->merge_all());
    EXPECT_EQ(read_set(set, 0), expected) << "after a merge";
  }

  static std::int64_t at(int minutes_ago) { return kTestNowMs - minutes_ago * kMinute; }
};

TEST_F(Moment, LaterSamplesAreNotSeenInOrderOrLate) {
  open();
  add(10, 1);
  add(5, 2);
  const auto set = select();
  add(7, 3);
  add(4, 4);
  expect_stays(*set, {{at(10), 1}, {at(5), 2}});
  EXPECT_EQ(now(), (Points{{at(10), 1}, {at(7), 3}, {at(5), 2}, {at(4), 4}}));
}

TEST_F(Moment, LateSamplesFromBeforeAreSeen) {
  open();
  add(10, 1);
  add(5, 2);
  const auto other = select();
  add(7, 3);
  const auto set = select();
  add(8, 4);
  expect_stays(*set, {{at(10), 1}, {at(7), 3}, {at(5), 2}});
  EXPECT_EQ(read_set(*other, 0), (Points{{at(10), 1}, {at(5), 2}}));
}

TEST_F(Moment, ReplacedValuesAreSeenAsTheyWere) {
  open();
  add(10, 1);
  ASSERT_TRUE(store_->flush());
  add(5, 2);
  add(4, 3);
  const auto set = select();
  overwrite(10, 10);  // in a part
  overwrite(5, 20);   // in the head
  overwrite(5, 21);
  overwrite(4, 30);  // the newest
  overwrite(3, 40);  // new, and then replaced
  overwrite(3, 41);
  overwrite(7, 50);  // late, and then replaced
  overwrite(7, 51);
  expect_stays(*set, {{at(10), 1}, {at(5), 2}, {at(4), 3}});
  EXPECT_EQ(now(), (Points{{at(10), 10}, {at(7), 51}, {at(5), 21}, {at(4), 30}, {at(3), 41}}));
}

TEST_F(Moment, ValuesReplacedAfterTheirFlushAreSeenAsTheyWere) {
  open();
  add(10, 1);
  add(5, 2);
  const auto set = select();
  ASSERT_TRUE(store_->flush());
  overwrite(10, 10);
  overwrite(5, 20);
  expect_stays(*set, {{at(10), 1}, {at(5), 2}});
  EXPECT_EQ(now(), (Points{{at(10), 10}, {at(5), 20}}));
}

TEST_F(Moment, ReadsOfAPartOfTheTimeStayInside) {
  open();
  add(10, 1);
  add(5, 2);
  add(1, 3);
  const auto set = select();
  overwrite(10, 10);
  overwrite(1, 30);
  add(7, 4);
  EXPECT_EQ(read_set(*set, 0, at(8), at(4)), (Points{{at(5), 2}}));
}

TEST_F(Moment, ASeriesThatWasInPartsOnlyStaysThat) {
  open();
  add(10, 1);
  add(5, 2);
  ASSERT_TRUE(store_->flush());
  const auto set = select();
  add(7, 3);
  add(4, 4);
  overwrite(5, 20);
  expect_stays(*set, {{at(10), 1}, {at(5), 2}});
}

TEST_F(Moment, OneSeriesInPartsAndOneInTheHead) {
  open();
  const telemetry::Labels other = make_test_labels({{"__name__", "up"}, {"job", "b"}});
  add(10, 1);
  ASSERT_TRUE(store_->flush());
  append(TestBatch().add(other, at(9), 7));
  const auto set = select();
  ASSERT_EQ(set->size(), 2U);
  add(4, 4);
  append(TestBatch().add(other, at(8), 8));
  ASSERT_TRUE(store_->flush());
  // The second one has to look for its sample; that must not bring the first one's.
  EXPECT_EQ(read_set(*set, 1), (Points{{at(9), 7}}));
  EXPECT_EQ(read_set(*set, 0), (Points{{at(10), 1}}));
  EXPECT_EQ(read_set(*set, 1), (Points{{at(9), 7}}));
}

TEST_F(Moment, PartsMayBeNewerThanTheHeadAfterARestart) {
  open();
  add(10, 1);
  add(2, 2);
  ASSERT_TRUE(store_->flush());
  // Late: all that the log has.
  add(8, 3);
  open();
  const auto set = select();
  add(1, 4);
  add(5, 5);
  expect_stays(*set, {{at(10), 1}, {at(8), 3}, {at(2), 2}});
}

TEST_F(Moment, HistogramsToo) {
  open();
  add(10, test_histogram(1));
  add(5, test_histogram(2));
  const auto set = select();
  add(7, test_histogram(3));
  add(8, 4.0);
  add(10, test_histogram(9), DuplicatePolicy::LastWins);
  add(5, 6.0, DuplicatePolicy::LastWins);
  expect_stays(*set, {{at(10), 3}, {at(5), 5}});
}

TEST_F(Moment, StartTimestampsComeBack) {
  open();
  append(TestBatch().add(kUp, at(10), 1, at(20)));
  add(5, 2);
  const auto set = select();
  TestBatch batch;
  batch.add(kUp, at(10), 5, at(15)).set_policy(DuplicatePolicy::LastWins);
  append(batch);
  promql::SampleColumns columns;
  ASSERT_TRUE(set->read(0, -kAll, kAll, columns));
  EXPECT_EQ(columns.start_timestamps_ms, (std::vector<std::int64_t>{at(20), 0}));
  EXPECT_EQ(columns.values, (std::vector<double>{1, 2}));
}

TEST_F(Moment, ChangesAreKeptWhileSomebodyReads) {
  open();
  const auto kept = [this] {
    store_->update_gauges();
    return registry_->gauge("gantry_metrics_head_bytes", "", {{"part", "late_changes"}}).value() /
           sizeof(LateChange);
  };
  add(10, 1);
  add(1, 1);
  add(9, 1);
  EXPECT_EQ(kept(), 0);
  auto first = select();
  add(8, 1);
  add(7, 1);
  add(0, 1);
  EXPECT_EQ(kept(), 2);
  auto second = select();
  first.reset();
  add(6, 1);
  EXPECT_EQ(kept(), 3);
  EXPECT_EQ(read_set(*second, 0).size(), 6U);
  second.reset();
  EXPECT_EQ(kept(), 0);
}

/// Appends, flushes and merges run while sets are made and read again and again: each set shows the
/// same every time, all that was acknowledged before it, and nothing that was begun after it.
TEST_F(Moment, HoldsWhileAllElseGoesOn) {
  open();
  constexpr int kWriters = 3;
  constexpr std::int64_t kSteps = 200;
  // A writer's samples: at each step one in order, one late, and an old one replaced. The value is
  // the step, so that a set can be told what it may have.
  std::array<std::atomic<std::int64_t>, kWriters> begun{};
  std::array<std::atomic<std::int64_t>, kWriters> acknowledged{};
  const auto labels = [](int writer) {
    return make_test_labels({{"__name__", "up"}, {"job", std::to_string(writer)}});
  };
  const auto in_order = [](std::int64_t step) { return kTestNowMs - 1'000'000 + step * 10; };
  const auto late = [&](std::int64_t step) { return in_order(step) - 1005; };
  const std::int64_t replaced = kTestNowMs - 1'500'000;
  for (int writer = 0; writer < kWriters; ++writer) {
    append(TestBatch().add(labels(writer), replaced, 0).add(labels(writer), in_order(0), 0));
  }
  std::atomic<bool> is_done = false;
  std::vector<std::jthread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (std::int64_t step = 1; step <= kSteps; ++step) {
        begun[writer] = step;
        const auto value = static_cast<double>(step);
        TestBatch batch;
        batch.add(labels(writer), in_order(step), value)
            .add(labels(writer), late(step), value)
            .add(labels(writer), replaced, value)
            .set_policy(DuplicatePolicy::LastWins);
        EXPECT_TRUE(store_->append(batch.batch(), {}));
        acknowledged[writer] = step;
      }
    });
  }
  threads.emplace_back([&] {
    while (!is_done) {
      EXPECT_TRUE(store_->flush());
      EXPECT_TRUE(store_->merge_all());
    }
  });
  const auto check = [&](std::int64_t least, std::int64_t most, const Points& points) {
    const std::map<std::int64_t, double> by_time(points.begin(), points.end());
    for (std::int64_t step = 1; step <= least; ++step) {
      EXPECT_TRUE(by_time.contains(in_order(step)) && by_time.contains(late(step))) << step;
    }
    EXPECT_GE(by_time.at(replaced), static_cast<double>(least));
    for (const auto& [time, value] : by_time) EXPECT_LE(value, static_cast<double>(most)) << time;
  };
  bool is_last = false;
  while (!is_last) {
    is_last = std::ranges::all_of(acknowledged, [](const auto& n) { return n == kSteps; });
    std::array<std::int64_t, kWriters> least{};
    for (int writer = 0; writer < kWriters; ++writer) least[writer] = acknowledged[writer];
    const auto set = select();
    std::array<std::int64_t, kWriters> most{};
    for (int writer = 0; writer < kWriters; ++writer) most[writer] = begun[writer];
    ASSERT_EQ(set->size(), static_cast<std::size_t>(kWriters));
    for (std::size_t i = 0; i < set->size(); ++i) {
      int writer = 0;
      for (const promql::LabelSymbols& label : set->labels(i)) {
        if (set->symbol(label.name) == "job")
          writer = std::stoi(std::string(set->symbol(label.value)));
      }
      const Points first = read_set(*set, i);
      check(least[writer], most[writer], first);
      for (int again = 0; again < 3; ++again) EXPECT_EQ(read_set(*set, i), first);
    }
  }
  is_done = true;
}

}  // namespace
}  // namespace gantry::metrics
