#include "cli/query.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::cli {
namespace {

constexpr TimestampMs kNow{1'700'000'000'000};

/// "URL body", or the error.
std::string describe(const QueryOptions& options) {
  const auto request = make_query_request(options, kNow);
  return request ? request->url + " " + request->body : "error: " + request.error().message;
}

struct RequestCase {
  std::string_view name;
  QueryOptions options;
  std::string_view expected;
};

class QueryRequestTest : public testing::TestWithParam<RequestCase> {};

TEST_P(QueryRequestTest, IsWhatTheFlagsSay) {
  EXPECT_EQ(describe(GetParam().options), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, QueryRequestTest,
    testing::Values(
        RequestCase{"instant", {.expression = "up"}, "http://localhost:9490/api/v1/query query=up"},
        RequestCase{"encoding",
                    {.expression = "a{b=\"c d\"} + 1&x=2"},
                    "http://localhost:9490/api/v1/query "
                    "query=a%7Bb%3D%22c%20d%22%7D%20%2B%201%26x%3D2"},
        RequestCase{"slashes",
                    {.expression = "1", .url = "http://h/api/prom//"},
                    "http://h/api/prom/api/v1/query query=1"},
        RequestCase{"time",
                    {.expression = "1", .time = "5"},
                    "http://localhost:9490/api/v1/query query=1&time=5"},
        RequestCase{"range",
                    {.expression = "1", .start = "100", .end = "200", .step = "15s"},
                    "http://localhost:9490/api/v1/query_range query=1&start=100&end=200&step=15s"},
        RequestCase{"range_to_now",
                    {.expression = "1", .start = "1699999000"},
                    "http://localhost:9490/api/v1/query_range "
                    "query=1&start=1699999000&end=1700000000&step=10"},
        RequestCase{"rfc3339",
                    {.expression = "1", .start = "1970-01-01T00:00:10Z", .end = "20.5"},
                    "http://localhost:9490/api/v1/query_range "
                    "query=1&start=10&end=20.500&step=1"},
        RequestCase{"since",
                    {.expression = "1", .since = "1h"},
                    "http://localhost:9490/api/v1/query_range "
                    "query=1&start=1699996400&end=1700000000&step=36"},
        RequestCase{"end_alone",
                    {.expression = "1", .end = "5"},
                    "error: a range query needs --start or --since, not both"},
        RequestCase{"start_and_since",
                    {.expression = "1", .start = "5", .since = "1h"},
                    "error: a range query needs --start or --since, not both"},
        RequestCase{"time_and_range",
                    {.expression = "1", .time = "1", .since = "1h"},
                    "error: --time is for instant queries, not beside --start, --end or --since"},
        RequestCase{"bad_time",
                    {.expression = "1", .start = "noon"},
                    "error: --start: \"noon\" is neither Unix seconds nor RFC 3339"},
        RequestCase{"bad_since",
                    {.expression = "1", .since = "soon"},
                    "error: --since: not a valid duration string: \"soon\""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(QueryCredentialsTest, UserMeansBasicAndATokenAloneBearer) {
  const auto header = [](const QueryOptions& options) {
    return std::string(make_query_request(options, kNow)->headers.find("Authorization"));
  };
  EXPECT_EQ(header({.expression = "1", .user = "1000000", .token = "glc_x"}),
            "Basic MTAwMDAwMDpnbGNfeA==");
  EXPECT_EQ(header({.expression = "1", .token = "glc_x"}), "Bearer glc_x");
  EXPECT_EQ(header({.expression = "1"}), "");
}

struct TableCase {
  std::string_view name, answer, expected;
};

class QueryTableTest : public testing::TestWithParam<TableCase> {};

TEST_P(QueryTableTest, IsReadable) {
  const auto table = format_query_table(GetParam().answer);
  EXPECT_EQ(table ? *table : "error: " + table.error().message, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, QueryTableTest,
    testing::Values(
        TableCase{"vector",
                  R"({"status":"success","data":{"resultType":"vector","result":[
                     {"metric":{"__name__":"up","job":"a"},"value":[1435781451.781,"1"]},
                     {"metric":{},"value":[1435781451,"NaN"]}]}})",
                  "SERIES       VALUE  TIME\n"
                  "up{job=\"a\"}  1      2015-07-01T20:10:51.781Z\n"
                  "{}           NaN    2015-07-01T20:10:51Z\n"},
        TableCase{"empty_vector",
                  R"({"status":"success","data":{"resultType":"vector","result":[]}})",
                  "SERIES  VALUE  TIME\n"},
        TableCase{"histogram",
                  R"({"data":{"resultType":"vector","result":[{"metric":{"__name__":"h"},
                     "histogram":[0,{"count":"3","sum":"2.5","buckets":[]}]}]}})",
                  "SERIES  VALUE               TIME\n"
                  "h       {count:3, sum:2.5}  1970-01-01T00:00:00Z\n"},
        TableCase{"matrix",
                  R"({"data":{"resultType":"matrix","result":[{"metric":{"__name__":"up"},
                     "values":[[0,"1"],[15,"2"]]}]}})",
                  "up\n"
                  "  1970-01-01T00:00:00Z  1\n"
                  "  1970-01-01T00:00:15Z  2\n"},
        TableCase{"scalar", R"({"data":{"resultType":"scalar","result":[0,"3"]}})", "3\n"},
        TableCase{"string", R"({"data":{"resultType":"string","result":[0,"text"]}})", "text\n"},
        TableCase{"html", "<html>", "error: the server's answer is not that of a Prometheus API"},
        TableCase{"unknown_type", R"({"data":{"resultType":"streams","result":[]}})",
                  "error: the server's answer is not that of a Prometheus API"},
        TableCase{"short_point",
                  R"({"data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}})",
                  "error: the server's answer is not that of a Prometheus API"}),
    [](const auto& c) { return std::string(c.param.name); });

RC_GTEST_PROP(QueryTableProperty, AnyAnswerIsReadWithoutCrashing, (const std::string& text)) {
  static_cast<void>(format_query_table(text));
  static_cast<void>(
      format_query_table(R"({"data":{"resultType":"vector","result":)" + text + "}}"));
}

}  // namespace
}  // namespace gantry::cli
