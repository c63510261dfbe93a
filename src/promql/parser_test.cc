#include "promql/parser.h"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "promql/function_table.h"
#include "promql/printer.h"

namespace gantry::promql {
namespace {

constexpr ParserOptions kEverything{.experimental_functions = true,
                                    .duration_expressions = true,
                                    .extended_range_selectors = true,
                                    .binop_fill_modifiers = true};

std::string error_of(std::string_view query, const ParserOptions& options = kEverything) {
  const auto parsed = parse(query, options);
  return parsed ? "" : parsed.error().message;
}

// The tree with every binary and unary operation in parentheses.
std::string grouped(const Expr& expr) {
  if (const auto* binary = std::get_if<Binary>(&expr.node)) {
    return "(" + grouped(*binary->left) + " " + std::string(binary_op_text(binary->op)) + " " +
           grouped(*binary->right) + ")";
  }
  if (const auto* unary = std::get_if<Unary>(&expr.node)) {
    return std::string(unary->op == UnaryOp::Minus ? "(-" : "(+") + grouped(*unary->expr) + ")";
  }
  return print(expr);
}

struct TextCase {
  std::string_view query;
  std::string_view expected;
};

TEST(Parser, GroupsOperatorsByPrecedence) {
  const TextCase cases[] = {
      {"a + b * c", "(a + (b * c))"},
      {"a * b + c", "((a * b) + c)"},
      {"a - b - c", "((a - b) - c)"},
      {"2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))"},
      {"-a ^ b", "(-(a ^ b))"},
      {"-a * b", "((-a) * b)"},
      {"-1 * 2", "(-1 * 2)"},
      {"2 ^ -b * c", "((2 ^ (-b)) * c)"},
      {"- - a", "(-(-a))"},
      {"a > b > c", "((a > b) > c)"},
      {"a or b and c unless d", "(a or ((b and c) unless d))"},
      {"a atan2 b / c", "((a atan2 b) / c)"},
      {"a </ 3 + 1", "(a </ (3 + 1))"},
      {"a == b + c", "(a == (b + c))"},
      {"a offset -2 ^ 2", "(a offset -2s ^ 2)"},
      {"a offset 5s - 8", "(a offset 5s - 8)"},
      {"A AND b", "(A and b)"},
  };
  for (const auto& [query, expected] : cases) {
    const auto parsed = parse(query, kEverything);
    ASSERT_TRUE(parsed) << query << ": " << parsed.error().message;
    EXPECT_EQ(grouped(**parsed), expected) << query;
  }
}

TEST(Parser, ReadsNumbers) {
  const std::pair<std::string_view, double> cases[] = {
      {"0755", 493},    {"08", 8},       {"09.5", 9.5},  {"1_000", 1000}, {"0x_FF", 255},
      {"0X1f", 31},     {".5", 0.5},     {"5.", 5},      {"1e-3", 0.001}, {"1_0.5", 10.5},
      {"5m", 300},      {"1h30m", 5400}, {"10ms", 0.01}, {"-5m", -300},   {"- -3", 3},
      {"2e300", 2e300}, {"0xee", 238},   {"1e+2", 100},
  };
  for (const auto& [query, expected] : cases) {
    const auto parsed = parse(query);
    ASSERT_TRUE(parsed) << query << ": " << parsed.error().message;
    const auto* number = std::get_if<NumberLiteral>(&(*parsed)->node);
    ASSERT_NE(number, nullptr) << query;
    EXPECT_EQ(number->value, expected) << query;
  }
}

TEST(Parser, SaysWhatIsWrongAndWhere) {
  const TextCase cases[] = {
      {"", "unknown position: parse error: no expression found in input"},
      {" # nothing", "1:1: parse error: no expression found in input"},
      {"up\n  + * 3", "2:5: parse error: unexpected <op:*>"},
      {"sum(up down)", "1:8: parse error: unexpected identifier \"down\" in aggregation"},
      {"sum by (job) up", "1:14: parse error: unexpected identifier \"up\" in aggregation"},
      {"abs(up, *2)", "1:7: parse error: trailing commas not allowed in function call args"},
      {"abs(,up)", "1:5: parse error: unexpected \",\""},
      {"up offset",
       "1:10: parse error: unexpected end of input in offset, expected number, "
       "duration, step(), or range()"},
      {"up @ start", "1:11: parse error: unexpected end of input in @, expected timestamp"},
      {"up[5m:1m 2]",
       "1:10: parse error: unexpected number \"2\" in subquery selector, expected "
       "\"]\""},
      {"up[5m+]",
       "1:7: parse error: unexpected \"]\" in subquery or range selector, expected "
       "number, duration, step(), or range()"},
      {"up[5m,1m]",
       "1:6: parse error: unexpected \",\" in subquery or range, expected \":\" or "
       "\"]\""},
      {"up[:5m]", "1:5: parse error: unexpected colon before duration in duration expression"},
      {"up[5m:1m:1m]", "1:10: parse error: unexpected repeated colon in duration expression"},
      {"up[5m[1m]]", "1:6: parse error: unexpected left bracket '['"},
      {"up[0.0001]", "1:4: parse error: duration must be greater than 0"},
      {"up[5m", "1:6: parse error: unclosed left bracket"},
      {"up{a=\"b\" c}",
       "1:10: parse error: unexpected identifier \"c\" in label matching, "
       "expected \",\" or \"}\""},
      {"up{a=~\"(\"}", "1:4: parse error: error parsing regexp: missing closing ): `^(?s:()$`"},
      {"up{a=~\"*\"}",
       "1:4: parse error: error parsing regexp: missing argument to repetition "
       "operator: `*`"},
      {"a + on(b) c on", "1:13: parse error: unexpected <on>"},
      {"sum by (without) (a)",
       "1:9: parse error: unexpected <without> in grouping opts, expected "
       "label"},
      {"sum by (\"\") (a)", "1:9: parse error: invalid label name for grouping: \"\""},
      {"foo \"abcdefghijklmnop\"", "1:5: parse error: unexpected string \"\\\"abcdefghi\"..."},
      {"a ! b", "1:3: parse error: unexpected character after '!': ' '"},
      {"a{b!c}", "1:4: parse error: unexpected character after '!' inside braces: 'c'"},
      {"foo @ 1e400",
       "1:7: parse error: error parsing number: strconv.ParseFloat: parsing "
       "\"1e400\": value out of range"},
      {"time() offset 5m",
       "1:1: parse error: offset modifier must be preceded by an instant "
       "vector selector or range vector selector or a subquery"},
      {"a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"},
      {"a anchored smoothed",
       "1:1: parse error: anchored and smoothed modifiers cannot be used "
       "together"},
      {"a[5m:] smoothed", "1:1: parse error: smoothed modifier is not supported for subqueries"},
      {"time() anchored", "1:1: parse error: anchored modifier not implemented"},
      {"1 + fill(3) a",
       "1:1: parse error: filling in missing series only allowed between instant "
       "vectors"},
      {"a or fill(3) b",
       "1:1: parse error: filling in missing series not allowed for set "
       "operators"},
      {"a + fill_left(1) fill_left(2) b", "1:18: parse error: unexpected <fill_left>"},
      {"\"a\" + 1",
       "1:1: parse error: binary expression must contain only scalar and instant "
       "vector types"},
      {"label_join(a)",
       "1:1: parse error: expected at least 3 argument(s) in call to "
       "\"label_join\", got 1"},
      {"histogram_quantiles(a, \"q\")",
       "1:1: parse error: expected at least 3 argument(s) in "
       "call to \"histogram_quantiles\", got 2"},
      {"START()", "1:1: parse error: unknown function with name \"START\""},
      {"sum(a", "1:6: parse error: unclosed left parenthesis"},
  };
  for (const auto& [query, expected] : cases) EXPECT_EQ(error_of(query), expected) << query;
}

// Prometheus's lexer asks whether any brackets so far had a number, not whether these have.
TEST(Parser, TakesARangeWithoutNumberAfterOneWithNumber) {
  EXPECT_EQ(error_of("a[step():1m]"),
            "1:10: parse error: unexpected colon before duration in duration expression");
  EXPECT_EQ(error_of("rate(b[5m]) + rate(a[step():1m])"), "");
  EXPECT_EQ(error_of("b[5m] + a[:1m]"),
            "1:11: parse error: unexpected \":\" in subquery or range selector, expected number, "
            "duration, step(), or range()");
}

TEST(Parser, RefusesWhatIsNotEnabled) {
  const TextCase cases[] = {
      {"mad_over_time(a[5m])", "1:1: parse error: function \"mad_over_time\" is not enabled"},
      {"limitk(1, a)",
       "1:1: parse error: limitk() is experimental and must be enabled with "
       "--enable-feature=promql-experimental-functions"},
      {"a smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled"},
      {"a + fill(0) b", "1:5: parse error: binop fill modifiers are experimental and not enabled"},
      {"a[2*5m]", "1:3: parse error: experimental duration expression is not enabled"},
  };
  for (const auto& [query, expected] : cases) {
    EXPECT_EQ(error_of(query, {.duration_expressions = false}), expected) << query;
    EXPECT_EQ(error_of(query), "") << query;
  }
}

TEST(Parser, KeepsMatcherOrderAndPutsTheNameLast) {
  const auto parsed = parse("up{job=\"api\", zone!=\"\"}");
  ASSERT_TRUE(parsed);
  const auto& selector = std::get<VectorSelector>((*parsed)->node);
  ASSERT_EQ(selector.matchers.size(), 3U);
  EXPECT_EQ(selector.matchers[0].name(), "job");
  EXPECT_EQ(selector.matchers[1].name(), "zone");
  EXPECT_EQ(selector.matchers[2].name(), "__name__");
  EXPECT_EQ(selector.name, "up");

  const auto quoted = parse("{\"up.time\", \"job.name\"=\"api\"}");
  ASSERT_TRUE(quoted);
  const auto& quoted_selector = std::get<VectorSelector>((*quoted)->node);
  EXPECT_EQ(quoted_selector.name, "");
  EXPECT_EQ(quoted_selector.matchers[0].value(), "up.time");
  EXPECT_EQ(quoted_selector.matchers[1].name(), "job.name");
}

TEST(Parser, CompletesVectorMatching) {
  const auto set = parse("a and b");
  ASSERT_TRUE(set);
  EXPECT_EQ(std::get<Binary>((*set)->node).matching->card, MatchCard::ManyToMany);
  const auto scalar = parse("a * 2");
  ASSERT_TRUE(scalar);
  EXPECT_FALSE(std::get<Binary>((*scalar)->node).matching.has_value());
  const auto grouping = parse("a * on(x) group_right(y) b");
  ASSERT_TRUE(grouping);
  const auto& matching = *std::get<Binary>((*grouping)->node).matching;
  EXPECT_EQ(matching.card, MatchCard::OneToMany);
  EXPECT_TRUE(matching.is_on);
  EXPECT_EQ(matching.include, std::vector<std::string>{"y"});
}

TEST(Parser, PositionsCoverTheText) {
  const std::string query = "sum by (job) (rate(http_total{a=\"b\"}[5m] offset 1m)) / 2";
  const auto parsed = parse(query);
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed)->position, (Position{0, static_cast<std::uint32_t>(query.size())}));
  const auto& aggregate = *std::get<Binary>((*parsed)->node).left;
  EXPECT_EQ(query.substr(0, aggregate.position.end), query.substr(0, query.size() - 4));
  const auto& call = *std::get<Aggregate>(aggregate.node).expr;
  const auto& range = *std::get<Call>(call.node).arguments.front();
  EXPECT_EQ(query.substr(range.position.start, range.position.end - range.position.start),
            "http_total{a=\"b\"}[5m] offset 1m");
}

