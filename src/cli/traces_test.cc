#include "cli/traces.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace gantry::cli {
namespace {

constexpr TimestampMs kNow{1'700'000'000'000};

std::string described(const Result<net::ClientRequest>& request) {
  return request ? request->url : "error: " + request.error().message;
}

struct SearchCase {
  std::string_view name;
  SearchOptions options;
  std::string_view expected;
};

class SearchRequestTest : public testing::TestWithParam<SearchCase> {};

TEST_P(SearchRequestTest, IsWhatTheFlagsSay) {
  EXPECT_EQ(described(make_search_request(GetParam().options, kNow)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SearchRequestTest,
    testing::Values(
        SearchCase{
            "all_time", {.query = "{ }"}, "http://localhost:9490/api/search?q=%7B%20%7D&limit=20"},
        SearchCase{"since",
                   {.query = "{}", .since = "1h", .limit = 5},
                   "http://localhost:9490/api/search?q=%7B%7D&limit=5&start=1699996400&end="
                   "1700000000"},
        SearchCase{"range",
                   {.query = "{}", .start = "10", .end = "1970-01-01T00:00:20Z"},
                   "http://localhost:9490/api/search?q=%7B%7D&limit=20&start=10&end=20"},
        SearchCase{"mount",
                   {.connection = {.url = "http://h/tempo//"}, .query = "{}"},
                   "http://h/tempo/api/search?q=%7B%7D&limit=20"},
        SearchCase{"both",
                   {.query = "{}", .start = "10", .since = "1h"},
                   "error: --start and --since exclude each other"},
        SearchCase{"bad_time",
                   {.query = "{}", .start = "x"},
                   "error: --start: \"x\" is neither Unix seconds nor RFC 3339"},
        SearchCase{"bad_since",
                   {.query = "{}", .since = "x"},
                   "error: --since: not a valid duration string: \"x\""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(TraceRequest, TakesAnIdAndSendsCredentials) {
  EXPECT_EQ(described(make_trace_request({.id = "1aF"})),
            "http://localhost:9490/api/v2/traces/1aF");
  EXPECT_EQ(described(make_trace_request({.id = "xyz"})),
            "error: \"xyz\" is no trace id: 1 to 32 hexadecimal digits");
  EXPECT_EQ(described(make_trace_request({.id = std::string(33, 'a')})),
            "error: \"" + std::string(33, 'a') + "\" is no trace id: 1 to 32 hexadecimal digits");
  const auto basic = make_trace_request({.connection = {.user = "1", .token = "t"}, .id = "1"});
  EXPECT_EQ(basic->headers.find("Authorization"), "Basic MTp0");
  const auto bearer = make_trace_request({.connection = {.token = "t"}, .id = "1"});
  EXPECT_EQ(bearer->headers.find("Authorization"), "Bearer t");
}

TEST(SearchTable, HasALinePerTrace) {
  const auto table = format_search_table(R"({"traces":[{"traceID":"1a","rootServiceName":"shop",
    "rootTraceName":"GET /","startTimeUnixNano":"1700000000500000000","durationMs":557,
    "spanSets":[{"matched":2},{"matched":3}]},{"traceID":"2b"}],"metrics":{}})");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table,
            "TRACE  START                     DURATION  MATCHED  SERVICE  NAME\n"
            "1a     2023-11-14T22:13:20.500Z  557ms     5        shop     GET /\n"
            "2b     1970-01-01T00:00:00Z      0ms       0                 \n");
  EXPECT_EQ(format_search_table(R"({"metrics":{}})")->substr(0, 5), "TRACE");
  for (const std::string_view bad :
       {"", "[]", "{}", R"({"metrics":{},"traces":{}})", R"({"metrics":{},"traces":[1]})"})
    EXPECT_FALSE(format_search_table(bad)) << bad;
}

TEST(TraceTable, IndentsSpansBelowTheirParents) {
  const auto table = format_trace_table(R"({"trace":{"resourceSpans":[
    {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"api"}}]},"scopeSpans":[{"spans":[
      {"spanId":"c","parentSpanId":"a","name":"second","startTimeUnixNano":"2000000","endTimeUnixNano":"2000500"},
      {"spanId":"b","parentSpanId":"a","name":"first","startTimeUnixNano":"1500000","endTimeUnixNano":"3000000"},
      {"spanId":"a","name":"root","kind":"SPAN_KIND_SERVER","startTimeUnixNano":"1000000",
       "endTimeUnixNano":"2001000000","status":{"code":"STATUS_CODE_ERROR"}}]}]},
    {"scopeSpans":[{"spans":[{"spanId":"d","parentSpanId":"b","name":"inner","startTimeUnixNano":"1600000"},
      {"spanId":"e","parentSpanId":"gone","name":"orphan","startTimeUnixNano":"9000000"}]}]}]},
    "metrics":{},"status":"PARTIAL","message":"cut"})");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table,
            "SPAN       SERVICE  KIND    STATUS  OFFSET   DURATION\n"
            "root       api      server  error   0.0us    2.00s\n"
            "  first    api                      500.0us  1.50ms\n"
            "    inner                           600.0us  0.0us\n"
            "  second   api                      1.00ms   0.5us\n"
            "orphan                              8.00ms   0.0us\n"
            "cut\n");
}

TEST(TraceTable, SpansInACircleAreShownOnce) {
  const auto table = format_trace_table(R"({"trace":{"resourceSpans":[{"scopeSpans":[{"spans":[
    {"spanId":"a","parentSpanId":"b","name":"one"},{"spanId":"b","parentSpanId":"a","name":"two"},
    {"spanId":"c","parentSpanId":"c","name":"self"}]}]}]}})");
  ASSERT_TRUE(table);
  EXPECT_EQ(std::ranges::count(*table, '\n'), 4);
}

TEST(TraceTable, SaysWhenThereIsNone) {
  EXPECT_EQ(format_trace_table(R"({"trace":{},"metrics":{}})").error().code, Code::NotFound);
  EXPECT_EQ(format_trace_table("[]").error().code, Code::InvalidArgument);
}

}  // namespace
}  // namespace gantry::cli
