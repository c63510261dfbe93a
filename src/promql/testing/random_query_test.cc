#include "promql/testing/random_query.h"

#include <set>

#include <gtest/gtest.h>

#include "promql/function_table.h"

namespace gantry::promql::promqltest {

namespace {

constexpr std::uint64_t kQueries = 20'000;

void collect(const Expr& expr, std::set<std::string_view>& seen) {
  if (const auto* call = std::get_if<Call>(&expr.node)) seen.insert(call->function->name);
  if (const auto* aggregate = std::get_if<Aggregate>(&expr.node))
    seen.insert(aggregate_op_text(aggregate->op));
  if (const auto* binary = std::get_if<Binary>(&expr.node)) seen.insert(binary_op_text(binary->op));
  for (const Expr* child : children(expr)) collect(*child, seen);
}

TEST(RandomQuery, ReachesEveryFunctionAggregatorAndOperator) {
  std::set<std::string_view> seen;
  for (std::uint64_t seed = 0; seed < kQueries; ++seed) {
    const auto parsed = parse(random_query(seed, {}), parser_options({}));
    ASSERT_TRUE(parsed) << seed << ": " << parsed.error().message;
    collect(**parsed, seen);
  }
  for (const FunctionSignature& function : all_functions())
    EXPECT_TRUE(seen.contains(function.name)) << function.name;
  for (int op = 0; op <= static_cast<int>(AggregateOp::LimitRatio); ++op) {
    EXPECT_TRUE(seen.contains(aggregate_op_text(static_cast<AggregateOp>(op)))) << op;
  }
  for (int op = 0; op <= static_cast<int>(BinaryOp::Unless); ++op) {
    EXPECT_TRUE(seen.contains(binary_op_text(static_cast<BinaryOp>(op)))) << op;
  }
}

TEST(RandomQuery, ReachesEveryModifier) {
  std::string all;
  for (std::uint64_t seed = 0; seed < kQueries; ++seed) all += random_query(seed, {}) + "\n";
  for (const std::string_view text :
       {" offset -", " @ start()", " @ end()",   " @ 1",        ":]",
        ":1m]",      " bool ",     "group_left", "group_right", "ignoring (",
        "on (",      "fill(",      "fill_left(", "fill_right(", "anchored",
        "smoothed",  "step()",     "range()",    "without (",   "{\"http.requests\""}) {
    EXPECT_NE(all.find(text), std::string::npos) << text;
  }
}

TEST(RandomQuery, HasNothingNewForOldVersions) {
  QueryFeatures features = QueryFeatures::of_prometheus_2_42();
  for (const bool histograms : {false, true}) {
    features.histograms = histograms;
    std::set<std::string_view> seen;
    for (std::uint64_t seed = 0; seed < kQueries; ++seed) {
      const std::string text = random_query(seed, features);
      const auto parsed = parse(text, parser_options(features));
      ASSERT_TRUE(parsed) << text;
      collect(**parsed, seen);
      EXPECT_EQ(text.find("{\""), std::string::npos) << text;
    }
    for (const std::string_view name : {"histogram_avg", "first_over_time", "info", "limitk", "</",
                                        "mad_over_time", "start", "sort_by_label"}) {
      EXPECT_FALSE(seen.contains(name)) << name;
    }
    EXPECT_EQ(seen.contains("histogram_count"), histograms);
  }
}

TEST(RandomQuery, DependsOnNothingButTheSeed) {
  EXPECT_EQ(random_query(7, {}), random_query(7, {}));
  EXPECT_NE(random_query(7, {}), random_query(8, {}));
}

}  // namespace

}  // namespace gantry::promql::promqltest
