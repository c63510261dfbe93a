#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "pipeline/stream_aggregation.h"

namespace gantry::pipeline {
namespace {

std::string error_of(std::string_view json) {
  const auto checked = check_stream_aggregation(json);
  if (checked) return "accepted";
  EXPECT_EQ(checked.error().code, Code::InvalidArgument);
  return checked.error().message;
}

struct RefusalCase {
  std::string_view name, rules, expected;
};

class AggregationRuleTest : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(AggregationRuleTest, NamesTheRuleAndTheField) {
  EXPECT_EQ(error_of(GetParam().rules), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Refused, AggregationRuleTest,
    ::testing::Values(
        RefusalCase{"null", "null", "accepted"}, RefusalCase{"none", "[]", "accepted"},
        RefusalCase{"all",
                    R"([{"match":["up","{job=~\"a|b\"}"],"interval":"1m","by":["job","path"],
                         "outputs":["total","count_series"],"keep_input":false,"name":"<metric>_<output>",
                         "top":{"n":3,"label":"path","rank_by":"count_series"}}])",
                    "accepted"},
        RefusalCase{"no_array", "{}", "stream_aggregation: must be an array"},
        RefusalCase{"no_json", "[",
                    "stream_aggregation: not JSON: The JSON document "
                    "has an improper structure: missing or superfluous commas, "
                    "braces, missing keys, etc."},
        RefusalCase{"no_match", R"([{"interval":"1m","outputs":["total"]}])",
                    R"(stream_aggregation[0]: "match" is missing)"},
        RefusalCase{"bad_selector", R"([{"match":"up{","interval":"1m","outputs":["total"]}])",
                    "stream_aggregation[0].match: 1:4: parse error: unexpected end of input inside "
                    "braces"},
        RefusalCase{"second_selector",
                    R"([{"match":["up","{}"],"interval":"1m","outputs":["total"]}])",
                    "stream_aggregation[0].match[1]: has no matcher"},
        RefusalCase{"no_interval", R"([{"match":"up","outputs":["total"]}])",
                    R"(stream_aggregation[0]: "interval" is missing)"},
        RefusalCase{"bad_interval", R"([{"match":"up","interval":"soon","outputs":["total"]}])",
                    R"(stream_aggregation[0].interval: not a valid duration string: "soon")"},
        RefusalCase{"short_interval", R"([{"match":"up","interval":"999ms","outputs":["total"]}])",
                    "stream_aggregation[0].interval: must be from 1s to 1d"},
        RefusalCase{"both_groupings",
                    R"([{"match":"up","interval":"1m","by":[],"without":[],"outputs":["total"]}])",
                    R"(stream_aggregation[0]: has both "by" and "without")"},
        RefusalCase{"by_name",
                    R"([{"match":"up","interval":"1m","by":["__name__"],"outputs":["total"]}])",
                    R"(stream_aggregation[0].by[0]: __name__ is governed by "name")"},
        RefusalCase{"no_outputs", R"([{"match":"up","interval":"1m","outputs":[]}])",
                    "stream_aggregation[0].outputs: is empty"},
        RefusalCase{"bad_output", R"([{"match":"up","interval":"1m","outputs":["p99"]}])",
                    "stream_aggregation[0].outputs[0]: must be one of total, increase, "
                    "sum_samples, count_samples, count_series, avg, min, max, last, not \"p99\""},
        RefusalCase{"output_twice", R"([{"match":"up","interval":"1m","outputs":["min","min"]}])",
                    "stream_aggregation[0].outputs[1]: min is given twice"},
        RefusalCase{
            "top_of_none",
            R"([{"match":"up","interval":"1m","outputs":["min"],"top":{"n":0,"label":"a"}}])",
            "stream_aggregation[0].top.n: must be a whole number from 1 to 1000"},
        RefusalCase{"top_without_label",
                    R"([{"match":"up","interval":"1m","outputs":["min"],"top":{"n":1}}])",
                    R"(stream_aggregation[0].top: "label" is missing)"},
        RefusalCase{"top_of_a_label_that_goes",
                    R"([{"match":"up","interval":"1m","by":["b"],"outputs":["min"],
                         "top":{"n":1,"label":"a"}}])",
                    R"(stream_aggregation[0].top.label: "a" is not a label of the groups)"},
        RefusalCase{"rank_by_what_is_not_there",
                    R"([{"match":"up","interval":"1m","outputs":["min"],
                         "top":{"n":1,"label":"a","rank_by":"max"}}])",
                    "stream_aggregation[0].top.rank_by: is not one of the outputs"},
        RefusalCase{"one_name_for_several",
                    R"([{"match":"up","interval":"1m","outputs":["min","max"],"name":"x"}])",
                    "stream_aggregation[0].name: needs <output>: there are several"},
        RefusalCase{"unknown_key", R"([{"match":"up","interval":"1m","outputs":["min"],"keep":1}])",
                    "stream_aggregation[0]: unknown key \"keep\"; the keys are match, interval, "
                    "by, without, outputs, top, keep_input, name"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(AggregationRule, LimitsAreNamed) {
  const std::string rule = R"({"match":"up","interval":"1m","outputs":["min"]})";
  std::string many = rule;
  for (std::size_t i = 1; i < kAggregationRulesMax; ++i) many += "," + rule;
  EXPECT_EQ(error_of("[" + many + "]"), "accepted");
  EXPECT_EQ(error_of("[" + many + "," + rule + "]"), "stream_aggregation: more than 32 rules");
  EXPECT_EQ(error_of(std::string(kStreamAggregationBytesMax + 1, ' ')),
            "stream_aggregation: is 65537 bytes, the limit is 65536");
}

}  // namespace
}  // namespace gantry::pipeline
