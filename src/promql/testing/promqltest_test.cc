// The runner must fail where it should, or else all scripts pass.

#include "promql/testing/promqltest.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace gantry::promql::promqltest {
namespace {

constexpr std::string_view kLoad =
    "load 1m\n"
    "  up{job=\"a\"} 1 2 3\n"
    "  up{job=\"b\"} 4 5 6\n"
    "\n";

Report run(std::string_view block) {
  static const Engine engine(script_engine_options());
  return run_script(std::string(kLoad) + std::string(block), engine);
}

class PassingBlockTest : public testing::TestWithParam<std::string_view> {};

TEST_P(PassingBlockTest, Passes) {
  const Report report = run(GetParam());
  for (const Failure& failure : report.failures) ADD_FAILURE() << failure.message;
  EXPECT_EQ(report.eval_count, 1);
  EXPECT_EQ(report.passed_count, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, PassingBlockTest,
    testing::Values(
        "eval instant at 1m up\n  up{job=\"b\"} 5\n  up{job=\"a\"} 2",
        "eval instant at 1m sum(up)\n  {} 7", "eval instant at 1m scalar(sum(up))\n  7",
        "eval instant at 1m none", "eval instant at 1m \"x\"\n  expect string \"x\"",
        "eval instant at 1m sort_desc(up)\n  expect ordered\n  up{job=\"b\"} 5\n  "
        "up{job=\"a\"} 2",
        "eval range from 0 to 2m step 1m sum(up)\n  {} 5 7 9",
        "eval instant at 1m topk(NaN, up)\n  expect fail",
        "eval instant at 1m topk(NaN, up)\n  expect fail regex: value.*NaN",
        "eval instant at 2m up{job=\"a\"}[2m]\n  expect range vector from 1m to 2m "
        "step 1m\n  up{job=\"a\"} 2 3",
        "eval instant at 1m quantile(2, up)\n  expect warn\n  expect no_info\n  {} Inf"));

class FailingBlockTest : public testing::TestWithParam<std::string_view> {};

TEST_P(FailingBlockTest, Fails) {
  const Report report = run(GetParam());
  EXPECT_EQ(report.passed_count, 0);
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].line, 5);
  EXPECT_FALSE(report.failures[0].message.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, FailingBlockTest,
    testing::Values(
        "eval instant at 1m up\n  up{job=\"b\"} 5\n  up{job=\"a\"} 2.1",
        "eval instant at 1m up\n  up{job=\"b\"} 5",
        "eval instant at 1m sum(up)\n  {} 7\n  {job=\"c\"} 1", "eval instant at 1m sum(up)\n  7",
        "eval instant at 1m scalar(sum(up))\n  {} 7", "eval instant at 1m scalar(sum(up))\n  8",
        "eval instant at 1m up", "eval instant at 1m sum(up)\n  {} {{count:7}}",
        "eval instant at 1m \"x\"\n  expect string \"y\"", "eval instant at 1m \"x\"\n  {} 1",
        "eval instant at 1m up\n  expect string \"y\"",
        "eval instant at 1m sort(up)\n  expect ordered\n  up{job=\"b\"} 5\n  "
        "up{job=\"a\"} 2",
        "eval range from 0 to 2m step 1m sum(up)\n  {} 5 7 8",
        "eval range from 0 to 2m step 1m sum(up)\n  {} 5 _ 9",
        "eval range from 0 to 2m step 1m sum(up)\n  {} 5 7",
        "eval range from 0 to 1m step 1m sum(up)\n  {} 5 7 9",
        "eval range from 0 to 2m step 1m sum(up)\n  5", "eval instant at 1m up\n  expect fail",
        "eval instant at 1m topk(NaN, up)\n  expect fail msg: something else",
        "eval instant at 1m topk(NaN, up)", "eval instant at 1m sum(up\n  expect fail",
        "eval instant at 1m sum(up)\n  expect warn\n  {} 7",
        "eval instant at 1m quantile(2, up)\n  expect no_warn\n  {} Inf",
        "eval instant at 1m quantile(2, up)\n  expect warn msg: other\n  {} Inf", "eval nonsense"));

TEST(Promqltest, ABrokenBlockIsAFailureAndStopsNothing) {
  const Report report = run("nonsense\n\neval instant at 1m sum(up)\n  {} 7\n");
  EXPECT_EQ(report.eval_count, 1);
  EXPECT_EQ(report.passed_count, 1);
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].line, 5);
}

TEST(Promqltest, ClearForgets) {
  EXPECT_EQ(run("clear\n\neval instant at 1m up\n").passed_count, 1);
}

}  // namespace
}  // namespace gantry::promql::promqltest