TEST(Parser, LimitsTextNestingAndHeight) {
  constexpr std::size_t kTextMax = std::size_t{1} << 20;
  EXPECT_EQ(error_of(std::string(kTextMax + 1, ' ')),
            "1:1: parse error: query is 1048577 bytes long, the limit is 1048576");
  EXPECT_EQ(error_of(std::string(kTextMax, '(')),
            "1:257: parse error: expression is nested deeper than 256 levels");
  EXPECT_EQ(error_of("a[" + std::string(kTextMax - 2, '(')),
            "1:258: parse error: expression is nested deeper than 256 levels");
  EXPECT_EQ(error_of(std::string(kTextMax, '-')),
            "1:257: parse error: expression is nested deeper than 256 levels");
  EXPECT_EQ(error_of(std::string(255, '(') + "1" + std::string(255, ')')), "");
  const auto chain = [](std::size_t terms, std::string_view link) {
    std::string text = "1";
    for (std::size_t i = 1; i < terms; ++i) text += link;
    return text;
  };
  EXPECT_EQ(error_of(chain(1000, "+1")), "");
  EXPECT_EQ(error_of(chain(100'000, "+1")),
            "1:1: parse error: expression tree is higher than 1024 levels");
  EXPECT_EQ(error_of("a[" + chain(100'000, "+1") + "]"),
            "1:2564: parse error: expression tree is higher than 1024 levels");
  // A broken long chain says what is broken.
  EXPECT_EQ(error_of(chain(5'000, "+1") + "+\"x\""),
            "1:10001: parse error: binary expression must contain only scalar and instant vector "
            "types");
}

TEST(Parser, ParsesSelectorsAlone) {
  const auto matchers = parse_metric_selector("up{job=~\"a|b\"}");
  ASSERT_TRUE(matchers);
  EXPECT_EQ(matchers->size(), 2U);
  EXPECT_TRUE(parse_metric_selector("{__name__=~\".+\"}"));
  for (const std::string_view bad :
       {"up[5m]", "sum(up)", "up offset 1m", "", "1", "up{", "up,up"}) {
    EXPECT_FALSE(parse_metric_selector(bad)) << bad;
  }
}

TEST(Parser, ClonesDeeply) {
  const std::string query =
      "topk(2, max_over_time(rate(x{b=\"c\"}[5m + step()] @ end() offset (1m * 2))[1h:2m])) or -y";
  auto parsed = parse("sum(-x) or " + query);
  ASSERT_TRUE(parsed) << parsed.error().message;
  const ExprPtr copy = clone(**parsed);
  const std::string before = print(**parsed);
  parsed->reset();
  EXPECT_EQ(print(*copy), before);
}

TEST(FunctionTable, FindsEveryFunctionByItsExactName) {
  for (const FunctionSignature& function : all_functions()) {
    EXPECT_EQ(find_function(function.name), &function);
  }
  EXPECT_EQ(find_function("Rate"), nullptr);
  EXPECT_EQ(find_function(""), nullptr);
  EXPECT_EQ(find_function("zzz"), nullptr);
}

}  // namespace
}  // namespace gantry::promql
