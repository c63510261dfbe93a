#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/histogram/arithmetic.h"
#include "promql/histogram/reference.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

FloatHistogram make(std::int32_t offset, std::vector<double> counts) {
  FloatHistogram h;
  for (const double count : counts) h.count += count;
  h.positive_spans = {{.offset = offset, .length = static_cast<std::uint32_t>(counts.size())}};
  h.positive_counts = std::move(counts);
  return h;
}

TEST(HistogramCounterReset, TheHintOfTheCurrentOneDecides) {
  FloatHistogram current = make(0, {1});
  const FloatHistogram previous = make(0, {5});
  EXPECT_TRUE(is_counter_reset(current, previous));
  current.hint = CounterResetHint::NotReset;
  EXPECT_FALSE(is_counter_reset(current, previous));
  current = make(0, {9});
  current.hint = CounterResetHint::Reset;
  EXPECT_TRUE(is_counter_reset(current, previous));
  current.hint = CounterResetHint::Gauge;
  EXPECT_FALSE(is_counter_reset(current, previous));
}

TEST(HistogramCounterReset, ABucketThatLostObservationsIsEnough) {
  EXPECT_TRUE(is_counter_reset(make(0, {1, 9}), make(0, {2, 3})));
  EXPECT_TRUE(is_counter_reset(make(1, {9}), make(0, {2, 3})));
  EXPECT_FALSE(is_counter_reset(make(1, {9}), make(0, {0, 3})));
  EXPECT_FALSE(is_counter_reset(make(0, {2, 3}), make(0, {2, 3})));
}

TEST(HistogramCounterReset, AFinerSchemaOrANarrowerZeroBucketIsOne) {
  FloatHistogram previous = make(0, {1});
  FloatHistogram current = make(0, {9});
  current.schema = 1;
  EXPECT_TRUE(is_counter_reset(current, previous));
  current.schema = 0;
  previous.zero_threshold = 0.1;
  EXPECT_TRUE(is_counter_reset(current, previous));
}

TEST(HistogramCounterReset, AWiderZeroBucketTakesWholeBuckets) {
  const FloatHistogram previous = make(0, {3, 4});  // (0.5,1], (1,2]
  FloatHistogram current = make(1, {5});
  current.zero_threshold = 1;
  current.zero_count = 3;
  current.count = 8;
  EXPECT_FALSE(is_counter_reset(current, previous));
  current.zero_count = 2;
  EXPECT_TRUE(is_counter_reset(current, previous));
  current.zero_count = 9;
  current.zero_threshold = 0.75;
  EXPECT_TRUE(is_counter_reset(current, previous)) << "a bucket cannot be absorbed in part";
}

TEST(HistogramCounterReset, CustomBucketsCompareBetweenCommonBounds) {
  const auto custom = [](std::vector<double> bounds, std::vector<double> counts) {
    FloatHistogram h = make(0, std::move(counts));
    h.schema = telemetry::kCustomBucketsSchema;
    h.custom_values = std::move(bounds);
    return h;
  };
  EXPECT_FALSE(is_counter_reset(custom({1, 2}, {1, 2, 3}), custom({2, 4}, {3, 1, 2})));
  EXPECT_TRUE(is_counter_reset(custom({1, 2}, {1, 2, 9}), custom({2, 4}, {4, 1, 2})));
  EXPECT_TRUE(is_counter_reset(custom({1}, {9}), make(0, {1})));
  EXPECT_TRUE(is_counter_reset(make(0, {9}), custom({1}, {1})));
}

bool plain_reset(const FloatHistogram& current, const FloatHistogram& previous) {
  const bool is_custom = current.uses_custom_buckets();
  if (current.count < previous.count || is_custom != previous.uses_custom_buckets()) return true;
  Model now(current);
  Model before(previous);
  if (is_custom) {
    std::vector<double> bounds;
    std::ranges::set_intersection(now.custom_values, before.custom_values,
                                  std::back_inserter(bounds));
    now.fold(bounds);
    before.fold(bounds);
  } else {
    if (now.schema > before.schema || now.zero_threshold < before.zero_threshold) return true;
    before.widen(now.zero_threshold);
    if (now.zero_threshold != before.zero_threshold || now.zero_count < before.zero_count) {
      return true;
    }
    before.reduce(now.schema);
  }
  const auto lost = [](const BucketMap& after, const BucketMap& buckets) {
    return std::ranges::any_of(buckets, [&](const auto& bucket) {
      const auto found = after.find(bucket.first);
      return (found == after.end() ? 0 : found->second) < bucket.second;
    });
  };
  return lost(now.positive, before.positive) || lost(now.negative, before.negative);
}

RC_GTEST_PROP(HistogramCounterReset, EqualsThePlainDefinition, ()) {
  const FloatHistogram previous = random_histogram();
  FloatHistogram current = random_histogram();
  // Independent ones are nearly always a reset: grow the previous one, half of the time.
  if (*rc::gen::inRange(0, 2) == 0) {
    const FloatHistogram increment = current;
    current = previous;
    RC_PRE(add(current, increment).is_possible);
  }
  RC_ASSERT(is_counter_reset(current, previous) == plain_reset(current, previous));
}

}  // namespace
}  // namespace gantry::promql::histogram
