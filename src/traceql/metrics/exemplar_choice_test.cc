#include "traceql/metrics/exemplar_choice.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "traceql/testing/span_builder.h"

namespace gantry::traceql::metrics {
namespace {

constexpr Intervals kIntervals{.start_ns = 1000, .end_ns = 2000, .step_ns = 100, .count = 10};

ExemplarCandidate candidate(std::uint64_t trace, std::int64_t start_ns) {
  const telemetry::TraceId id = traceql::testing::trace_id(trace);
  return {.trace_id = id, .rank = exemplar_rank(id), .start_ns = start_ns, .labels = {}};
}

std::vector<std::int64_t> starts(std::vector<ExemplarCandidate> chosen) {
  std::vector<std::int64_t> result;
  for (const ExemplarCandidate& c : chosen) result.push_back(c.start_ns);
  return result;
}

TEST(ExemplarChoice, KeepsTwoInEachSliceByTime) {
  ExemplarChoice choice(kIntervals, 8);  // Four slices.
  std::uint64_t trace = 1;
  for (std::int64_t start = 1001; start <= 2000; start += 1)
    choice.offer(candidate(trace++, start));
  const auto chosen = starts(choice.take());
  ASSERT_EQ(chosen.size(), 8U);
  EXPECT_TRUE(std::ranges::is_sorted(chosen));
  EXPECT_EQ(std::ranges::count_if(chosen, [](std::int64_t s) { return s <= 1250; }), 2);
  EXPECT_EQ(std::ranges::count_if(chosen, [](std::int64_t s) { return s > 1752; }), 2);
}

TEST(ExemplarChoice, IsTheSameInWhateverOrderTheyCome) {
  std::vector<ExemplarCandidate> candidates;
  for (std::uint64_t trace = 1; trace <= 300; ++trace) {
    candidates.push_back(candidate(trace, 1000 + static_cast<std::int64_t>(trace * 3)));
  }
  ExemplarChoice in_order(kIntervals, 10);
  for (const auto& c : candidates) in_order.offer(c);
  std::ranges::shuffle(candidates, std::mt19937(7));  // NOLINT: the seed is the point
  ExemplarChoice shuffled(kIntervals, 10);
  for (const auto& c : candidates) shuffled.offer(c);
  EXPECT_EQ(starts(in_order.take()), starts(shuffled.take()));
}

TEST(ExemplarChoice, NeverKeepsMoreThanWasAskedFor) {
  for (const std::uint32_t count_max : {0U, 1U, 2U, 3U, 7U}) {
    ExemplarChoice choice(kIntervals, count_max);
    EXPECT_EQ(choice.keeps_any(), count_max != 0);
    for (std::uint64_t trace = 1; trace <= 50; ++trace) {
      choice.offer(candidate(trace, 1000 + static_cast<std::int64_t>(trace * 20)));
    }
    EXPECT_LE(choice.take().size(), count_max);
  }
}

TEST(ExemplarChoice, TraceIdsAreShownWithoutLeadingZeros) {
  EXPECT_EQ(trace_id_text(traceql::testing::trace_id(0x2f3e)), "2f3e");
}

}  // namespace
}  // namespace gantry::traceql::metrics
