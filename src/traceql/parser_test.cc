#include "traceql/parser.h"

#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traceql/parser_internal.h"
#include "traceql/testing/random_queries.h"
#include "traceql/testing/trees.h"

namespace gantry::traceql {
namespace {

std::string printed(std::string_view text) {
  const auto parsed = parse(text);
  return parsed ? format(*parsed) : "error: " + parsed.error().message;
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

struct ParseCase {
  std::string_view name;
  std::string_view text;
  std::string_view expected;
};

class ParserTest : public ::testing::TestWithParam<ParseCase> {};

TEST_P(ParserTest, PrintsOrExplains) {
  EXPECT_EQ(printed(GetParam().text), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ParserTest,
    ::testing::Values(
        ParseCase{"logical_operators_bind_alike", "{ .a || .b && .c }", "{ (.a || .b) && .c }"},
        ParseCase{"comparisons_chain", "{ .a = .b = .c }", "{ (.a = .b) = .c }"},
        ParseCase{"power_is_right_associative", "{ .a ^ .b ^ .c = 1 }", "{ (.a ^ (.b ^ .c)) = 1 }"},
        ParseCase{"minus_binds_looser_than_product", "{ -.a * .b = 1 }", "{ (-(.a * .b)) = 1 }"},
        ParseCase{"minus_binds_like_a_sum", "{ -.a + .b = 1 }", "{ ((-.a) + .b) = 1 }"},
        ParseCase{"not_binds_tighter_than_comparison", "{ !.a = .b }", "{ (!.a) = .b }"},
        ParseCase{"not_binds_looser_than_product", "{ !(.a) * .b }", "{ !(.a * .b) }"},
        ParseCase{"negative_literal_in_front_of_a_product", "{ (-5) * .a = 1 }",
                  "{ ((-5) * .a) = 1 }"},
        ParseCase{"two_signs", "{ - - .a = 1 }", "{ (-(-.a)) = 1 }"},
        ParseCase{"smallest_int", "{ .a = -9223372036854775808 }", "{ .a = -9223372036854775808 }"},
        ParseCase{"smallest_int_has_no_factor", "{ .a = -9223372036854775808 * 2 }",
                  "error: parse error at line 1, col 9: strconv.Atoi: parsing "
                  "\"9223372036854775808\": value out of range"},
        ParseCase{"nil_on_the_left", "{ nil = .a + 1 }", "{ (.a + 1) = nil }"},
        ParseCase{"nil_is_no_operand_of_and", "{ .a != nil && .b = nil }",
                  "{ (.a != nil) && (.b = nil) }"},
        ParseCase{"nil_with_a_literal", "{ 1 != nil }", "{ true }"},
        ParseCase{"division_by_zero_is_left_to_evaluation", "{ 1 / 0 = .a }", "{ (1 / 0) = .a }"},
        ParseCase{"infinity_is_left_to_evaluation", "{ 1.0 / 0 > .a }", "{ (1.0 / 0) > .a }"},
        ParseCase{"normal_power", "{ 2 ^ 3 = .a }", "{ 8 = .a }"},
        ParseCase{"overflow_wraps", "{ maxInt + 1 = .a }", "{ -9223372036854775808 = .a }"},
        ParseCase{"quotient_that_overflows", "{ minInt / -1 = .a }",
                  "{ -9223372036854775808 = .a }"},
        ParseCase{"string_with_a_backtick", R"({ .a = "`\x00" })", R"({ .a = "`\x00" })"},
        ParseCase{"name_that_begins_with_a_digit", R"({ ."5a" = 1 })", R"({ ."5a" = 1 })"},
        ParseCase{"both_names_of_an_intrinsic", "{ span:duration > trace:duration }",
                  "{ duration > traceDuration }"},
        ParseCase{"unclosed_name", R"({ span."a })",
                  "error: parse error at line 0, col 3: unexpected EOF, expecting \""},
        ParseCase{"unknown_escape_in_a_name", R"({ span."\n" })",
                  "error: parse error at line 0, col 3: invalid escape sequence"},
        ParseCase{"status_is_no_kind", "{ status = kind }",
                  "error: binary operations must operate on the same type: status = kind"},
        ParseCase{"regex_needs_a_literal", "{ .a =~ .b }", "error: invalid type for =~ or !~: .b"},
        ParseCase{"not_utf8", "{ .a = \"\xFF\" }",
                  "error: parse error at line 1, col 9: invalid UTF-8 encoding"},
        ParseCase{"blank", " \n ", "error: parse error : syntax error: unexpected $end"},
        ParseCase{"second_line", "{\n.a = ",
                  "error: parse error at line 2, col 6: syntax error: unexpected $end"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Pipelines, ParserTest,
    ::testing::Values(
        ParseCase{
            "wrapped_pipelines_chain", "({} | count() > 1) > ({}) > (({.a} | count() > 2) ~ ({}))",
            "(({ true }|(count()) > 1) > ({ true })) > (({ .a }|(count()) > 2) ~ ({ true }))"},
        ParseCase{"wrapped_pipeline_takes_no_stage", "({} | by(name)) | count() > 1",
                  "error: parse error at line 1, col 17: syntax error: unexpected |, expecting "
                  "with"},
        ParseCase{"span_set_does_not_mix_with_wrapped", "({}) > ({} | count() > 1)",
                  "error: parse error at line 1, col 12: syntax error: unexpected |"},
        ParseCase{"aggregate_in_parentheses", "((count())) > 1", "(count()) > 1"},
        ParseCase{"number_in_parentheses", "count() > -(1 + -2) * 3", "(count()) > 3"},
        ParseCase{"one_comparison_only", "count() > 1 > 2",
                  "error: parse error at line 1, col 13: syntax error: unexpected >, expecting "
                  "with"},
        ParseCase{"last_hints_hold", "{} with (a=1) with (b=2, b=`x`)", "{ true } with(b=2,b=`x`)"},
        ParseCase{"negative_hint", "{} with (a=-5)", "{ true } with(a=-5)"},
        ParseCase{"keywords_are_no_hints", "{} with (rate=1)",
                  "error: parse error at line 1, col 10: syntax error: unexpected rate, expecting "
                  "IDENTIFIER"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Metrics, ParserTest,
    ::testing::Values(
        ParseCase{"compare_keeps_its_numbers", "{} | compare({status=error}, 7, 1, 2)",
                  "{ true } | compare({ status = error },7,1,2)"},
        ParseCase{"compare_ends_after_its_start", "{} | compare({}, 7, 2, 1)",
                  "error: compare() end must be after start"},
        ParseCase{"quantiles_keep_their_digits", "{} | quantile_over_time(.a, .123456789)",
                  "{ true } | quantile_over_time(.a,0.123456789)"},
        ParseCase{"quantile_above_one", "{} | quantile_over_time(.a, 1.5)",
                  "error: quantile must be between 0 and 1: 1.5"},
        ParseCase{"math_takes_no_second_stage_inside", "(({} | rate()) + 1 > 2) * 2",
                  "error: parse error at line 1, col 20: syntax error: unexpected >"},
        ParseCase{"second_stages_of_a_wrapped_pipeline", "({} | rate() > 6) > 5 | topk(2)",
                  "{ true } | rate() > 6 > 5 | topk(2)"},
        ParseCase{"large_and_negative_zero", "({} | rate()) * 1e300 > -0.0",
                  "({ true } | rate()) * 1e+300 > -0.0"},
        ParseCase{"scalars_have_no_infinity", "({} | rate()) > 1e300 * 1e300",
                  "error: parse error at line 1, col 25: result is out of range"},
        ParseCase{"parent_scope_in_by", "{} | rate() by (parent.a)",
                  "error: parent not yet supported"}),
    [](const auto& test) { return std::string(test.param.name); });

// ---- limits

TEST(ParserLimits, NestingIsRefusedByItsLimit) {
  constexpr std::size_t kDeep = 100'000;
  const std::string message = "expression is nested deeper than 256 levels";
  for (const std::string& text :
       {"{ " + repeated("(", kDeep), "{ " + repeated("!", kDeep), "{ " + repeated("-", kDeep),
        repeated("(", kDeep), "{} | rate() > " + repeated("-", kDeep),
        "{} | rate() > " + repeated("(", kDeep), "{ 1" + repeated(" ^ .a", kDeep),
        "count() > " + repeated("-(", kDeep)}) {
    const auto parsed = parse(text);
    ASSERT_FALSE(parsed.has_value());
    EXPECT_TRUE(parsed.error().message.contains(message))
        << text.substr(0, 20) << ": " << parsed.error().message;
  }
  const std::string allowed = repeated("(", 200) + "{}" + repeated(")", 200);
  EXPECT_EQ(printed(allowed), "{ true }");
}

TEST(ParserLimits, ChainsAreRefusedByTheirLimit) {
  const std::string message = "expression has more than 1024 operators in a row";
  for (const std::string& text :
       {"{ .a" + repeated(" || .a", 5000) + " }", "{ " + repeated("nil=", 5000),
        "{}" + repeated(" > {}", 5000), "({} | rate())" + repeated(" + 1", 5000)}) {
    EXPECT_TRUE(printed(text).contains(message)) << printed(text).substr(0, 100);
  }
  EXPECT_TRUE(printed("{ .a" + repeated(" || .a", 1000) + " }").starts_with("{ ((("));
  EXPECT_TRUE(printed("{}" + repeated(" | {}", 5000)).starts_with("{ true }|{ true }"));
}

// ---- identifiers and unfinished filters

std::string identifier(std::string_view text) {
  const auto parsed = parse_identifier(text);
  return parsed ? parsed->text : "error: " + parsed.error().message;
}

TEST(ParseIdentifier, TakesAttributesAndIntrinsics) {
  EXPECT_EQ(identifier("resource.service.name"), "resource.service.name");
  EXPECT_EQ(identifier(R"(span."with space")"), R"(span."with space")");
  EXPECT_EQ(identifier(".a"), ".a");
  EXPECT_EQ(identifier("span:status"), "status");
  EXPECT_EQ(identifier("event:name"), "event:name");
}

TEST(ParseIdentifier, RefusesEverythingElse) {
  EXPECT_EQ(identifier("foo"), "error: parse error at line 1, col 2: unknown identifier: foo");
  EXPECT_EQ(identifier(".a = 1"),
            "error: parse error at line 1, col 5: syntax error: unexpected =");
  EXPECT_EQ(identifier("1"),
            "error: parse error at line 1, col 2: syntax error: unexpected INTEGER");
  EXPECT_EQ(identifier("parent.a"), "error: parent not yet supported");
  EXPECT_EQ(identifier(""), "error: parse error : syntax error: unexpected $end");
}

std::string partial(std::string_view text) {
  const FieldPtr field = parse_partial_filter(text);
  return field ? format(*field) : "all";
}

TEST(ParsePartialFilter, KeepsTheConditionsThatRead) {
  EXPECT_EQ(partial("{ .a = 1 && resource.cluster = }"), ".a = 1");
  EXPECT_EQ(partial("{ resource.cluster = && .a = 1 }"), ".a = 1");
  EXPECT_EQ(partial("{ .a = 1 && .b = && .c = 2"), "(.a = 1) && (.c = 2)");
  EXPECT_EQ(partial("{ .a = 1 && (.b = 2 || .c = ) }"), ".a = 1");
  EXPECT_EQ(partial("{ .a = 1 && (.b = 2 && .c = "), "(.a = 1) && (.b = 2)");
  EXPECT_EQ(partial("{ .a = 1 && .b = \"unfinished"), ".a = 1");
  EXPECT_EQ(partial("{ .a = 1 && name }"), ".a = 1");
  EXPECT_EQ(partial("{ .a = 1 || .b = 2 }"), "(.a = 1) || (.b = 2)");
}

TEST(ParsePartialFilter, FiltersNothingWhereItCannotTell) {
  for (const std::string_view text :
       {"", "{", "{}", "{ }", "{ .a = }", "{ .a = 1 || .b = }", "{ .a } > { .b }",
        "{ .a } | count() > 1", "foo", "{ .a = 1 } x", "({ .a = 1 })", "{ .a = 1 } { .b }",
        "{ parent.a = 1 }"}) {
    EXPECT_EQ(partial(text), "all") << text;
  }
}

TEST(ParsePartialFilter, DeepAndLongTextsEnd) {
  partial("{ " + repeated("(", 100'000));
  partial("{ .a = " + repeated(" && .a = ", 100'000));
  partial("{ .a = 1 " + repeated(" && .a = ", 600));
  const std::string complete = "{ .a = 1" + repeated(" && .b = 2", 900) + " }";
  EXPECT_NE(partial(complete), "all");
}

// ---- properties

RC_GTEST_PROP(ParserProperty, CanonicalTextMeansTheSame, (std::uint64_t seed)) {
  for (const auto kind : {testing::QueryKind::Search, testing::QueryKind::Metrics}) {
    const std::string text = testing::random_query(seed, kind);
    const auto parsed = parse(text);
    if (!parsed) RC_FAIL(text + ": " + parsed.error().message);
    const std::string canonical = format(*parsed);
    const auto again = parse(canonical);
    if (!again) RC_FAIL(text + " printed as " + canonical + ": " + again.error().message);
    RC_ASSERT(testing::are_equal(*parsed, *again));
    RC_ASSERT(format(*again) == canonical);
  }
}

RC_GTEST_PROP(ParserProperty, CutTextsAreReadOrRefused, (std::uint64_t seed, std::uint8_t cut)) {
  std::string text = testing::random_query(seed, testing::QueryKind::Metrics);
  text.resize(text.size() * cut / 256);
  const auto parsed = parse(text);
  RC_ASSERT((parsed.has_value() || !parsed.error().message.empty()));
  const FieldPtr field = parse_partial_filter(text);
  if (field) RC_ASSERT(parse("{ " + format(*field) + " }").has_value());
}

RC_GTEST_PROP(ParserProperty, AnyBytesAreReadOrRefused, (const std::string& text)) {
  const auto parsed = parse("{" + text);
  RC_ASSERT((parsed.has_value() || !parsed.error().message.empty()));
  static_cast<void>(parse_identifier(text));
  static_cast<void>(parse_partial_filter(text));
}

}  // namespace
}  // namespace gantry::traceql
