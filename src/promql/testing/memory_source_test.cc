#include "promql/testing/memory_source.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "promql/testing/histogram_chunks.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

telemetry::Labels labels(std::vector<telemetry::Label> pairs) {
  return telemetry::make_labels(std::move(pairs));
}

Matcher matcher(MatchOp op, std::string name, std::string value) {
  return Matcher::make(op, std::move(name), std::move(value)).value();
}

class MemorySourceTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<Sample> samples{{.timestamp_ms = 10, .value = 1},
                                      {.timestamp_ms = 20, .value = 2},
                                      {.timestamp_ms = 30, .value = 3}};
    source_.append(labels({{"__name__", "up"}, {"job", "b"}}), samples);
    source_.append(labels({{"__name__", "up"}, {"job", "a"}}), {samples.data(), 1});
  }

  std::unique_ptr<SeriesSet> select(std::vector<Matcher> matchers, std::int64_t start_ms = 0,
                                    std::int64_t end_ms = 100) {
    return source_
        .select({.matchers = matchers, .start_ms = start_ms, .end_ms = end_ms}, CancelToken())
        .value();
  }

  std::string job_of(const SeriesSet& set, std::size_t series) {
    for (const LabelSymbols label : set.labels(series)) {
      if (set.symbol(label.name) == "job") return std::string(set.symbol(label.value));
    }
    return "";
  }

  MemorySource source_;
};

TEST_F(MemorySourceTest, SelectsInLabelOrder) {
  const auto set = select({matcher(MatchOp::Equal, "__name__", "up")});
  ASSERT_EQ(set->size(), 2u);
  EXPECT_EQ(job_of(*set, 0), "a");
  EXPECT_EQ(job_of(*set, 1), "b");
}

TEST_F(MemorySourceTest, MatchesAbsentLabelsAsEmpty) {
  EXPECT_EQ(select({matcher(MatchOp::Equal, "pod", "")})->size(), 2u);
  EXPECT_EQ(select({matcher(MatchOp::NotEqual, "pod", "")})->size(), 0u);
  EXPECT_EQ(select({matcher(MatchOp::NotEqual, "job", "a")})->size(), 1u);
}

TEST_F(MemorySourceTest, LeavesOutSeriesWithoutSamplesInTheRange) {
  const auto set = select({matcher(MatchOp::Equal, "__name__", "up")}, 15, 100);
  ASSERT_EQ(set->size(), 1u);
  EXPECT_EQ(job_of(*set, 0), "b");
}

TEST_F(MemorySourceTest, ReadsBothEndsInclusive) {
  const auto set = select({matcher(MatchOp::Equal, "job", "b")});
  SampleColumns columns;
  ASSERT_TRUE(set->read(0, 10, 20, columns).has_value());
  EXPECT_EQ(columns.timestamps_ms, (std::vector<std::int64_t>{10, 20}));
  EXPECT_EQ(columns.values, (std::vector<double>{1, 2}));
  EXPECT_TRUE(columns.start_timestamps_ms.empty());
}

TEST_F(MemorySourceTest, ASetDoesNotSeeLaterAppends) {
  const auto set = select({matcher(MatchOp::Equal, "job", "b")});
  const Sample later{.timestamp_ms = 25, .value = 9};
  source_.append(labels({{"__name__", "up"}, {"job", "b"}}), {&later, 1});
  SampleColumns columns;
  ASSERT_TRUE(set->read(0, 0, 100, columns).has_value());
  EXPECT_EQ(columns.values, (std::vector<double>{1, 2, 3}));
  ASSERT_TRUE(select({matcher(MatchOp::Equal, "job", "b")})->read(0, 0, 100, columns).has_value());
  EXPECT_EQ(columns.values, (std::vector<double>{1, 2, 9, 3}));
}

TEST_F(MemorySourceTest, LimitsSeries) {
  const std::vector<Matcher> matchers{matcher(MatchOp::Equal, "__name__", "up")};
  SelectRequest request{.matchers = matchers, .start_ms = 0, .end_ms = 100, .series_limit = 1};
  const auto refused = source_.select(request, CancelToken());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::ResourceExhausted);
  request.truncate = true;
  const auto cut = source_.select(request, CancelToken());
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ((*cut)->size(), 1u);
  EXPECT_TRUE((*cut)->is_truncated());
}

