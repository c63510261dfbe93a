// Tests of labels and native histograms.

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"
#include "telemetry/sample.h"

namespace gantry::telemetry {
namespace {

TEST(Labels, AreSortedWithoutEmptyValues) {
  const Labels labels = make_labels({{"b", "1"}, {"a", "2"}, {"c", ""}, {"b", "3"}});
  EXPECT_EQ(labels, (Labels{{"a", "2"}, {"b", "3"}}));
}

TEST(Labels, CompareAsPrometheus) {
  const Labels a = {{"a", "1"}};
  const Labels ab = {{"a", "1"}, {"b", "1"}};
  const Labels b = {{"b", "0"}};
  EXPECT_LT(compare_labels(a, ab), 0);
  EXPECT_LT(compare_labels(ab, b), 0);
  EXPECT_EQ(compare_labels(b, b), 0);
}

TEST(Labels, PrintAsPrometheus) {
  const Labels labels = {{"__name__", "up"}, {"a.b", "x\n\"\\"}, {"job", "\xff"}};
  EXPECT_EQ(format_labels(labels), R"({__name__="up", "a.b"="x\n\"\\", job="\xff"})");
  EXPECT_EQ(format_series(labels), R"(up{"a.b"="x\n\"\\", job="\xff"})");
  EXPECT_EQ(format_series(Labels{{"__name__", "up"}}), "up");
  EXPECT_EQ(format_series(Labels{}), "{}");
}

IntegerHistogram example() {
  return {.schema = 0,
          .zero_threshold = 0.001,
          .zero_count = 2,
          .count = 9,
          .sum = 12.5,
          .positive_spans = {{.offset = 0, .length = 2}, {.offset = 1, .length = 1}},
          .negative_spans = {{.offset = 0, .length = 1}},
          .positive_counts = {1, 2, 3},
          .negative_counts = {1}};
}

TEST(NativeHistogram, AcceptsAConsistentOne) {
  EXPECT_TRUE(validate(example()));
}

TEST(NativeHistogram, NamesTheBrokenRule) {
  auto h = example();
  h.count = 8;
  EXPECT_EQ(validate(h).error().message,
            "9 observations found in buckets, but the count field is 8");
  h = example();
  h.positive_counts.pop_back();
  EXPECT_EQ(validate(h).error().message, "positive side: spans need 3 buckets, have 2 buckets");
  h = example();
  h.positive_spans[1].offset = -1;
  EXPECT_EQ(validate(h).error().message,
            "positive side: span number 2 with offset -1 would overlap the one before");
  h = example();
  h.schema = 9;
  EXPECT_EQ(validate(h).error().message, "histogram schema 9 is unknown, it must be -4..8 or -53");
  h = example();
  h.positive_counts = {std::numeric_limits<std::uint64_t>::max(), 2, 3};
  EXPECT_EQ(validate(h).error().message, "positive side: bucket counts overflow 64 bits");
}

TEST(NativeHistogram, TakesAStaleMarkerAsItIs) {
  IntegerHistogram h;
  h.schema = 99;
  h.sum = stale_nan();
  EXPECT_TRUE(validate(h));
  EXPECT_TRUE(is_stale(h));
}

TEST(NativeHistogram, ChecksCustomBounds) {
  FloatHistogram h{.schema = kCustomBucketsSchema,
                   .count = 3,
                   .sum = 4,
                   .positive_spans = {{.offset = 0, .length = 2}},
                   .positive_counts = {1, 2},
                   .custom_values = {5}};
  EXPECT_TRUE(validate(h));
  h.custom_values = {5, 4};
  EXPECT_FALSE(validate(h));
  h.custom_values = {};
  EXPECT_EQ(validate(h).error().message,
            "custom buckets: only 0 bounds for the buckets of the spans");
}

TEST(NativeHistogram, ListsBucketsFromLowToHigh) {
  const auto buckets = list_buckets(to_float(example()));
  std::vector<double> bounds;
  for (const Bucket& bucket : buckets) {
    bounds.push_back(bucket.lower);
    bounds.push_back(bucket.upper);
  }
  EXPECT_EQ(bounds, (std::vector<double>{-1, -0.5, -0.001, 0.001, 0.5, 1, 1, 2, 4, 8}));
  EXPECT_EQ(format_histogram(to_float(example())),
            "{count:9, sum:12.5, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, (1,2]:2, (4,8]:3}");
}

TEST(NativeHistogram, ListedBucketsBeginWhereTheZeroBucketEnds) {
  FloatHistogram h{.schema = 0,
                   .zero_threshold = 3,
                   .zero_count = 4,
                   .count = 10,
                   .sum = 1,
                   .positive_spans = {{.offset = 1, .length = 3}},
                   .negative_spans = {{.offset = 2, .length = 2}},
                   .positive_counts = {1, 1, 1},
                   .negative_counts = {1, 2}};
  const auto edges_of = [](const std::vector<Bucket>& buckets) {
    std::vector<double> edges;
    for (const Bucket& bucket : buckets) edges.insert(edges.end(), {bucket.lower, bucket.upper});
    return edges;
  };
  EXPECT_EQ(edges_of(list_buckets(h)),
            (std::vector<double>{-8, -4, -4, -3, -3, 3, 3, 2, 3, 4, 4, 8}));
  EXPECT_EQ(format_histogram(h),
            "{count:10, sum:1, [-8,-4):2, [-4,-2):1, [-3,3]:4, (1,2]:1, (2,4]:1, (4,8]:1}");
  h.zero_count = -1;
  EXPECT_EQ(edges_of(list_buckets(h)), (std::vector<double>{-8, -4, -4, -3, 3, 2, 3, 4, 4, 8}));
  EXPECT_EQ(format_histogram(h),
            "{count:10, sum:1, [-8,-4):2, [-4,-2):1, [-3,3]:-1, (1,2]:1, (2,4]:1, (4,8]:1}");
}

TEST(NativeHistogram, CustomBucketsAroundZeroAreListedWhole) {
  const FloatHistogram h{.schema = kCustomBucketsSchema,
                         .count = 3,
                         .sum = 4,
                         .positive_spans = {{.offset = 0, .length = 3}},
                         .positive_counts = {1, 1, 1},
                         .custom_values = {-1, 1}};
  const auto buckets = list_buckets(h);
  ASSERT_EQ(buckets.size(), 3U);
  EXPECT_EQ(buckets[0].upper, -1);
  EXPECT_EQ(buckets[1].lower, -1);
  EXPECT_EQ(buckets[1].upper, 1);
  EXPECT_EQ(buckets[2].lower, 1);
}

TEST(NativeHistogram, IdentityIsByBits) {
  auto a = example();
  auto b = example();
  EXPECT_TRUE(is_identical(a, b));
  a.sum = stale_nan();
  b.sum = std::nan("");
  EXPECT_FALSE(is_identical(a, b));
  EXPECT_FALSE(is_identical(a, to_float(a)));
}

}  // namespace
}  // namespace gantry::telemetry
