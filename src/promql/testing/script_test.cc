#include "promql/testing/script.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <gtest/gtest.h>

#include "promql/parser.h"
#include "promql/printer.h"
#include "promql/testing/pin_time.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {
namespace {

const Eval& eval_of(const Command& command) {
  return std::get<Eval>(command.body);
}

TEST(Script, SplitsIntoCommandsWithTheirLines) {
  const auto commands = parse_script(
      "# a comment\n"
      "load 5m\n"
      "  up{job=\"a\"} 1 2\n"
      "\n"
      "clear\n"
      "  eval instant at 1h30m sum(up)\n"
      "    {} 3\n");
  ASSERT_EQ(commands.size(), 3u);
  EXPECT_EQ(commands[0].line, 2);
  EXPECT_EQ(std::get<Load>(commands[0].body).step_ms, 300'000);
  EXPECT_EQ(std::get<Load>(commands[0].body).lines.size(), 1u);
  EXPECT_EQ(commands[1].line, 5);
  EXPECT_TRUE(std::holds_alternative<Clear>(commands[1].body));
  EXPECT_EQ(commands[2].line, 6);
  EXPECT_EQ(eval_of(commands[2]).query, "sum(up)");
  EXPECT_EQ(eval_of(commands[2]).grid.start_ms, 5'400'000);
  EXPECT_FALSE(commands[2].error.has_value());
}

TEST(Script, ReadsRanges) {
  const auto commands = parse_script("eval range from 1m to 5m step 30s up to down\n  up 1 _ 2");
  ASSERT_EQ(commands.size(), 1u);
  const Eval& eval = eval_of(commands[0]);
  EXPECT_TRUE(eval.is_range);
  EXPECT_EQ(eval.query, "up to down");
  EXPECT_EQ(eval.grid.start_ms, 60'000);
  EXPECT_EQ(eval.grid.end_ms, 300'000);
  EXPECT_EQ(eval.grid.step_ms, 30'000);
  ASSERT_EQ(eval.expected.size(), 1u);
  ASSERT_EQ(eval.expected[0].items.size(), 3u);
  EXPECT_TRUE(eval.expected[0].items[1].is_omitted);
}

TEST(Script, ReadsExpectLines) {
  const auto commands = parse_script(
      "eval instant at 0 x\n"
      "  expect warn msg: a b \n"
      "  expect info regex:c.*\n"
      "  expect ordered\n"
      "  expect{} 1\n");
  ASSERT_EQ(commands.size(), 1u);
  const Eval& eval = eval_of(commands[0]);
  ASSERT_EQ(eval.expectations.size(), 3u);
  EXPECT_EQ(eval.expectations[0].kind, ExpectKind::Warn);
  EXPECT_EQ(eval.expectations[0].match, ExpectMatch::Equals);
  EXPECT_EQ(eval.expectations[0].text, "a b");
  EXPECT_EQ(eval.expectations[1].match, ExpectMatch::Regex);
  EXPECT_EQ(eval.expectations[1].text, "c.*");
  EXPECT_TRUE(eval.has(ExpectKind::Ordered));
  ASSERT_EQ(eval.expected.size(), 1u);
  EXPECT_EQ(telemetry::format_series(eval.expected[0].labels), "expect");
}

TEST(Script, ReadsScalarsStringsAndRangeVectors) {
  const auto commands = parse_script(
      "eval instant at 0 1\n  -Inf\n\n"
      "eval instant at 0 \"s\"\n  expect string \"a\\tb\"\n\n"
      "eval instant at 1m x[1m]\n  expect range vector from 10s to 1m step 10s\n  x 1 2\n");
  ASSERT_EQ(commands.size(), 3u);
  EXPECT_EQ(*eval_of(commands[0]).expected_scalar, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(*eval_of(commands[1]).expected_string, "a\tb");
  EXPECT_TRUE(eval_of(commands[2]).expects_range_vector);
  EXPECT_EQ(eval_of(commands[2]).grid.end_ms, 60'000);
}

TEST(Script, ReadsTheOldSpellings) {
  const auto commands = parse_script(
      "eval_fail instant at 0 x\n  expected_fail_message no way\n\n"
      "eval_ordered instant at 0 x\n  x 1\n");
  ASSERT_EQ(commands.size(), 2u);
  ASSERT_EQ(eval_of(commands[0]).expectations.size(), 1u);
  EXPECT_EQ(eval_of(commands[0]).expectations[0].text, "no way");
  EXPECT_TRUE(eval_of(commands[1]).has(ExpectKind::Ordered));
}

class BrokenScriptTest : public testing::TestWithParam<std::string_view> {};

TEST_P(BrokenScriptTest, SaysWhatIsWrong) {
  const auto commands = parse_script(GetParam());
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_TRUE(commands[0].error.has_value());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BrokenScriptTest,
    testing::Values("nonsense", "load", "load 5x\n  up 1", "load 5m\n  up{ 1", "eval sometime up",
                    "eval instant at 0", "eval range from 2m to 1m step 1m up",
                    "eval_odd instant at 0 up", "eval instant at 0 up\n  expect luck",
                    "eval instant at 0 up\n  expect warn\n  expect no_warn",
                    "eval instant at 0 up\n  expect info\n  expect no_info",
                    "eval instant at 0 up\n  expect fail\n  expect fail",
                    "eval instant at 0 up\n  up 1 2", "eval instant at 0 1\n  1\n  up 2",
                    "eval range from 0 to 1m step 1m x[1m]\n  expect range vector from 0 to 1m "
                    "step 1m",
                    "load 1m\n  up@st 0s", "load 1m\n  up@st 0s\n  up 1 2",
                    "load 1m\n  up@st 0s\n  down 1", "load 1m\n  up@st 0s\n  up@st 0s\n  up 1"));

TEST(Script, ReadsEveryKindOfItem) {
  const auto commands = parse_script(
      "load 1m\n  m@st _ -30s 0s -1m\n  m _ 1.5 stale {{count:3 counter_reset_hint:gauge}}\n");
  ASSERT_EQ(commands.size(), 1u);
  ASSERT_FALSE(commands[0].error.has_value()) << *commands[0].error;
  const auto& line = std::get<Load>(commands[0].body).lines.front();
  ASSERT_EQ(line.items.size(), 4u);
  EXPECT_TRUE(line.items[0].is_omitted);
  EXPECT_EQ(line.items[1].value, 1.5);
  EXPECT_TRUE(telemetry::is_stale_nan(line.items[2].value));
  ASSERT_NE(line.items[3].histogram, nullptr);
  EXPECT_EQ(line.items[3].histogram->count, 3);
  EXPECT_TRUE(line.items[3].is_hint_written);
  using Offset = std::optional<std::int64_t>;
  EXPECT_EQ(line.start_offsets_ms, (std::vector<Offset>{Offset(), -30'000, 0, -60'000}));
}

std::string pinned(std::string_view query) {
  auto expr = parse(query, {.experimental_functions = true}).value();
  pin_to_time(*expr, 60'000);
  return print(*expr);
}

TEST(PinTime, PinsSelectorsAndTheOutermostSubqueries) {
  EXPECT_EQ(pinned("a + sum(rate(b[5m] offset 1m))"),
            "a @ 60.000 + sum(rate(b[5m] @ 60.000 offset 1m))");
  EXPECT_EQ(pinned("a @ 5"), "a @ 5.000");
  EXPECT_EQ(pinned("a @ end()"), "a @ 60.000");
  EXPECT_EQ(pinned("max_over_time(sum(a)[5m:1m])"), "max_over_time(sum(a)[5m:1m] @ 60.000)");
  EXPECT_EQ(pinned("topk(scalar(a), -(b))"), "topk(scalar(a @ 60.000), -(b @ 60.000))");
}

TEST(PinTime, KnowsWhatMovesWithTheEvaluationTime) {
  const auto depends = [](std::string_view query) {
    return depends_on_evaluation_time(*parse(query, {.experimental_functions = true}).value());
  };
  EXPECT_TRUE(depends("1 + time()"));
  EXPECT_TRUE(depends("sum(timestamp(a))"));
  EXPECT_TRUE(depends("max_over_time(vector(time())[5m:1m])"));
  EXPECT_FALSE(depends("rate(a[5m]) / 2"));
}

}  // namespace
}  // namespace gantry::promql::promqltest
