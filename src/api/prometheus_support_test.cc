#include "api/prometheus_support.h"

#include <gtest/gtest.h>

namespace gantry::api {
namespace {

net::Request form_request(std::string query, std::string body) {
  net::Request request;
  request.method = net::Method::Post;
  request.raw_query = std::move(query);
  request.body = std::move(body);
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  return request;
}

TEST(Times, AreSecondsOrRfc3339) {
  EXPECT_EQ(parse_time_ms("1435781451.781"), 1435781451781);
  EXPECT_EQ(parse_time_ms("1e3"), 1'000'000);
  EXPECT_EQ(parse_time_ms("-0.0005"), -1);
  EXPECT_EQ(parse_time_ms("2015-07-01T20:10:51.781Z"), 1435781451781);
  EXPECT_EQ(parse_time_ms("-292273086-05-16T16:47:06Z"), kEarliestMs);
  EXPECT_EQ(parse_time_ms("292277025-08-18T07:12:54.999999999Z"), kLatestMs);
  EXPECT_EQ(parse_time_ms("1e300"), kLatestMs);
  for (const std::string_view text : {"", "now", "NaN", "12:00", "0x10"}) {
    EXPECT_EQ(parse_time_ms(text), std::nullopt) << text;
  }
}

TEST(Durations, AreSecondsOrPrometheusDurations) {
  EXPECT_EQ(parse_duration_ms("15")->count, 15'000);
  EXPECT_EQ(parse_duration_ms("0.5")->count, 500);
  EXPECT_EQ(parse_duration_ms("1m30s")->count, 90'000);
  EXPECT_EQ(parse_duration_ms("x").error().message, "cannot parse \"x\" to a valid duration");
  EXPECT_EQ(parse_duration_ms("1e300").error().message,
            "cannot parse \"1e300\" to a valid duration. It overflows int64");
}

TEST(Parameters, BodyComesBeforeUrl) {
  const auto merged = read_parameters(form_request("other=url&only=1", "other=body"));
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->find("other"), "body");
  EXPECT_EQ(merged->find("only"), "1");
}

TEST(Parameters, AParameterWithOneValueDoesNotContradictItself) {
  EXPECT_EQ(read_parameters(form_request("query=url", "query=body")).error().message,
            "invalid parameter \"query\": given several times with different values");
  EXPECT_FALSE(read_parameters(form_request("time=1&time=2", "")));
  EXPECT_FALSE(read_parameters(form_request("", "step=1&step=2")));
  EXPECT_TRUE(read_parameters(form_request("query=up", "query=up")));
  const auto lists =
      read_parameters(form_request("match[]=a&extra_label=1", "match[]=b&extra_label=2"));
  ASSERT_TRUE(lists);
  EXPECT_EQ(lists->find_all("match[]"), (std::vector<std::string_view>{"b", "a"}));
}

TEST(Parameters, OtherContentTypesAreNotForms) {
  net::Request request = form_request("query=url", "query=body");
  request.headers.set("Content-Type", "application/json");
  EXPECT_EQ(read_parameters(request)->find("query"), "url");
}

TEST(Selectors, NeedANonEmptyMatcher) {
  net::Parameters parameters;
  parameters.add("match[]", "up{job=\"x\"}");
  ASSERT_TRUE(read_selectors(parameters, true));
  parameters.add("match[]", "{job=~\".*\"}");
  EXPECT_FALSE(read_selectors(parameters, true));
  net::Parameters broken;
  broken.add("match[]", "up{");
  EXPECT_TRUE(read_selectors(broken, true)
                  .error()
                  .message.starts_with("invalid parameter \"match[]\": 1:4: parse error"));
}

TEST(Limit, IsAWholeNumberThatIsNotNegative) {
  const auto limit_of = [](std::string text) {
    net::Parameters parameters;
    parameters.add("limit", std::move(text));
    return read_limit(parameters);
  };
  EXPECT_EQ(*limit_of("7"), 7U);
  EXPECT_EQ(*limit_of("0"), 0U);
  EXPECT_EQ(limit_of("x").error().message,
            "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax");
  EXPECT_EQ(limit_of("-1").error().message,
            "invalid parameter \"limit\": limit must be non-negative");
}

TEST(Errors, HaveTheEnvelope) {
  const net::Response response =
      error_response({.status = 422, .type = "execution", .message = "a<b"});
  EXPECT_EQ(response.status, 422);
  EXPECT_EQ(response.body, R"({"status":"error","errorType":"execution","error":"a\u003cb"})");
}

}  // namespace
}  // namespace gantry::api
