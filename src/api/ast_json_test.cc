#include "api/ast_json.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "promql/parser.h"

namespace gantry::api {
namespace {

constexpr promql::ParserOptions kEverything{.experimental_functions = true,
                                            .duration_expressions = true,
                                            .extended_range_selectors = true,
                                            .binop_fill_modifiers = true};

std::string tree_of(std::string_view query) {
  const auto expr = promql::parse(query, kEverything);
  return expr ? ast_json(**expr) : expr.error().message;
}

// Other nodes' trees stand in the cases as ${name}.
std::string expand(std::string text) {
  const auto replace = [&](std::string_view name, std::string_view json) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name)) {
      text.replace(at, name.size(), json);
    }
  };
  replace("${x}", R"({"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],)"
                  R"("name":"x","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,)"
                  R"("timestamp":null,"type":"vectorSelector"})");
  replace("${1}", R"({"type":"numberLiteral","val":"1"})");
  replace("${2}", R"({"type":"numberLiteral","val":"2"})");
  replace("${d1}", R"({"duration":false,"type":"numberLiteral","val":"1"})");
  replace("${d5m}", R"({"duration":true,"type":"numberLiteral","val":"300"})");
  replace("${step}",
          R"({"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false})");
  replace("${range}",
          R"({"lhs":null,"op":"range","rhs":null,"type":"durationExpr","wrapped":false})");
  return text;
}

struct TreeCase {
  std::string_view name, query, expected;
};

class AstJsonTest : public testing::TestWithParam<TreeCase> {};

TEST_P(AstJsonTest, IsPrometheussTree) {
  const std::string json = tree_of(GetParam().query);
  EXPECT_EQ(json, expand(std::string(GetParam().expected)));
  EXPECT_TRUE(nlohmann::json::accept(json)) << json;
}

