#include "promql/printer.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/parser.h"

namespace gantry::promql {
namespace {

constexpr ParserOptions kEverything{.experimental_functions = true,
                                    .duration_expressions = true,
                                    .extended_range_selectors = true,
                                    .binop_fill_modifiers = true};

std::string printed(std::string_view query) {
  const auto expr = parse(query, kEverything);
  return expr ? print(**expr) : "error: " + expr.error().message;
}

TEST(Printer, WritesTheCanonicalForm) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"SUM(x)BY(b,a)", "sum by (b, a) (x)"},
      {"sum by (\"without\", \"a b\") (x)", "sum by (\"without\", \"a b\") (x)"},
      {"x{b=\"1\",a!~'2'}", "x{a!~\"2\",b=\"1\"}"},
      {"{\"x\"}", "{__name__=\"x\"}"},
      {"info(x, {})", "info(x, {})"},
      {"x[90s]", "x[1m30s]"},
      {"x[1.5]", "x[1s500ms]"},
      {"x @ -0.001 offset -3", "x @ -0.001 offset -3s"},
      {"x[5m] offset 1w @ end()", "x[5m] @ end() offset 1w"},
      {"x[1h:]", "x[1h:]"},
      {"1e21 + Inf - nan", "1000000000000000000000 + +Inf - NaN"},
      {"5m+x", "5m + x"},
      {"-(-x)", "-(-x)"},
      {"Inf ^ 2 ^ +Inf", "Inf ^ 2 ^ +Inf"},
      {"x==bool 1", "x == bool 1"},
      {"a+fill_right(1)fill_left(2)b", "a + fill_left (2) fill_right (1) b"},
      {"a/ignoring()b", "a / b"},
      {"label_replace(x,'a',`\\`,\"b\",\"\")", R"(label_replace(x, "a", "\\", "b", ""))"},
      {"x[-(-1m)*2]", "x[-(-1m) * 2]"},
      {"x[max_of(1,step())^2]", "x[max_of(1, step()) ^ 2]"},
  };
  for (const auto& [query, expected] : cases) EXPECT_EQ(printed(query), expected) << query;
}

TEST(Printer, SplitsOnlyWhatIsTooWide) {
  const auto expr = parse("sum by (job) (rate(requests_total{code=~\"5..\"}[5m])) / 2");
  ASSERT_TRUE(expr);
  const std::string one_line = print(**expr);
  EXPECT_EQ(print_pretty(**expr, one_line.size()), one_line);
  EXPECT_EQ(print_pretty(**expr, one_line.size() - 1),
            "  sum by (job) (rate(requests_total{code=~\"5..\"}[5m]))\n/\n  2");
  EXPECT_EQ(print_pretty(**expr, 50),
            "  sum by (job) (\n    rate(requests_total{code=~\"5..\"}[5m])\n  )\n/\n  2");
}

// ---- a random query that parses

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

template <class... Texts>
std::string pick(Texts... texts) {
  return *rc::gen::element<std::string>(texts...);
}

std::string duration_text() {
  return pick("5m", "1h30m", "90", "1.5", "step()", "(2 * step())", "min_of(5s, step() + 1)",
              "-(-3m)", "(7)");
}

std::string range_text() {
  return pick("5m", "90", "0.5", "step() + 10s", "2 ^ 3", "-1m + 2m", "max_of(1m, range())");
}

std::string time_text() {
  return pick("", " @ 12.5", " @ start()", " @ -3", " offset -5m", " @ end() offset 3");
}

std::string selector_text() {
  const std::string name = pick("up", "sum", "a:b", "fill", "offset", "step", "");
  const std::string braces =
      pick("{x=\"1\"}", "{x!~\"a|b\",y=\"\\n\"}", "{\"a.b\"=\"c\", q!=\"\"}");
  return name.empty() ? braces : name + pick("", "{}", "{x=\"1\"}", "{y=~\".+\",}");
}

std::string vector_text(int depth);

std::string scalar_text(int depth) {
  if (depth <= 0) return pick("1", "-2", "0x1F", "1e30", "Inf", "NaN", "5m", "time()", "pi()");
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return "(" + scalar_text(depth - 1) + ")";
    case 1:
      return scalar_text(depth - 1) + pick(" + ", " * ", " ^ ", " == bool ", " % ") +
             scalar_text(depth - 1);
    default:
      return pick("-", "+", "") + "scalar(" + vector_text(depth - 1) + ")";
  }
}

std::string matrix_text(int depth) {
  if (depth <= 0 || *rc::gen::inRange(0, 2) == 0) {
    return selector_text() + "[" + range_text() + "]" + pick("", " anchored", " smoothed") +
           time_text();
  }
  return "(" + vector_text(depth - 1) + ")[" + range_text() + ":" + pick("", "30s", "step() * 2") +
         "]" + time_text();
}

std::string vector_text(int depth) {
  if (depth <= 0) {
    return selector_text() +
           (*rc::gen::inRange(0, 4) == 0 ? " offset " + duration_text() : time_text());
  }
  switch (*rc::gen::inRange(0, 7)) {
    case 0:
      return "sum" + pick(" ", " by (a, \"b.c\") ", " without () ", " by (bool,) ") + "(" +
             vector_text(depth - 1) + ")";
    case 1:
      return "topk(" + scalar_text(depth - 1) + ", " + vector_text(depth - 1) + ") " +
             pick("", "without (x)");
    case 2:
      return vector_text(depth - 1) +
             pick(" + ", " ^ ", " / on () ", " > bool ignoring (x) ", " - on (a) group_left () ",
                  " * ignoring () group_right (b) ", " + fill (0) ", " < fill_left (-1) ") +
             "(" + vector_text(depth - 1) + ")";
    case 3:
      return vector_text(depth - 1) + pick(" and ", " or on (x) ", " unless ") +
             vector_text(depth - 1);
    case 4:
      return pick("rate(", "last_over_time(", "absent_over_time(") + matrix_text(depth - 1) + ")";
    case 5:
      return pick("-", "+", "--") + vector_text(depth - 1);
    default:
      return "clamp(" +
             join({vector_text(depth - 1), scalar_text(depth - 1), scalar_text(depth - 1)}, ", ") +
             ")";
  }
}

RC_GTEST_PROP(PrinterProperty, PrintedQueriesParseAndPrintTheSame, ()) {
  const std::string query = vector_text(*rc::gen::inRange(0, 5));
  const auto first = parse(query, kEverything);
  if (!first) RC_FAIL(query + ": " + first.error().message);
  const std::string canonical = print(**first);
  const auto second = parse(canonical, kEverything);
  if (!second) RC_FAIL(canonical + ": " + second.error().message);
  RC_ASSERT(print(**second) == canonical);
  // The pretty form is the same query too.
  const auto pretty = parse(print_pretty(**first, 20), kEverything);
  if (!pretty) RC_FAIL(pretty.error().message);
  RC_ASSERT(print(**pretty) == canonical);
}

}  // namespace
}  // namespace gantry::promql
