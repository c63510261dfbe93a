#include "codec/delta_to_cumulative.h"

#include <thread>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

namespace gantry::codec {
namespace {

constexpr core::Hash128 kKey{.high = 1, .low = 2};
constexpr std::int64_t kNowMs = 1'000'000;

OtlpNumberPoint number(std::uint64_t start, std::uint64_t time, double value) {
  OtlpNumberPoint point;
  point.start_ns = start;
  point.time_ns = time;
  point.value = value;
  return point;
}

OtlpExponentialPoint exponential(std::uint64_t time, std::int32_t scale, std::int32_t offset,
                                 std::vector<std::uint64_t> counts) {
  OtlpExponentialPoint point;
  point.time_ns = time;
  point.scale = scale;
  point.sum = 1;
  for (const std::uint64_t count : counts) point.count += count;
  point.positive = {.offset = offset, .counts = std::move(counts)};
  return point;
}

TEST(DeltaToCumulative, AddsUpAndKeepsTheFirstStart) {
  DeltaToCumulative state({});
  auto first = number(10, 20, 5);
  ASSERT_TRUE(state.add(kKey, first, kNowMs));
  EXPECT_EQ(first.value, 5);
  EXPECT_EQ(first.start_ns, 10U);
  auto next = number(20, 30, 3);
  ASSERT_TRUE(state.add(kKey, next, kNowMs));
  EXPECT_EQ(next.value, 8);
  EXPECT_EQ(next.start_ns, 10U);
  auto after_gap = number(50, 60, 1);
  ASSERT_TRUE(state.add(kKey, after_gap, kNowMs));
  EXPECT_EQ(after_gap.value, 9);
  EXPECT_EQ(after_gap.start_ns, 10U);
}

TEST(DeltaToCumulative, OldPointsChangeNothing) {
  DeltaToCumulative state({});
  auto first = number(10, 20, 5);
  ASSERT_TRUE(state.add(kKey, first, kNowMs));
  auto again = number(10, 20, 5);
  const auto refused = state.add(kKey, again, kNowMs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::OutOfRange);
  EXPECT_EQ(again.value, 5);
  auto next = number(20, 30, 1);
  ASSERT_TRUE(state.add(kKey, next, kNowMs));
  EXPECT_EQ(next.value, 6);
}

TEST(DeltaToCumulative, SilentSeriesBeginAnew) {
  DeltaToCumulative state({.stale_ms = 100});
  auto first = number(10, 20, 5);
  ASSERT_TRUE(state.add(kKey, first, kNowMs));
  auto late = number(500, 600, 2);
  ASSERT_TRUE(state.add(kKey, late, kNowMs + 101));
  EXPECT_EQ(late.value, 2);
  EXPECT_EQ(late.start_ns, 500U);
}

TEST(DeltaToCumulative, StreamsAreBoundedAndForgotten) {
  DeltaToCumulative state({.streams_max = 2, .stale_ms = 100});
  for (std::uint64_t i = 0; i < 2; ++i) {
    auto point = number(1, 2, 1);
    ASSERT_TRUE(state.add({.high = i, .low = i}, point, kNowMs));
  }
  auto third = number(1, 2, 1);
  const auto refused = state.add({.high = 9, .low = 9}, third, kNowMs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::ResourceExhausted);
  EXPECT_EQ(refused.error().message, "more than 2 delta series (otlp.delta_streams_max)");
  auto known = number(2, 3, 1);
  EXPECT_TRUE(state.add({.high = 0, .low = 0}, known, kNowMs + 90));
  auto fourth = number(1, 2, 1);
  EXPECT_TRUE(state.add({.high = 9, .low = 9}, fourth, kNowMs + 150));
  EXPECT_EQ(state.stream_count(), 2U);
}

TEST(DeltaToCumulative, HistogramsAddBucketByBucket) {
  const auto histogram = [](std::uint64_t time, std::optional<double> sum) {
    OtlpHistogramPoint point;
    point.time_ns = time;
    point.count = 3;
    point.sum = sum;
    point.bucket_counts = {1, 2};
    point.bounds = {0.5};
    return point;
  };
  DeltaToCumulative state({});
  auto first = histogram(1, 2.0);
  auto second = histogram(2, 3.0);
  ASSERT_TRUE(state.add(kKey, first, kNowMs));
  ASSERT_TRUE(state.add(kKey, second, kNowMs));
  EXPECT_EQ(second.count, 6U);
  EXPECT_EQ(second.sum, 5.0);
  EXPECT_EQ(second.bucket_counts, (std::vector<std::uint64_t>{2, 4}));
  auto without_sum = histogram(3, std::nullopt);
  ASSERT_TRUE(state.add(kKey, without_sum, kNowMs));
  EXPECT_FALSE(without_sum.sum.has_value());
  auto other_bounds = histogram(4, 1.0);
  other_bounds.bounds = {7};
  ASSERT_TRUE(state.add(kKey, other_bounds, kNowMs));
  EXPECT_EQ(other_bounds.count, 3U);
  EXPECT_EQ(other_bounds.start_ns, 4U);
}

TEST(DeltaToCumulative, ExponentialHistogramsMeetAtTheLowerScale) {
  DeltaToCumulative state({});
  auto fine = exponential(1, 2, 0, {1, 1, 1, 1});
  auto coarse = exponential(2, 0, 1, {5});
  ASSERT_TRUE(state.add(kKey, fine, kNowMs));
  ASSERT_TRUE(state.add(kKey, coarse, kNowMs));
  EXPECT_EQ(coarse.scale, 0);
  EXPECT_EQ(coarse.count, 9U);
  EXPECT_EQ(coarse.positive.offset, 0);
  EXPECT_EQ(coarse.positive.counts, (std::vector<std::uint64_t>{4, 5}));
}

TEST(DeltaToCumulative, BucketsFarApartLowerTheScale) {
  DeltaToCumulative state({});
  auto low = exponential(1, 20, -1'000'000'000, {1});
  auto high = exponential(2, 20, 1'000'000'000, {1});
  ASSERT_TRUE(state.add(kKey, low, kNowMs));
  ASSERT_TRUE(state.add(kKey, high, kNowMs));
  EXPECT_EQ(high.count, 2U);
  EXPECT_LE(high.positive.counts.size(), static_cast<std::size_t>(DeltaToCumulative::kBucketsMax));
  EXPECT_EQ(high.positive.counts.front(), 1U);
  EXPECT_EQ(high.positive.counts.back(), 1U);
}

RC_GTEST_PROP(DeltaToCumulative, TotalsAreTheSumsOfTheParts, ()) {
  DeltaToCumulative state({});
  std::uint64_t total = 0;
  const int points = *rc::gen::inRange(1, 20);
  for (int i = 1; i <= points; ++i) {
    auto counts =
        *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(0, 50));
    auto point = exponential(static_cast<std::uint64_t>(i), *rc::gen::inRange(-4, 20),
                             *rc::gen::inRange(-3000, 3000), std::move(counts));
    total += point.count;
    RC_ASSERT(state.add(kKey, point, kNowMs).has_value());
    std::uint64_t in_buckets = 0;
    for (const std::uint64_t count : point.positive.counts) in_buckets += count;
    RC_ASSERT(in_buckets == total);
    RC_ASSERT(point.count == total);
  }
}

TEST(DeltaToCumulative, ThreadsMayAddAtOnce) {
  DeltaToCumulative state({});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&state, t] {
      for (std::uint64_t i = 1; i <= 500; ++i) {
        auto point = number(i, i + 1, 1);
        EXPECT_TRUE(state.add({.high = t, .low = t}, point, kNowMs));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(state.stream_count(), 4U);
  auto last = number(1000, 1001, 0);
  ASSERT_TRUE(state.add({.high = 3, .low = 3}, last, kNowMs));
  EXPECT_EQ(last.value, 500);
}

}  // namespace
}  // namespace gantry::codec