TEST_F(MemorySourceTest, ListsNamesAndValues) {
  EXPECT_EQ(source_.label_names({}, 0, 100, 0, CancelToken()).value().values,
            (std::vector<std::string>{"__name__", "job"}));
  EXPECT_EQ(source_.label_values("job", {}, 0, 100, 0, CancelToken()).value().values,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(source_.label_values("job", {}, 0, 100, 1, CancelToken()).value().is_truncated);
  EXPECT_EQ(source_.label_values("job", {}, 15, 100, 0, CancelToken()).value().values,
            (std::vector<std::string>{"b"}));
}

TEST_F(MemorySourceTest, ClearDropsEverything) {
  source_.clear();
  EXPECT_EQ(select({matcher(MatchOp::Equal, "__name__", "up")})->size(), 0u);
}

TEST_F(MemorySourceTest, AStaleMarkerAfterAHistogramIsAHistogram) {
  const std::vector<Sample> samples{
      {.timestamp_ms = 1, .histogram = std::make_shared<FloatHistogram>()},
      {.timestamp_ms = 2, .value = telemetry::stale_nan()}};
  source_.append(labels({{"__name__", "h"}}), samples);
  SampleColumns columns;
  ASSERT_TRUE(select({matcher(MatchOp::Equal, "__name__", "h")})->read(0, 0, 9, columns));
  EXPECT_TRUE(columns.values.empty());
  ASSERT_EQ(columns.histograms.size(), 2u);
  EXPECT_TRUE(telemetry::is_stale(*columns.histograms[1].histogram));
}

FloatHistogram histogram(double count, CounterResetHint hint = CounterResetHint::Unknown) {
  FloatHistogram result;
  result.hint = hint;
  result.count = count;
  result.positive_spans = {{.offset = 0, .length = 1}};
  result.positive_counts = {count};
  return result;
}

TEST(HistogramChunks, OnlyTheFirstOfAChunkIsUnknown) {
  HistogramChunks chunks;
  EXPECT_EQ(chunks.next(histogram(1)), CounterResetHint::Unknown);
  EXPECT_EQ(chunks.next(histogram(2)), CounterResetHint::NotReset);
  EXPECT_EQ(chunks.next(histogram(1)), CounterResetHint::Unknown);  // Decreased.
  EXPECT_EQ(chunks.next(histogram(1)), CounterResetHint::NotReset);
  EXPECT_EQ(chunks.next(histogram(5, CounterResetHint::Reset)), CounterResetHint::Unknown);
}

TEST(HistogramChunks, GaugesAreApart) {
  HistogramChunks chunks;
  EXPECT_EQ(chunks.next(histogram(3, CounterResetHint::Gauge)), CounterResetHint::Gauge);
  EXPECT_EQ(chunks.next(histogram(1, CounterResetHint::Gauge)), CounterResetHint::Gauge);
  EXPECT_EQ(chunks.next(histogram(2)), CounterResetHint::Unknown);
}

TEST(HistogramChunks, ANewLayoutAFloatOrAStaleMarkerCuts) {
  HistogramChunks chunks;
  EXPECT_EQ(chunks.next(histogram(1)), CounterResetHint::Unknown);
  auto finer = histogram(2);
  finer.schema = 1;
  EXPECT_EQ(chunks.next(finer), CounterResetHint::Unknown);
  chunks.cut();
  EXPECT_EQ(chunks.next(finer), CounterResetHint::Unknown);
  FloatHistogram stale;
  stale.sum = telemetry::stale_nan();
  EXPECT_EQ(chunks.next(stale), CounterResetHint::NotReset);
  EXPECT_EQ(chunks.next(finer), CounterResetHint::Unknown);
}

TEST(HistogramChunks, AMissingBucketIsAReset) {
  HistogramChunks chunks;
  EXPECT_EQ(chunks.next(histogram(1)), CounterResetHint::Unknown);
  auto moved = histogram(2);
  moved.positive_spans[0].offset = 1;
  EXPECT_EQ(chunks.next(moved), CounterResetHint::Unknown);
}

}  // namespace
}  // namespace gantry::promql::promqltest
