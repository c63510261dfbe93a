#include "promql/histogram/accumulate.h"

#include <cmath>
#include <limits>
#include <optional>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/histogram/reference.h"
#include "promql/kernels/sum.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using telemetry::format_histogram;

FloatHistogram make(std::vector<double> counts) {
  FloatHistogram h;
  for (const double count : counts) h.count += count;
  h.sum = h.count;
  h.positive_spans = {{.offset = 0, .length = static_cast<std::uint32_t>(counts.size())}};
  h.positive_counts = std::move(counts);
  return h;
}

TEST(HistogramTotal, OneHistogramIsItself) {
  Total total;
  EXPECT_TRUE(total.is_empty());
  total.add(make({1, 0, 2}));
  EXPECT_EQ(format_histogram(total.result()), "{count:3, sum:3, (0.5,1]:1, (2,4]:2}");
}

TEST(HistogramTotal, KeepsWhatRoundingWouldLose) {
  Total total;
  for (const double value : {1e100, 1.0, -1e100}) total.add(make({value}));
  EXPECT_EQ(format_histogram(total.result()), "{count:1, sum:1, (0.5,1]:1}");
}

TEST(HistogramTotal, ReportsWhatItMet) {
  FloatHistogram reset = make({1});
  reset.hint = CounterResetHint::Reset;
  FloatHistogram not_reset = make({1});
  not_reset.hint = CounterResetHint::NotReset;
  Total total;
  total.add(reset);
  total.add(make({1}));
  EXPECT_FALSE(total.notes().has_hint_conflict);
  total.add(not_reset);
  EXPECT_TRUE(total.notes().has_hint_conflict) << "whatever lay between them";
  FloatHistogram custom = make({1});
  custom.schema = telemetry::kCustomBucketsSchema;
  custom.custom_values = {1};
  EXPECT_TRUE(total.notes().is_possible);
  total.add(custom);
  total.add(make({1}));
  EXPECT_FALSE(total.notes().is_possible);
  EXPECT_EQ(total.count(), 5U);
}

TEST(HistogramMean, GoesOnWhereTheSumWouldOverflow) {
  Mean mean;
  for (const double value : {1.6e308, 1.2e308, 1.4e308}) mean.add(make({value}));
  const FloatHistogram result = mean.result();
  EXPECT_DOUBLE_EQ(result.count, 1.4e308);
  EXPECT_DOUBLE_EQ(result.positive_counts.at(0), 1.4e308);
}

TEST(HistogramMean, AnInfinityStaysOne) {
  Mean mean;
  FloatHistogram h = make({1});
  h.sum = std::numeric_limits<double>::infinity();
  mean.add(make({1}));
  mean.add(h);
  EXPECT_TRUE(std::isinf(mean.result().sum));
  EXPECT_DOUBLE_EQ(mean.result().count, 1);
}

double random_number() {
  return *rc::gen::element(0.1, 1.0, 3.0, -0.7, 1e16, -1e16, 1e100, -1e100, 123456.789);
}

RC_GTEST_PROP(HistogramTotal, EachNumberIsACompensatedSumToTheBit, ()) {
  const auto bucket_count = *rc::gen::inRange<std::size_t>(1, 5);
  std::vector<kernels::NeumaierSum> expected(bucket_count);
  std::vector<kernels::Mean> expected_mean(bucket_count);
  kernels::NeumaierSum expected_count;
  Total total;
  Mean mean;
  const int times = *rc::gen::inRange(2, 6);
  for (int i = 0; i < times; ++i) {
    std::vector<double> counts(bucket_count);
    for (std::size_t k = 0; k < bucket_count; ++k) {
      counts[k] = random_number();
      // The first value starts the sum, as an addition to 0 does.
      expected[k].add(counts[k]);
      expected_mean[k].add(counts[k]);
    }
    const FloatHistogram h = make(counts);
    expected_count.add(h.count);
    total.add(h);
    mean.add(h);
  }
  const auto at = [](const FloatHistogram& h, std::size_t index) {
    const BucketMap buckets = Model(h).positive;
    const auto found = buckets.find(static_cast<std::int64_t>(index));
    return found == buckets.end() ? 0 : found->second;
  };
  RC_ASSERT(total.result().count == expected_count.result());
  for (std::size_t k = 0; k < bucket_count; ++k) {
    RC_ASSERT(at(total.result(), k) == expected[k].result());
    RC_ASSERT(at(mean.result(), k) == expected_mean[k].result());
  }
}

RC_GTEST_PROP(HistogramTotal, AnyLayoutAndAnySplitGiveTheSameBuckets, ()) {
  const bool is_custom = *rc::gen::inRange(0, 3) == 0;
  const int times = *rc::gen::inRange(1, 6);
  Total whole;
  Total parts[2];
  Mean mean_of_parts[2];
  std::optional<Model> expected;
  for (int i = 0; i < times; ++i) {
    const FloatHistogram h = is_custom ? random_custom() : random_exponential();
    whole.add(h);
    parts[i % 2].add(h);
    mean_of_parts[i % 2].add(h);
    expected = expected ? plain_sum(*expected, Model(h), 1) : Model(h);
  }
  RC_ASSERT(Model(whole.result()) == *expected);
  parts[0].merge(parts[1]);
  RC_ASSERT(parts[0].count() == static_cast<std::uint64_t>(times));
  const Model merged(parts[0].result());
  RC_ASSERT(merged.count == expected->count);
  RC_ASSERT(merged.sum == expected->sum);
  mean_of_parts[0].merge(mean_of_parts[1]);
  RC_ASSERT(std::abs(mean_of_parts[0].result().count * times - expected->count) < 1e-9);
}

}  // namespace
}  // namespace gantry::promql::histogram
