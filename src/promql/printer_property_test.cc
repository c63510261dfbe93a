// What is printed parses to the same tree.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "promql/parser.h"
#include "promql/printer.h"
#include "promql/testing/random_query.h"
#include "promql/testing/tree_difference.h"

namespace gantry::promql {
namespace {

using promqltest::find_difference;
using promqltest::QueryFeatures;
using promqltest::random_query;

/// GANTRY_PROPERTY_SEED replays one case, GANTRY_PROPERTY_FACTOR runs so many times as many.
std::vector<std::uint64_t> seeds(std::uint64_t count) {
  if (const char* seed = std::getenv("GANTRY_PROPERTY_SEED")) return {std::stoull(seed)};
  if (const char* factor = std::getenv("GANTRY_PROPERTY_FACTOR")) count *= std::stoull(factor);
  std::vector<std::uint64_t> all(count);
  for (std::uint64_t i = 0; i < count; ++i) all[i] = i;
  return all;
}

/// "" when `printed` parses to `expr` again.
std::string check_printed(const Expr& expr, const std::string& printed,
                          const ParserOptions& options) {
  const Result<ExprPtr> again = parse(printed, options);
  if (!again) return fmt::format("{}\n  of {}", again.error().message, printed);
  const std::string difference = find_difference(expr, **again);
  return difference.empty() ? difference : fmt::format("{}\n  in {}", difference, printed);
}

void check(const Expr& expr, const ParserOptions& options) {
  EXPECT_EQ(check_printed(expr, print(expr), options), "");
  // Narrow lines break wherever they can.
  for (const std::size_t width : {100, 20, 1}) {
    EXPECT_EQ(check_printed(expr, print_pretty(expr, width), options), "") << "width " << width;
  }
  EXPECT_EQ(find_difference(expr, *clone(expr)), "");
}

TEST(PrinterProperty, PrintedQueriesParseToTheSameTree) {
  const QueryFeatures features;
  const ParserOptions options = parser_options(features);
  for (const std::uint64_t seed : seeds(20'000)) {
    const std::string query = random_query(seed, features);
    SCOPED_TRACE(fmt::format("GANTRY_PROPERTY_SEED={}: {}", seed, query));
    const Result<ExprPtr> parsed = parse(query, options);
    ASSERT_TRUE(parsed) << parsed.error().message;
    check(**parsed, options);
    if (testing::Test::HasFailure()) return;
  }
}

/// Queries next to each other without parentheses: who takes which operand is up to the operators.
std::string random_chain(std::uint64_t seed, const QueryFeatures& features) {
  constexpr std::array<std::string_view, 22> kLinks = {
      " + ",
      " - ",
      " * ",
      " / ",
      " % ",
      " ^ ",
      " == ",
      " != ",
      " > bool ",
      " < ",
      " </ ",
      " >/ ",
      " and ",
      " or ",
      " unless ",
      " atan2 ",
      " ^ -",
      " - -",
      " * +",
      " + on (job) fill (0) ",
      " / ignoring (code) group_left (zone) ",
      " >= on () group_right () fill_left (-1) fill_right (NaN) "};
  std::mt19937_64 random(seed);
  std::string chain = random() % 4 == 0 ? "-" : "";
  chain += random_query(random(), features);
  for (std::uint64_t more = 1 + random() % 3; more > 0; --more) {
    chain += kLinks[random() % kLinks.size()];
    chain += random_query(random(), features);
  }
  return chain;
}

TEST(PrinterProperty, PrecedenceSurvivesPrinting) {
  const QueryFeatures features;
  const ParserOptions options = parser_options(features);
  const std::vector<std::uint64_t> all = seeds(2'000);
  std::size_t parsed_count = 0;
  for (const std::uint64_t seed : all) {
    const std::string query = random_chain(seed, features);
    const Result<ExprPtr> parsed = parse(query, options);
    if (!parsed) continue;  // Not every operator takes every operand.
    ++parsed_count;
    SCOPED_TRACE(fmt::format("GANTRY_PROPERTY_SEED={}: {}", seed, query));
    check(**parsed, options);
    if (testing::Test::HasFailure()) return;
  }
  if (all.size() > 1) EXPECT_GT(parsed_count, all.size() / 3);
}

}  // namespace
}  // namespace gantry::promql
