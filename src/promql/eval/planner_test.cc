#include "promql/eval/planner.h"

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>

#include <gtest/gtest.h>

#include "promql/parser.h"

namespace gantry::promql::eval {
namespace {

struct StatisticsCase {
  std::string_view name, query, marked;
};

class StatisticsOnlyTest : public testing::TestWithParam<StatisticsCase> {};

TEST_P(StatisticsOnlyTest, Marks) {
  ParserOptions options;
  options.experimental_functions = true;
  const auto root = parse(GetParam().query, options);
  ASSERT_TRUE(root.has_value()) << root.error().message;
  std::set<std::string> names;
  for (const VectorSelector* selector : find_statistics_only(**root)) names.insert(selector->name);
  std::string marked;
  for (const std::string& name : names) marked += name;
  EXPECT_EQ(marked, GetParam().marked);
}

INSTANTIATE_TEST_SUITE_P(
    Queries, StatisticsOnlyTest,
    testing::Values(
        StatisticsCase{"bare", "a", ""}, StatisticsCase{"count", "histogram_count(a)", "a"},
        StatisticsCase{"sum", "histogram_sum((a))", "a"},
        StatisticsCase{"avg_of_a_rate", "histogram_avg(sum(rate(a[5m])))", "a"},
        StatisticsCase{"both_sides", "histogram_count(a + b) / c", "ab"},
        StatisticsCase{"another_function", "histogram_stddev(a)", ""},
        StatisticsCase{"subquery_below", "histogram_count(sum_over_time(a[5m:1m]))", ""},
        StatisticsCase{"subquery_above", "max_over_time(histogram_count(a)[5m:1m])", ""},
        StatisticsCase{"quantile_below", "histogram_count(histogram_quantile(0.5, a) * b)", "b"},
        StatisticsCase{"quantile_above", "histogram_quantile(0.5, histogram_count(a))", ""},
        StatisticsCase{"quantile_argument", "histogram_quantile(scalar(histogram_sum(a)), b)", ""},
        StatisticsCase{"fraction_beside", "histogram_fraction(0, 1, a) / histogram_count(b)", "b"},
        StatisticsCase{"trim_below", "histogram_count(a </ 2)", ""},
        StatisticsCase{"trim_above", "histogram_count(a) >/ 2", ""}),
    [](const auto& info) { return std::string(info.param.name); });

struct SpanCase {
  std::string_view name, query;
  std::int64_t query_ms, span_ms;
};

class RowSpanTest : public testing::TestWithParam<SpanCase> {};

TEST_P(RowSpanTest, AddsUpWhatEncloses) {
  const auto root = parse(GetParam().query, {});
  ASSERT_TRUE(root.has_value()) << root.error().message;
  EXPECT_EQ(row_span_ms(**root, GetParam().query_ms), GetParam().span_ms);
}

INSTANTIATE_TEST_SUITE_P(
    Queries, RowSpanTest,
    testing::Values(SpanCase{"scalar", "1", 7, 7}, SpanCase{"instant", "a", 7, 7},
                    SpanCase{"range", "rate(a[5m])", 1000, 301'000},
                    SpanCase{"longest_side", "rate(a[5m]) + sum(rate(b[7m]))", 0, 420'000},
                    SpanCase{"subquery", "max_over_time(rate(a[5m])[1h:1m])", 0, 3'900'000},
                    SpanCase{"saturated", "rate(a[5m])", std::numeric_limits<std::int64_t>::max(),
                             std::numeric_limits<std::int64_t>::max()}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gantry::promql::eval
