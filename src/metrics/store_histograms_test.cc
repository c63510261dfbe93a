// The hints that native histograms are read with, wherever they lie.

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "metrics/store.h"
#include "metrics/testing/store_fixture.h"

namespace gantry::metrics {
namespace {

using telemetry::CounterResetHint;

constexpr std::int64_t kMinute = 60'000;

const telemetry::Labels kSizes = make_test_labels({{"__name__", "sizes"}});

telemetry::NativeHistogram hinted(std::uint64_t count, CounterResetHint hint) {
  auto histogram = std::get<telemetry::IntegerHistogram>(test_histogram(count));
  histogram.hint = hint;
  return histogram;
}

class HistogramHints : public StoreFixture {
 protected:
  /// One letter for each sample in time order: u, r, n or g.
  std::string hints(std::int64_t start_ms = kTestNowMs - 60 * kMinute,
                    std::int64_t end_ms = kTestNowMs) {
    const promql::Matcher matchers[] = {matcher(promql::MatchOp::Equal, "__name__", "sizes")};
    const auto set = store_->source().select(
        {.matchers = matchers, .start_ms = start_ms, .end_ms = end_ms}, CancelToken());
    EXPECT_TRUE(set.has_value());
    if (!set || (*set)->size() != 1) return "?";
    promql::SampleColumns columns;
    EXPECT_TRUE((*set)->read(0, start_ms, end_ms, columns));
    std::string text;
    for (const auto& point : columns.histograms) {
      text += "urng"[static_cast<int>(point.histogram->hint)];
    }
    return text;
  }

  void add(int minutes_ago, telemetry::NativeHistogram histogram) {
    append(TestBatch().add(kSizes, kTestNowMs - minutes_ago * kMinute, std::move(histogram)));
  }

  void add_counter() {
    // 5 < 6 < 7, a reset, 2 < 3.
    for (const auto& [minutes_ago, count] : {std::pair{25, 5}, {20, 6}, {15, 7}, {10, 2}, {5, 3}}) {
      add(minutes_ago, test_histogram(static_cast<std::uint64_t>(count)));
    }
  }
};

TEST_F(HistogramHints, FollowTheCounterInTheHeadAndInParts) {
  open();
  add_counter();
  EXPECT_EQ(hints(), "unnun");
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(hints(), "unnun");
  open();
  EXPECT_EQ(hints(), "unnun");
}

TEST_F(HistogramHints, TheFirstOfAReadIsUnknown) {
  open();
  add_counter();
  EXPECT_EQ(hints(kTestNowMs - 15 * kMinute), "uun");
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(hints(kTestNowMs - 15 * kMinute), "uun");
  EXPECT_EQ(hints(kTestNowMs - 20 * kMinute, kTestNowMs - 15 * kMinute), "un");
}

TEST_F(HistogramHints, TheFirstOfAPartIsUnknown) {
  open();
  add(10, test_histogram(1));
  add(9, test_histogram(2));
  ASSERT_TRUE(store_->flush());
  add(8, test_histogram(3));
  add(7, test_histogram(4));
  EXPECT_EQ(hints(), "unun");
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(hints(), "unun");
}

TEST_F(HistogramHints, ALateOneBetweenTwoTakesTheKnowledge) {
  open();
  add(10, test_histogram(5));
  add(5, test_histogram(6));
  EXPECT_EQ(hints(), "un");
  // Had the counter been at 9 in between, it has been reset since.
  add(7, test_histogram(9));
  EXPECT_EQ(hints(), "uuu");
  ASSERT_TRUE(store_->flush());
  ASSERT_TRUE(store_->merge_all());
  EXPECT_EQ(hints(), "unu");
}

TEST_F(HistogramHints, ADeletionTakesTheKnowledgeOfTheNext) {
  open();
  add(10, test_histogram(9));
  add(7, test_histogram(3));
  add(5, test_histogram(4));
  add(3, test_histogram(5));
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(hints(), "uunn");
  const promql::Matcher matchers[] = {matcher(promql::MatchOp::Equal, "__name__", "sizes")};
  ASSERT_TRUE(store_->delete_series(matchers, kTestNowMs - 7 * kMinute, kTestNowMs - 7 * kMinute));
  EXPECT_EQ(hints(), "uun");
  ASSERT_TRUE(store_->clean_tombstones());
  EXPECT_EQ(hints(), "uun");
}

TEST_F(HistogramHints, AFloatBetweenTwoTakesTheKnowledge) {
  open();
  add(10, test_histogram(1));
  add(5, test_histogram(2));
  append(TestBatch().add(kSizes, kTestNowMs - 7 * kMinute, 1.0));
  EXPECT_EQ(hints(), "uu");
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(hints(), "uu");
}

TEST_F(HistogramHints, ClaimsAreCheckedAndGaugesKept) {
  open();
  add(10, hinted(1, CounterResetHint::NotReset));
  add(9, hinted(2, CounterResetHint::Reset));
  add(8, hinted(1, CounterResetHint::NotReset));
  add(7, hinted(2, CounterResetHint::NotReset));
  add(6, hinted(1, CounterResetHint::Gauge));
  EXPECT_EQ(hints(), "uuung");
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(hints(), "uuung");
}

TEST_F(HistogramHints, TheSameHistogramAgainIsAcceptedWhateverItsHint) {
  open();
  add(10, hinted(1, CounterResetHint::Unknown));
  add(9, hinted(2, CounterResetHint::Unknown));
  ASSERT_TRUE(store_->flush());
  const auto result = append(
      TestBatch().add(kSizes, kTestNowMs - 9 * kMinute, hinted(2, CounterResetHint::Unknown)));
  EXPECT_EQ(result.samples_rejected, 0U);
}

}  // namespace
}  // namespace gantry::metrics