INSTANTIATE_TEST_SUITE_P(
    Nodes, AstJsonTest,
    testing::Values(
        TreeCase{"number", "1", "${1}"},
        TreeCase{"large_number", "1e21",
                 R"({"type":"numberLiteral","val":"1000000000000000000000"})"},
        TreeCase{"infinity", "Inf", R"({"type":"numberLiteral","val":"+Inf"})"},
        TreeCase{"duration_is_a_number", "5m", R"({"type":"numberLiteral","val":"300"})"},
        TreeCase{"string", R"("a<b\"")", R"({"type":"stringLiteral","val":"a\u003cb\""})"},
        TreeCase{"selector", "x", "${x}"},
        TreeCase{"matchers", R"({"a.b",c!="1",d=~"2",e!~"3"})",
                 R"({"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"a.b"},)"
                 R"({"name":"c","type":"!=","value":"1"},{"name":"d","type":"=~","value":"2"},)"
                 R"({"name":"e","type":"!~","value":"3"}],"name":"","offset":0,"offsetExpr":null,)"
                 R"("smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"})"},
        TreeCase{"smoothed_at_a_time", "x smoothed @ 1.5 offset -5m",
                 R"({"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],)"
                 R"("name":"x","offset":-300000,"offsetExpr":null,"smoothed":true,)"
                 R"("startOrEnd":null,"timestamp":1500,"type":"vectorSelector"})"},
        TreeCase{"at_start", "x @ start()",
                 R"({"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],)"
                 R"("name":"x","offset":0,"offsetExpr":null,"smoothed":false,)"
                 R"("startOrEnd":"start","timestamp":null,"type":"vectorSelector"})"},
        TreeCase{"anchored_range", "x[5m] anchored @ end()",
                 R"({"anchored":true,"matchers":[{"name":"__name__","type":"=","value":"x"}],)"
                 R"("name":"x","offset":0,"offsetExpr":null,"range":300000,"rangeExpr":null,)"
                 R"("smoothed":false,"startOrEnd":"end","timestamp":null,)"
                 R"("type":"matrixSelector"})"},
        TreeCase{"duration_arithmetic", "x[(step() + 5m) * -1] offset (range() ^ 1)",
                 R"({"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],)"
                 R"("name":"x","offset":0,"offsetExpr":{"lhs":${range},"op":"^","rhs":${d1},)"
                 R"("type":"durationExpr","wrapped":true},"range":0,"rangeExpr":{"lhs":)"
                 R"({"lhs":${step},"op":"+","rhs":${d5m},"type":"durationExpr","wrapped":true},)"
                 R"("op":"*","rhs":{"duration":false,"type":"numberLiteral","val":"-1"},)"
                 R"("type":"durationExpr","wrapped":false},"smoothed":false,"startOrEnd":null,)"
                 R"("timestamp":null,"type":"matrixSelector"})"},
        TreeCase{"subquery", "x[5m:1m] @ 60 offset 1s",
                 R"({"expr":${x},"offset":1000,"offsetExpr":null,"range":300000,"rangeExpr":null,)"
                 R"("startOrEnd":null,"step":60000,"stepExpr":null,"timestamp":60000,)"
                 R"("type":"subquery"})"},
        TreeCase{"subquery_arithmetic", "x[1 * -step():min_of(5m, max_of(1, range()))]",
                 R"({"expr":${x},"offset":0,"offsetExpr":null,"range":0,"rangeExpr":)"
                 R"({"lhs":${d1},"op":"*","rhs":{"lhs":null,"op":"-","rhs":${step},)"
                 R"("type":"durationExpr","wrapped":false},"type":"durationExpr","wrapped":false},)"
                 R"("startOrEnd":null,"step":0,"stepExpr":{"lhs":${d5m},"op":"min_of","rhs":)"
                 R"({"lhs":${d1},"op":"max_of","rhs":${range},"type":"durationExpr",)"
                 R"("wrapped":false},"type":"durationExpr","wrapped":false},"timestamp":null,)"
                 R"("type":"subquery"})"},
        TreeCase{"subquery_default_step", "x[5m:]",
                 R"({"expr":${x},"offset":0,"offsetExpr":null,"range":300000,"rangeExpr":null,)"
                 R"("startOrEnd":null,"step":0,"stepExpr":null,"timestamp":null,)"
                 R"("type":"subquery"})"},
        TreeCase{"parentheses", "(1)", R"({"expr":${1},"type":"parenExpr"})"},
        TreeCase{"minus", "-x", R"({"expr":${x},"op":"-","type":"unaryExpr"})"},
        TreeCase{"plus", "+x", R"({"expr":${x},"op":"+","type":"unaryExpr"})"},
        TreeCase{"scalars", "1 < bool 2",
                 R"({"bool":true,"lhs":${1},"matching":null,"op":"\u003c","rhs":${2},)"
                 R"("type":"binaryExpr"})"},
        TreeCase{"vector_and_scalar", "x atan2 2",
                 R"({"bool":false,"lhs":${x},"matching":null,"op":"atan2","rhs":${2},)"
                 R"("type":"binaryExpr"})"},
        TreeCase{"vectors", "x + x",
                 R"({"bool":false,"lhs":${x},"matching":{"card":"one-to-one","fillValues":)"
                 R"({"lhs":null,"rhs":null},"include":[],"labels":[],"on":false},"op":"+",)"
                 R"("rhs":${x},"type":"binaryExpr"})"},
        TreeCase{"many_to_one", "x / on (a, b) group_left (c) fill_right (0.5) x",
                 R"({"bool":false,"lhs":${x},"matching":{"card":"many-to-one","fillValues":)"
                 R"({"lhs":null,"rhs":0.5},"include":["c"],"labels":["a","b"],"on":true},)"
                 R"("op":"/","rhs":${x},"type":"binaryExpr"})"},
        TreeCase{"one_to_many", "x == ignoring (a) group_right () fill (0) x",
                 R"({"bool":false,"lhs":${x},"matching":{"card":"one-to-many","fillValues":)"
                 R"({"lhs":0,"rhs":0},"include":[],"labels":["a"],"on":false},)"
                 R"("op":"==","rhs":${x},"type":"binaryExpr"})"},
        TreeCase{"set_operator", "x unless on () x",
                 R"({"bool":false,"lhs":${x},"matching":{"card":"many-to-many","fillValues":)"
                 R"({"lhs":null,"rhs":null},"include":[],"labels":[],"on":true},)"
                 R"("op":"unless","rhs":${x},"type":"binaryExpr"})"},
        TreeCase{"trim_upper", "x </ 2",
                 R"({"bool":false,"lhs":${x},"matching":null,"op":"\u003c/","rhs":${2},)"
                 R"("type":"binaryExpr"})"},
        TreeCase{"trim_lower", "x >/ 2",
                 R"({"bool":false,"lhs":${x},"matching":null,"op":"\u003e/","rhs":${2},)"
                 R"("type":"binaryExpr"})"},
        TreeCase{"aggregation", "sum(x)",
                 R"({"expr":${x},"grouping":[],"op":"sum","param":null,"type":"aggregation",)"
                 R"("without":false})"},
        TreeCase{"aggregation_with_parameter", R"(topk without (a, "b.c") (2, x))",
                 R"({"expr":${x},"grouping":["a","b.c"],"op":"topk","param":${2},)"
                 R"("type":"aggregation","without":true})"},
        TreeCase{"call", "abs(x)",
                 R"({"args":[${x}],"func":{"argTypes":["vector"],"name":"abs",)"
                 R"("returnType":"vector","variadic":0},"type":"call"})"},
        TreeCase{"call_without_arguments", "time()",
                 R"({"args":[],"func":{"argTypes":[],"name":"time","returnType":"scalar",)"
                 R"("variadic":0},"type":"call"})"},
        TreeCase{"call_of_any_number", R"(label_join(x, "a", ""))",
                 R"({"args":[${x},{"type":"stringLiteral","val":"a"},)"
                 R"({"type":"stringLiteral","val":""}],"func":{"argTypes":)"
                 R"(["vector","string","string","string"],"name":"label_join",)"
                 R"("returnType":"vector","variadic":-1},"type":"call"})"}),
    [](const auto& one) { return std::string(one.param.name); });

// JSON has no such numbers; Prometheus fails to answer.
TEST(AstJson, FillsThatAreNoNumbersAreNull) {
  const auto tree = nlohmann::json::parse(tree_of("x + fill (NaN) x"));
  EXPECT_TRUE(tree["matching"]["fillValues"]["lhs"].is_null());
}

}  // namespace
}  // namespace gantry::api
