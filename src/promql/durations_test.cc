#include "promql/durations.h"

#include <string>
#include <string_view>
#include <variant>

#include <gtest/gtest.h>

#include "promql/parser.h"

namespace gantry::promql {
namespace {

constexpr QueryTimes kTimes{.start_ms = 60'000, .end_ms = 660'000, .step_ms = 15'000};

ExprPtr parsed(std::string_view query) {
  auto expr = parse(query);
  EXPECT_TRUE(expr) << query << ": " << (expr ? "" : expr.error().message);
  return expr ? *std::move(expr) : nullptr;
}

TEST(Durations, ResolvesRanges) {
  const std::pair<std::string_view, std::int64_t> cases[] = {
      {"x[5m]", 300'000},
      {"x[90]", 90'000},
      {"x[4.18]", 4'180},
      {"x[(5s)]", 5'000},
      {"x[5m + 30]", 330'000},
      {"x[2 * 3m - 10s]", 350'000},
      {"x[2 ^ 3 ^ 2]", 512'000},
      {"x[-2 ^ 2 + 10]", 6'000},
      {"x[10 % 4]", 2'000},
      {"x[7 / 2]", 3'500},
      {"x[step()]", 15'000},
      {"x[range()]", 600'000},
      {"x[range() / step() * 1s]", 40'000},
      {"x[max_of(step(), 1m)]", 60'000},
      {"x[min_of(step(), 1m)]", 15'000},
      {"x[1 / 3]", 333},
  };
  for (const auto& [query, expected] : cases) {
    const ExprPtr expr = parsed(query);
    ASSERT_NE(expr, nullptr);
    const auto resolved = resolve_durations(*expr, kTimes);
    ASSERT_TRUE(resolved) << query << ": " << resolved.error().message;
    EXPECT_EQ(std::get<MatrixSelector>(expr->node).range_ms, expected) << query;
  }
}

TEST(Durations, ResolvesStepsAndOffsetsAnywhereInTheTree) {
  const ExprPtr expr = parsed("sum(x offset -(1m + step())) + max_over_time(y[1h:2 * step()])");
  ASSERT_TRUE(resolve_durations(*expr, kTimes.start_ms, kTimes.end_ms, kTimes.step_ms));
  const auto& binary = std::get<Binary>(expr->node);
  const auto& selector =
      std::get<VectorSelector>(std::get<Aggregate>(binary.left->node).expr->node);
  EXPECT_EQ(selector.time.offset_ms, -75'000);
  const auto& subquery =
      std::get<Subquery>(std::get<Call>(binary.right->node).arguments.front()->node);
  EXPECT_EQ(subquery.range_ms, 3'600'000);
  EXPECT_EQ(subquery.step_ms, 30'000);
}

TEST(Durations, RefusesWhatOnlyEvaluationCanTell) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"rate(x[step() - 15])", "7:18: duration must be greater than 0"},
      {"x[1m / (step() - 15)]", "2:19: division by zero"},
      {"x[step() / 1e5]", "2:14: duration must be greater than 0"},
      {"x[1m % (step() - 15)]", "2:19: modulo by zero"},
      {"x[step() ^ 1000]", "2:15: duration is NaN or infinite"},
      {"x[step() ^ 30]", "2:13: duration is out of range"},
      {"x offset ((-step()) ^ 0.5)", "11:25: duration is NaN or infinite"},
  };
  for (const auto& [query, expected] : cases) {
    const ExprPtr expr = parsed(query);
    ASSERT_NE(expr, nullptr);
    const auto resolved = resolve_durations(*expr, kTimes);
    ASSERT_FALSE(resolved) << query;
    EXPECT_EQ(resolved.error().message, expected) << query;
    EXPECT_EQ(resolved.error().code, Code::InvalidArgument);
  }
  // An instant query has no step.
  const ExprPtr expr = parsed("x[step()]");
  EXPECT_FALSE(resolve_durations(*expr, {.start_ms = 5, .end_ms = 5, .step_ms = 0}));
}

TEST(Durations, RoundsLiteralsAsPrometheusDoes) {
  EXPECT_EQ(literal_duration_ms(4.018), 4018);
  EXPECT_EQ(literal_duration_ms(-7.5), -7500);
  EXPECT_EQ(literal_duration_ms(0.0019999999999), 2);
  EXPECT_EQ(literal_duration_ms(0.0019), 1);
  EXPECT_EQ(literal_duration_ms(9223372036.854775), 9223372036854);
  EXPECT_EQ(literal_duration_ms(-1e300), -9223372036854);
}

}  // namespace
}  // namespace gantry::promql
