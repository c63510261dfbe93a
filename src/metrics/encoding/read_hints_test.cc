#include "metrics/encoding/read_hints.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "telemetry/sample.h"

namespace gantry::metrics {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

FloatHistogram histogram(std::vector<double> counts, std::int32_t offset = 0) {
  FloatHistogram made;
  made.schema = 1;
  made.positive_spans = {{.offset = offset, .length = static_cast<std::uint32_t>(counts.size())}};
  for (const double count : counts) made.count += count;
  made.positive_counts = std::move(counts);
  return made;
}

FloatHistogram with_hint(FloatHistogram made, CounterResetHint hint) {
  made.hint = hint;
  return made;
}

FloatHistogram stale() {
  FloatHistogram made;
  made.sum = telemetry::stale_nan();
  return made;
}

/// One letter each: u, n, g; an r would be a Reset that got out.
std::string hints(std::vector<FloatHistogram> histograms) {
  std::vector<FloatHistogram*> pointers;
  for (FloatHistogram& one : histograms) pointers.push_back(&one);
  set_read_hints(pointers);
  std::string text;
  for (const FloatHistogram& one : histograms) text += "urng"[static_cast<int>(one.hint)];
  return text;
}

TEST(ReadHints, TheFirstIsUnknownAndThoseThatGoOnAreNotReset) {
  EXPECT_EQ(hints({}), "");
  EXPECT_EQ(hints({histogram({1, 2}), histogram({1, 2}), histogram({2, 2})}), "unn");
}

TEST(ReadHints, AResetIsLeftToBeFound) {
  EXPECT_EQ(hints({histogram({1, 2}), histogram({2, 1}), histogram({2, 2})}), "uun");
  EXPECT_EQ(hints({histogram({1, 2}), histogram({0, 1}), histogram({0, 1})}), "uun");
  FloatHistogram zero_lost = histogram({1, 2});
  zero_lost.zero_count = 3;
  zero_lost.count += 3;
  FloatHistogram zero_less = zero_lost;
  zero_less.zero_count = 2;
  EXPECT_EQ(hints({zero_lost, zero_less}), "uu");
  FloatHistogram negative = histogram({});
  negative.negative_spans = {{.offset = 0, .length = 1}};
  negative.negative_counts = {4};
  negative.count = 4;
  EXPECT_EQ(hints({negative, negative, histogram({9})}), "unu");
}

TEST(ReadHints, BucketsMayComeButNotGo) {
  EXPECT_EQ(hints({histogram({1, 2}), histogram({0, 0, 1, 2, 5}, -2)}), "un");
  EXPECT_EQ(hints({histogram({0, 0, 1, 2, 0}, -2), histogram({1, 2})}), "un");
  EXPECT_EQ(hints({histogram({1, 2}), histogram({5, 5}, 1)}), "uu");
}

TEST(ReadHints, WhatCameIsNotTrusted) {
  const FloatHistogram low = histogram({1});
  const FloatHistogram high = histogram({2});
  EXPECT_EQ(
      hints({with_hint(low, CounterResetHint::NotReset), with_hint(high, CounterResetHint::Reset),
             with_hint(low, CounterResetHint::NotReset)}),
      "uuu");
}

TEST(ReadHints, GaugesStayGauges) {
  const FloatHistogram gauge = with_hint(histogram({3}), CounterResetHint::Gauge);
  EXPECT_EQ(hints({gauge, gauge, histogram({4}), histogram({5}), gauge}), "ggung");
}

TEST(ReadHints, AnotherLayoutBeginsAnew) {
  FloatHistogram coarse = histogram({5});
  coarse.schema = 0;
  FloatHistogram wide = histogram({5});
  wide.zero_threshold = 0.5;
  FloatHistogram custom = histogram({5});
  custom.schema = telemetry::kCustomBucketsSchema;
  custom.custom_values = {1};
  FloatHistogram other = custom;
  other.custom_values = {2};
  EXPECT_EQ(hints({histogram({5}), coarse, wide, custom, custom, other}), "uuuunu");
}

TEST(ReadHints, StaleMarkersGoOnAndEndTheCounter) {
  EXPECT_EQ(hints({histogram({1}), stale(), stale(), histogram({2}), histogram({3})}), "unnun");
}

TEST(ReadHints, ForgettingCopies) {
  auto shared =
      std::make_shared<const FloatHistogram>(with_hint(histogram({1}), CounterResetHint::NotReset));
  const auto before = shared;
  forget_hint(shared);
  EXPECT_EQ(shared->hint, CounterResetHint::Unknown);
  EXPECT_EQ(before->hint, CounterResetHint::NotReset);
  EXPECT_EQ(shared->positive_counts, before->positive_counts);
  const auto unchanged = shared;
  forget_hint(shared);
  EXPECT_EQ(shared, unchanged);
}

/// Plain twin: buckets by index, absent ones zero.
std::map<std::int64_t, double> by_index(const FloatHistogram& histogram) {
  std::map<std::int64_t, double> out;
  std::int64_t index = 0;
  std::size_t at = 0;
  for (const telemetry::BucketSpan& span : histogram.positive_spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i) out[index++] = histogram.positive_counts[at++];
  }
  return out;
}

FloatHistogram random_histogram() {
  FloatHistogram made;
  const int spans = *rc::gen::inRange(0, 4);
  for (int i = 0; i < spans; ++i) {
    const auto length = static_cast<std::uint32_t>(*rc::gen::inRange(0, 3));
    made.positive_spans.push_back(
        {.offset = *rc::gen::inRange(i == 0 ? -2 : 0, 3), .length = length});
    for (std::uint32_t n = 0; n < length; ++n) {
      made.positive_counts.push_back(*rc::gen::inRange(0, 3));
    }
  }
  made.count = 100;
  return made;
}

RC_GTEST_PROP(ReadHints, BucketsAreComparedByIndex, ()) {
  const FloatHistogram before = random_histogram();
  const FloatHistogram now = random_histogram();
  std::map<std::int64_t, double> buckets = by_index(now);
  bool has_decrease = false;
  for (const auto& [index, count] : by_index(before)) has_decrease |= buckets[index] < count;
  RC_ASSERT(hints({before, now}) == (has_decrease ? "uu" : "un"));
}

}  // namespace
}  // namespace gantry::metrics
